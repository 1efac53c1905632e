//! How many connections are opened, and which are checked, given the calls under way.

use super::by_hand::{MS, SECOND, ageless, lend, open, state, wait};
use super::world::{Broken, borrower};
use crate::config::Config;
use crate::entry::Entry;
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

pub(super) const CHECK: PromiseKind = PromiseKind::Check;
pub(super) const RESET: PromiseKind = PromiseKind::Reset;
pub(super) const OPEN: PromiseKind = PromiseKind::Open;
pub(super) const GOODBYE: PromiseKind = PromiseKind::Close { dead: false };

/// The status of a call that began just now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Fate {
    InTime,
    Late,
    Lost,
    /// It is late, and no worker has begun it.
    Queued,
    /// It is being aborted for a waiter.
    Aborting,
}
use Fate::{Aborting, InTime, Late, Lost, Queued};

/// A pool without connections, whose server has just accepted one.
pub(super) fn warm(config: &Config) -> (State<(), Broken>, Instant) {
    let (mut state, start) = state(config);
    let slot = open(&mut state, start);
    state.idle.clear();
    state.release(slot);
    (state, start)
}

/// Puts `count` calls under way, each in its own slot. They can be aborted while the returned limits live.
pub(super) fn calls(
    state: &mut State<(), Broken>,
    count: usize,
    kind: PromiseKind,
    fate: Fate,
    now: Instant,
) -> Vec<Limit> {
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

/// The number of attempts to connect that begin now.
fn opened(state: &mut State<(), Broken>, waiting: usize, now: Instant) -> usize {
    let mut actions = Actions::new();
    state.open_for(waiting, now, &mut actions);
    actions.len()
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
        state.flow.estimate(Sight { returned, ..sight }, now);
        assert_eq!(state.flow.expected(), returned as usize);
        assert_eq!(opened(&mut state, 5, now), owed);
        state.close(now, &mut Actions::new());
    }
}

#[test]
fn one_attempt_goes_first_at_a_silent_server_four_where_it_answers_and_two_more_for_each_that_is_late() {
    let (silent, doubted, answers) = (0, 1, 2);
    for (server, late, age, opens) in [
        (silent, 0, 0, 1),
        (silent, 1, 2_000, 3),
        (silent, 3, 2_000, 7),
        (doubted, 1, 2_000, 3),
        (answers, 0, 0, 4),
        (answers, 1, 2_000, 6),
        // At most 16 in total.
        (silent, 6, 2_000, 10),
        // An attempt that begins now would end too late for waiters with a time-out of ten seconds, if it takes as long as that one has
        // so far.
        (silent, 1, 4_999, 3),
        (silent, 1, 5_000, 1),
    ] {
        let (mut state, start) = warm(&ageless(40));
        let (since, now) = (start + SECOND, start + 6 * SECOND);
        (0..30).for_each(|_| wait(&mut state, since));
        if server != silent {
            state.answered_at = Some(now);
        }
        if server == doubted {
            state.suspect(now);
        }
        let _limits = calls(&mut state, late, OPEN, Late, now - age * MS);
        assert_eq!(opened(&mut state, 30, now), opens, "{server} {late} {age}");
        state.close(now, &mut Actions::new());
    }
}

/// The server was full at three sessions.
pub(super) fn with_ceiling(state: &mut State<(), Broken>, now: Instant) {
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
    // One connection is open and one is being opened.
    with_ceiling(&mut state, start);
    assert_eq!(opened(&mut state, 5, start), 1);
    state.close(start, &mut Actions::new());
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

#[test]
fn near_by_a_new_connection_is_asked_before_its_first_loan_while_it_is_open_whether_the_server_is_slow() {
    let (mut state, start) = warm(&ageless(4));
    state.patience.answered(OPEN, 10 * MS, start);
    let _limits = calls(&mut state, 1, CHECK, Late, start);
    state.raise_doubt(start);
    let slot = state.slots.take(start);
    let (mut entry, mut actions) = (Box::new(Entry::new(slot, (), None, 0, start)), Actions::new());
    state.admit(&mut entry, MS, start, &mut actions);
    state.put_proved(entry, start, &mut actions);
    let Some(Action::Check(entry)) = actions.pop() else { panic!("it is checked") };
    // A connection that was checked is not checked again, whatever became of the doubt.
    state.put_proved(entry, start + MS, &mut actions);
    assert_eq!((state.slots.get(slot).phase, actions.len()), (Phase::Idle, 0));
}

#[test]
fn a_reset_that_ends_well_was_answered_and_an_opening_is_counted_by_itself() {
    for (kind, answered) in [(RESET, true), (OPEN, false)] {
        let (mut state, start) = state(&ageless(4));
        let _limits = calls(&mut state, 1, kind, InTime, start);
        state.keep_promise(0, start + MS);
        assert_eq!(state.answered_at, answered.then_some(start + MS), "{kind:?}");
    }
}

#[test]
fn for_one_who_does_not_wait_one_is_opened_for_the_next_time() {
    for (wants, opens) in [(false, 0), (true, 1)] {
        let (mut state, start) = warm(&ageless(4));
        if wants {
            state.want_one();
        }
        let mut actions = Actions::new();
        state.settle(start, &mut actions);
        assert_eq!(actions.iter().filter(|action| matches!(action, Action::Open(_))).count(), opens);
    }
}

#[test]
fn while_loans_are_out_one_who_waits_has_their_return_looked_at_after_ten_milliseconds() {
    let (mut state, start) = warm(&ageless(4));
    open(&mut state, start);
    let _loan = lend(&mut state, start);
    wait(&mut state, start);
    state.settle(start, &mut Actions::new());
    assert_eq!(state.alarm, Some(start + 10 * MS));
    state.close(start, &mut Actions::new());
}
