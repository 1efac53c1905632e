//! The rules of patience, each as a short sequence in virtual time.

use super::jobs::Work;
use super::ops::Op::*;
use super::ops::{End, Shape};
use super::world::World;
use crate::config::Config;
use crate::gate::Refusal;
use crate::slots::Phase;
use crate::state::actions::Actions;
use crate::state::patience::Spans;
use crate::state::promises::{PromiseKind, Promises};
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);
const WELL: End = End::Well;

/// A world with `size` idle connections, which must be checked before their next loan.
fn stale(size: u32, max_size: u32) -> World {
    let config = Config { max_size, check_after: Duration::ZERO, ..Config::default() };
    let mut world = World::new(config, 0);
    (0..size).for_each(|_| world.lend());
    while !world.lent.is_empty() {
        world.play(Return(0, Shape::Clean));
    }
    world.play(Pass(MS));
    world
}

impl World {
    /// Opens a connection for a borrower, and lends it.
    fn lend(&mut self) {
        self.play(Get);
        let mut steps = 0;
        while self.lent.len() < self.borrowed() {
            self.play(JobEnds(0, WELL));
            self.play(Look(0));
            steps += 1;
            assert!(steps < 10, "nobody is served");
        }
    }

    fn borrowed(&self) -> usize {
        self.lent.len() + self.waiting.len() + self.served.len()
    }

    fn count(&self, phase: Phase) -> usize {
        self.state.slots.count(phase)
    }

    fn checks(&self) -> usize {
        self.jobs.iter().filter(|job| job.fate.is_none() && matches!(job.work, Work::Check(_))).count()
    }
}

#[test]
fn one_question_without_an_answer_is_followed_by_two_and_then_by_four() {
    let mut world = stale(8, 8);
    world.play(Get);
    for asked in [1, 3, 7, 8] {
        assert_eq!((world.checks(), world.count(Phase::Opening)), (asked, 0));
        world.play(Pass(25 * MS));
    }
    world.heal();
}

#[test]
fn with_no_slot_free_one_lost_check_is_given_up_to_find_out_however_many_wait() {
    for crowd in [1, 4] {
        let mut world = stale(4, 4);
        (0..crowd).for_each(|_| world.play(Get));
        world.play(Pass(249 * MS));
        assert_eq!((world.checks(), world.count(Phase::Opening)), (4, 0));
        world.play(Pass(MS));
        // In this world some calls cannot be aborted; then another is given up instead.
        assert_eq!((world.count(Phase::Aborted), world.count(Phase::Opening)), (1, 1));
        world.heal();
    }
}

#[test]
fn one_who_comes_while_a_reset_hangs_relies_on_it_as_long_as_on_a_check_and_then_it_is_given_up() {
    for before in [0, 1, 100, 249, 400, 4_000] {
        let mut world = World::new(Config { max_size: 1, ..Config::default() }, 0);
        world.lend();
        world.play(Return(0, Shape::Soiled));
        world.play(Pass(before * MS));
        world.play(Get);
        world.play(Pass(249 * MS));
        let given_up = |world: &World| (world.count(Phase::Aborted), world.count(Phase::Opening));
        assert_eq!(given_up(&world), (0, 0), "after {before} ms");
        world.play(Pass(MS));
        assert_eq!(given_up(&world), (1, 1), "after {before} ms");
        world.heal();
    }
}

#[test]
fn none_is_given_up_that_began_before_the_last_answer() {
    let mut world = stale(2, 2);
    world.play(Get);
    world.play(Get);
    world.play(Pass(100 * MS));
    // One of the two checks is answered. Its borrower keeps that connection, and the other check has until its limit.
    world.play(JobEnds(0, WELL));
    world.play(Look(0));
    world.play(Pass(800 * MS));
    assert_eq!((world.checks(), world.count(Phase::Opening)), (1, 0));
    world.heal();
}

#[test]
fn a_stall_of_this_process_makes_no_call_late() {
    let mut world = stale(2, 2);
    world.play(Get);
    world.play(Freeze(900 * MS));
    assert_eq!(
        (world.checks(), world.count(Phase::Opening)),
        (1, 0),
        "no other connection is checked, and no call is given up"
    );
    world.play(JobEnds(0, WELL));
    world.play(Look(0));
    assert_eq!(world.lent.len(), 1);
    world.heal();
}

#[test]
fn an_answer_that_is_older_than_the_last_doubt_does_not_settle_it() {
    let mut world = stale(1, 1);
    world.play(Get);
    let place = world.jobs.iter().position(|job| matches!(job.work, Work::Check(_))).expect("it is checked");
    let Work::Check(entry) = &mut world.jobs[place].work else { unreachable!() };
    let (answered, doubted, mut actions) = (world.now + MS, world.now + 2 * MS, Actions::new());
    // The answer came first, but another thread took the lock before it.
    world.state.suspect(doubted);
    world.state.proved(entry, answered, &mut actions);
    assert!(!world.state.is_fresh(entry, answered), "the answer predates the doubt");
    world.state.proved(entry, doubted, &mut actions);
    assert!(world.state.is_fresh(entry, doubted));
    world.book.doubts += 1;
    world.heal();
}

#[test]
fn an_answer_counts_from_when_it_is_given_though_another_died_meanwhile() {
    let mut world = stale(2, 2);
    world.play(Get);
    world.play(Get);
    world.play(JobEnds(0, End::Failed(Refusal::Unavailable)));
    let answered = world.jobs.iter().position(|job| matches!(job.work, Work::Check(_))).expect("the other is checked");
    world.play(JobEnds(answered, WELL));
    assert_eq!(world.served.len(), 1, "it is not checked again");
    world.heal();
}

#[test]
fn with_a_permanent_fault_a_waiter_hopes_for_a_loan_as_long_as_99_in_100_loans_take() {
    let mut world = World::new(Config { max_size: 2, ..Config::default() }, 0);
    let lend = |world: &mut World| {
        world.play(Get);
        while world.lent.is_empty() {
            world.play(JobEnds(0, WELL));
            world.play(Look(0));
        }
    };
    lend(&mut world);
    world.play(Pass(Duration::from_secs(10)));
    world.play(Return(0, Shape::Clean));
    lend(&mut world);
    world.play(Get);
    let mut refused_after = None;
    for second in 0..20 {
        while !world.jobs.is_empty() {
            world.play(JobEnds(0, End::Failed(Refusal::Permanent)));
        }
        if !world.served.is_empty() {
            refused_after = refused_after.or(Some(second));
        }
        world.play(Pass(Duration::from_secs(1)));
    }
    assert!(refused_after.is_some_and(|second| (10..=14).contains(&second)), "{refused_after:?}");
    world.heal();
}

#[test]
fn room_is_made_by_the_known_dead_then_goodbyes_then_resets_then_checks_and_first_by_goodbyes_under_way() {
    let (mut promises, start) = (Promises::default(), crate::sync::now());
    let spans = Spans { late: MS, lost: 2 * MS };
    let goodbyes = [PromiseKind::Close { dead: false }, PromiseKind::Close { dead: true }];
    let kinds = [PromiseKind::Check, PromiseKind::Reset].into_iter().chain(goodbyes).chain(goodbyes);
    // The oldest comes last.
    for (slot, kind) in kinds.enumerate() {
        let now = start + MS * slot as u32;
        promises.make(slot, kind, now, spans);
        if slot >= 4 {
            promises.begin(slot, now, spans);
        }
    }
    for _ in 0..2 {
        promises.ring(start + 10 * MS, None);
    }
    let lost = promises.lost_calls(None).map(|(slot, _)| slot);
    assert_eq!(
        promises.late_closings().chain(promises.late_in_queue()).chain(lost).collect::<Vec<_>>(),
        [5, 4, 3, 2, 1, 0]
    );
}

/// A waiter relies on a check and is notified of a fresh connection, on top of which a stale one is returned.
fn fresh_beneath_stale() -> World {
    let config = Config { max_size: 3, check_after: 1_000 * MS, ..Config::default() };
    let mut world = World::new(config, 0);
    world.lend();
    world.lend();
    world.play(Pass(1_500 * MS));
    world.lend();
    world.play(Return(0, Shape::Clean));
    world.play(Get);
    assert_eq!((world.waiting.len(), world.checks()), (1, 1));
    // First the connection opened last, then the stale one.
    world.play(Return(1, Shape::Clean));
    world.play(Return(0, Shape::Clean));
    assert_eq!((world.waiting.len(), world.count(Phase::Idle), world.checks()), (1, 2, 1));
    world
}

#[test]
fn one_who_waits_takes_a_fresh_connection_from_beneath_a_stale_one() {
    let mut world = fresh_beneath_stale();
    world.play(Look(0));
    assert_eq!((world.lent.len(), world.waiting.len()), (1, 0));
}

#[test]
fn one_who_has_waited_long_has_the_fresh_connection_beneath_a_stale_one_before_a_newcomer() {
    let mut world = fresh_beneath_stale();
    let first = world.waiting[0].number;
    world.play(Pass(2 * MS));
    world.play(Get);
    let served: Vec<_> = world.served.iter().map(|(waiting, _)| waiting.number).collect();
    assert_eq!((served, world.lent.len(), world.waiting.len()), (vec![first], 0, 1));
    world.heal();
}
