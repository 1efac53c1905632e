//! How many connections are opened, who is asked, and what makes room, by what is under way.

use super::by_hand::{MS, SECOND, ageless, lend, open, state, wait};
use super::world::{Broken, borrower};
use crate::config::Config;
use crate::gate::Refusal;
use crate::limit::Limit;
use crate::slots::Phase;
use crate::state::State;
use crate::state::actions::{Action, Actions};
use crate::state::flow::Sight;
use crate::state::patience::Spans;
use crate::state::promises::PromiseKind;
use crate::waiter::{Waiter, Wake};
use std::time::{Duration, Instant};

const CHECK: PromiseKind = PromiseKind::Check;
const RESET: PromiseKind = PromiseKind::Reset;
const OPEN: PromiseKind = PromiseKind::Open;
const GOODBYE: PromiseKind = PromiseKind::Close { dead: false };

/// What became of a call that began just now.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fate {
    InTime,
    Late,
    Lost,
    /// It is late, and no worker has begun with it.
    Queued,
    /// It is being aborted for somebody who waits.
    Aborting,
}
use Fate::{Aborting, InTime, Late, Lost, Queued};

/// A pool whose server has just let one in, and that has no connections.
fn warm(config: &Config) -> (State<(), Broken>, Instant) {
    let (mut state, start) = state(config);
    let slot = open(&mut state, start);
    state.idle.clear();
    state.release(slot);
    (state, start)
}

/// So many calls are under way, each in a slot of its own. They can be aborted as long as their limits are kept.
fn calls(state: &mut State<(), Broken>, count: usize, kind: PromiseKind, fate: Fate, now: Instant) -> Vec<Limit> {
    let phase = match kind {
        PromiseKind::Open => Phase::Opening,
        PromiseKind::Check => Phase::Checking,
        PromiseKind::Reset => Phase::Resetting,
        PromiseKind::Close { .. } => Phase::Closing,
    };
    let (late, lost) = match fate {
        InTime | Aborting => (60 * SECOND, 60 * SECOND),
        Late | Queued => (Duration::ZERO, 60 * SECOND),
        Lost => (Duration::ZERO, Duration::ZERO),
    };
    let begin = |_| {
        let (slot, limit) = (state.slots.take(now), Limit::of_call(&"test".into(), now, Duration::MAX));
        limit.on_abort(|| ());
        state.slots.enter(slot, phase, now).call = Some(limit.fuse().downgrade());
        state.promises.make(slot, kind, now, Spans { late, lost });
        if fate != Queued {
            state.promises.begin(slot, now, Spans { late, lost });
        }
        state.promises.ring(now, None);
        if fate == Aborting {
            state.promises.abort(slot);
        }
        limit
    };
    (0..count).map(begin).collect()
}

/// How many attempts to connect begin now.
fn opened(state: &mut State<(), Broken>, waiting: usize, now: Instant) -> usize {
    let mut actions = Actions::new();
    state.open_for(waiting, now, &mut actions);
    actions.len()
}

/// How many calls are aborted to make room now, and how many goodbyes hastened.
fn given_up(state: &mut State<(), Broken>, waiting: usize, now: Instant) -> (usize, usize) {
    let mut actions = Actions::new();
    state.make_room(waiting, now, &mut actions);
    let hastened = actions.iter().filter(|action| matches!(action, Action::Hasten(_))).count();
    (actions.len() - hastened, hastened)
}

#[test]
fn each_waiter_beyond_the_calls_it_relies_on_is_owed_a_connection() {
    for (waiting, under_way, owed) in [
        (5, &[(2, CHECK, InTime), (1, OPEN, InTime), (1, GOODBYE, Aborting)][..], 1),
        (8, &[(2, CHECK, InTime), (4, OPEN, InTime), (1, OPEN, Late)], 2),
        (4, &[(1, CHECK, InTime), (1, RESET, Late), (1, CHECK, Lost)], 2),
        (3, &[(1, GOODBYE, InTime), (1, GOODBYE, Late)], 3),
    ] {
        let (mut state, start) = warm(&ageless(20));
        (0..waiting).for_each(|_| wait(&mut state, start));
        let _limits: Vec<_> =
            under_way.iter().map(|&(count, kind, fate)| calls(&mut state, count, kind, fate, start)).collect();
        assert_eq!(opened(&mut state, waiting, start), owed, "{waiting} {under_way:?}");
        state.close(start, &mut Actions::new());
    }
}

#[test]
fn one_whose_patience_is_over_is_owed_a_connection_whatever_is_being_checked_unless_the_process_stood_still() {
    for (after, is_calm, owed) in [(249, false, 0), (250, false, 2), (250, true, 0)] {
        let (mut state, start) = warm(&ageless(20));
        state.patience.answered(CHECK, MS, start);
        (0..4).for_each(|_| wait(&mut state, start));
        let now = start + after * MS;
        let mut limits = calls(&mut state, 4, CHECK, InTime, now);
        limits.extend(calls(&mut state, 1, CHECK, Aborting, now));
        limits.extend(calls(&mut state, 1, OPEN, InTime, now));
        state.calm_until = is_calm.then_some(now + MS);
        assert_eq!(opened(&mut state, 4, now), owed, "after {after} ms, calm: {is_calm}");
        state.close(now, &mut Actions::new());
    }
}

#[test]
fn for_min_idle_alone_no_more_than_four_openings_and_checks_are_under_way() {
    for (min_idle, idle, resets, openings, checks, opens) in
        [(8, 2, 3, 1, 0, 2), (20, 0, 0, 1, 2, 1), (20, 0, 0, 2, 1, 1), (20, 0, 0, 0, 0, 4), (2, 0, 0, 0, 0, 2)]
    {
        let (mut state, start) = warm(&Config { min_idle, ..ageless(40) });
        (0..idle).for_each(|_| _ = open(&mut state, start));
        let _limits = [
            calls(&mut state, resets, RESET, InTime, start),
            calls(&mut state, openings, OPEN, InTime, start),
            calls(&mut state, checks, CHECK, InTime, start),
        ];
        assert_eq!(opened(&mut state, 0, start), opens, "{min_idle} {idle} {resets} {openings} {checks}");
    }
}

#[test]
fn beside_loans_no_more_are_opened_than_will_be_missing_when_those_have_come_back() {
    for (returned, owed) in [(0, 3), (2, 1)] {
        let (mut state, start) = warm(&ageless(20));
        (0..5).for_each(|_| _ = open(&mut state, start));
        let _loans: Vec<_> = (0..5).map(|_| lend(&mut state, start)).collect();
        (0..5).for_each(|_| wait(&mut state, start));
        let _limits = calls(&mut state, 2, OPEN, InTime, start);
        state.gate.reset_growth();
        let sight = Sight { lent: 5, loans: 5, returned: 0, mean_use: Duration::ZERO, waiting: 5, opening: 100 * MS };
        state.flow.watch(sight, start);
        let now = start + 100 * MS;
        state.flow.watch(Sight { returned, ..sight }, now);
        assert_eq!(state.flow.expected(), returned as usize);
        assert_eq!(opened(&mut state, 5, now), owed);
        state.close(now, &mut Actions::new());
    }
}

/// The server has had room for three sessions when it was full.
fn with_ceiling(state: &mut State<(), Broken>, now: Instant) {
    state.gate.failed(now, Refusal::Capacity, 2);
    state.gate.opened(now, 2, 20, false);
    assert_eq!(state.gate.retry_at(), None);
}

#[test]
fn an_attempt_that_hangs_for_good_takes_no_place_at_a_full_server() {
    let (mut state, start) = warm(&ageless(20));
    with_ceiling(&mut state, start);
    (0..5).for_each(|_| wait(&mut state, start));
    open(&mut state, start);
    let _limits = calls(&mut state, 1, OPEN, InTime, start);
    let hung = state.slots.take(start);
    state.stuck(hung);
    state.idle.clear();
    // One is open and one is being opened.
    with_ceiling(&mut state, start);
    assert_eq!(opened(&mut state, 5, start), 1);
    state.close(start, &mut Actions::new());
}

#[test]
fn as_many_late_goodbyes_make_room_as_waiters_are_owed_one_and_first_those_under_way() {
    for (max_size, waiting, under_way, queued, aborted, hastened) in [
        (3, 1, 3, 0, 1, 0),
        (3, 3, 1, 2, 1, 2),
        // Beyond `max_size` that many more must go.
        (2, 1, 4, 0, 3, 0),
        (2, 1, 1, 4, 1, 3),
        (2, 1, 0, 4, 0, 3),
    ] {
        let (mut state, start) = warm(&ageless(max_size));
        (0..waiting).for_each(|_| wait(&mut state, start));
        let _limits =
            [calls(&mut state, under_way, GOODBYE, Late, start), calls(&mut state, queued, GOODBYE, Queued, start)];
        let case = format!("{under_way} and {queued} in {max_size}, {waiting} wait");
        assert_eq!(given_up(&mut state, waiting, start), (aborted, hastened), "{case}");
        assert_eq!(given_up(&mut state, waiting, start), (0, 0), "{case}, once more");
        state.close(start, &mut Actions::new());
    }
}

#[test]
fn at_a_full_server_a_goodbye_makes_room_for_one_in_its_place() {
    let (mut state, start) = warm(&ageless(3));
    with_ceiling(&mut state, start);
    wait(&mut state, start);
    let _limits = calls(&mut state, 3, GOODBYE, Late, start);
    assert_eq!(given_up(&mut state, 1, start), (1, 0));
    state.close(start, &mut Actions::new());
}

#[test]
fn where_one_is_tried_at_a_time_no_second_goodbye_makes_room() {
    let (mut state, start) = warm(&ageless(3));
    (0..3).for_each(|_| wait(&mut state, start));
    let _limits = [calls(&mut state, 2, GOODBYE, Late, start), calls(&mut state, 1, GOODBYE, Aborting, start)];
    state.gate.failed(start, Refusal::Unavailable, 0);
    let due = state.gate.retry_at().expect("there is trouble");
    assert_eq!(given_up(&mut state, 3, due), (0, 0));
    state.close(due, &mut Actions::new());
}

#[test]
fn lost_checks_make_room_once_it_is_known_that_the_server_answers_those_who_come_later() {
    for (max_size, waiting, known, aborted) in [(4, 3, true, 3), (4, 1, true, 1), (4, 3, false, 1), (3, 3, true, 0)] {
        let (mut state, start) = warm(&ageless(max_size));
        state.patience.answered(CHECK, MS, start);
        state.patience.answered(OPEN, 900 * MS, start);
        (0..waiting).for_each(|_| wait(&mut state, start));
        let now = start + SECOND / 2;
        let _limits = calls(&mut state, 4, CHECK, Lost, start);
        state.opened_at = Some(if known { start + MS } else { start });
        let case = format!("{waiting} wait in {max_size}, known: {known}");
        assert_eq!(given_up(&mut state, waiting, now), (aborted, 0), "{case}");
        state.close(now, &mut Actions::new());
    }
}

#[test]
fn behind_eight_calls_that_nobody_can_abort_one_that_can_be_makes_room() {
    let (mut state, start) = warm(&ageless(9));
    wait(&mut state, start);
    state.opened_at = Some(start + MS);
    drop(calls(&mut state, 8, CHECK, Lost, start));
    let _limit = calls(&mut state, 1, CHECK, Lost, start);
    assert_eq!(given_up(&mut state, 1, start + MS), (1, 0));
    state.close(start + MS, &mut Actions::new());
}

#[test]
fn as_many_idle_ones_are_asked_in_time_as_wait_and_one_more_for_each_that_is_late() {
    for (waiting, late, asked) in [(2, 0, 2), (2, 1, 3), (1, 2, 3), (0, 1, 0)] {
        let (mut state, start) = state(&Config { min_idle: 20, check_after: Duration::ZERO, ..ageless(20) });
        (0..6).for_each(|_| _ = open(&mut state, start));
        (0..waiting).for_each(|_| wait(&mut state, start));
        let _limits = calls(&mut state, late, CHECK, Late, start);
        let mut actions = Actions::new();
        state.settle(start + MS, &mut actions);
        let checks = actions.iter().filter(|action| matches!(action, Action::Check(_))).count();
        assert_eq!(checks, asked, "{waiting} wait, {late} late");
        state.close(start + MS, &mut Actions::new());
    }
}

#[test]
fn one_who_has_left_hurries_no_call() {
    let (mut state, start) = state(&ageless(4));
    let ticket = state.queue_again(Wake::Thread(Waiter::new()), borrower(0), start, 80 * MS);
    state.cancel(&ticket);
    for (kind, limit) in [(CHECK, SECOND), (RESET, 5 * SECOND)] {
        state.promise(0, start, kind);
        assert_eq!(state.promises.next_moment(), Some(start + limit), "{kind:?}");
    }
}
