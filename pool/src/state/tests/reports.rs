//! The reports of the state: the progress of building a pool, the last error, which loans continue, and the counters.

use super::by_hand::{MS, SECOND, ageless, lend, open, state};
use super::world::{Broken, borrower};
use crate::cause::Cause;
use crate::config::Config;
use crate::gate::{Refusal, Stage};
use crate::queue::Ticket;
use crate::reason::CloseReason;
use crate::slots::{Phase, SlotId};
use crate::state::State;
use crate::state::actions::{Action, Actions, Work};
use crate::state::reports::BuildProgress;
use crate::stats::Stats;
use crate::waiter::{Waiter, Wake};
use std::sync::Arc;
use std::time::Instant;

fn driver_error() -> Cause<Broken> {
    Cause::Driver(Arc::new(Broken))
}

#[test]
fn a_pool_is_built_when_enough_is_open_and_fails_by_a_panic_or_by_a_fault_that_stays() {
    use BuildProgress::{Failed, Ready, Trying};
    for (cause, refusal, ends_it) in [
        (driver_error(), Refusal::Unavailable, false),
        (driver_error(), Refusal::Permanent, true),
        (Cause::other("late"), Refusal::Unavailable, false),
        (Cause::panicked("a driver", "at random"), Refusal::Unavailable, true),
    ] {
        let (mut state, start) = state(&ageless(2));
        open(&mut state, start);
        assert!(matches!(state.build_progress(2, start), Trying { look_again: None }));
        let case = format!("{cause} {refusal:?}");
        state.open_failed(refusal, cause, start, &mut Actions::new());
        assert!(matches!(state.build_progress(1, start), Ready), "{case}");
        let retry_at = state.gate.retry_at();
        match state.build_progress(2, start) {
            Failed(_) => assert!(ends_it, "{case}"),
            Trying { look_again } => assert_eq!((ends_it, look_again), (false, retry_at), "{case}"),
            Ready => panic!("one is missing: {case}"),
        }
        if refusal == Refusal::Permanent {
            assert!(matches!(state.build_progress(2, start + SECOND), Trying { .. }), "it may be retried");
        }
    }
}

#[test]
fn the_last_error_of_the_driver_is_one_that_it_gave() {
    for (cause, is_its_own) in [(driver_error(), true), (Cause::other("late"), false)] {
        let (mut state, start) = state(&ageless(2));
        assert!(state.last_driver_error().is_none());
        state.open_failed(Refusal::Unavailable, cause, start, &mut Actions::new());
        assert_eq!(matches!(state.last_driver_error(), Some(Cause::Driver(_))), is_its_own);
    }
}

#[test]
fn a_connection_is_lent_under_its_number_until_it_is_returned() {
    let (mut state, start) = state(&ageless(2));
    let slot = open(&mut state, start);
    let entry = lend(&mut state, start);
    let id = entry.id;
    assert!(state.is_lent(slot, id));
    assert!(!state.is_lent(slot, id + 1) && !state.is_lent(slot + 1, id), "that is another");
    state.put(entry, start + MS, &mut Actions::new());
    assert!(!state.is_lent(slot, id));
}

#[test]
fn a_connection_that_is_being_reset_is_told_as_such() {
    let (mut state, start) = state(&ageless(2));
    open(&mut state, start);
    let entry = lend(&mut state, start);
    state.check_in(entry, MS, Some(Work::Reset), start + MS, &mut Actions::new());
    assert_eq!((state.stats().resetting, state.stats().open), (1, 1));
}

#[test]
fn a_connection_that_was_aborted_in_its_loan_is_closed_for_that_when_it_comes_back() {
    let (mut state, start) = state(&ageless(2));
    open(&mut state, start);
    let (entry, mut actions) = (lend(&mut state, start), Actions::new());
    state.aborted(entry.slot_id, start);
    state.check_in(entry, MS, None, start + MS, &mut actions);
    assert!(matches!(&actions[..], [Action::Close(_, CloseReason::Overran)]));
}

#[test]
fn what_was_refused_before_an_eviction_is_told_and_refuses_nobody_after_it() {
    for (evicts, refuses) in [(false, true), (true, false)] {
        let (mut state, start) = state(&ageless(2));
        let generation = state.generation();
        if evicts {
            state.evict_all(start, &mut Actions::new());
        }
        assert_eq!((generation, state.generation()), (0, u64::from(evicts)));
        state.open_refused(generation, driver_error(), start, &mut Actions::new());
        assert_eq!((state.gate.refuses(start), state.last_error.is_some()), (refuses, true));
    }
}

#[test]
fn an_error_is_told_until_nothing_stands_between_the_pool_and_a_connection() {
    type Befall = fn(&mut State<(), Broken>, Instant);
    let nothing: Befall = |_, _| ();
    let outage: Befall = |state, now| assert!(state.gate.failed(now, Refusal::Unavailable, 0));
    let death: Befall = |state, now| state.gate.stillborn(now - MS, Stage::Check, MS, now);
    for (befall, is_told) in [(nothing, false), (outage, true), (death, true)] {
        let (mut state, start) = state(&ageless(2));
        state.last_error = Some((driver_error(), start));
        befall(&mut state, start + MS);
        state.forget_error(&mut Actions::new());
        assert_eq!(state.last_error.is_some(), is_told);
    }
}

#[test]
fn those_who_wait_for_the_end_of_a_pool_are_woken_when_its_last_slot_is_free() {
    let (mut state, start) = state(&ageless(2));
    let slots = [open(&mut state, start), open(&mut state, start)];
    let _loans = [lend(&mut state, start), lend(&mut state, start)];
    state.close(start, &mut Actions::new());
    state.watch(Wake::Thread(Waiter::new()));
    for (left, slot) in [(1, slots[0]), (0, slots[1])] {
        state.release(slot);
        let mut actions = Actions::new();
        state.settle(start, &mut actions);
        assert_eq!(matches!(&actions[..], [Action::Wake(_)]), left == 0, "{left} left");
    }
}

#[test]
fn of_the_remarks_on_open_connections_the_newest_is_told() {
    let (mut state, start) = state(&ageless(3));
    let [a, b, c] = [0, 1, 2].map(|_| open(&mut state, start));
    let told = |state: &State<_, _>| state.remarks.newest().map(|(remark, at)| (remark.to_string(), at - start));
    let says = |remark: &str| Some(Arc::from(remark));
    for (slot, remark, at, expected) in [
        (a, says("a"), 1, Some(("a", 1))),
        (b, None, 2, Some(("a", 1))),
        (b, says("b"), 3, Some(("b", 3))),
        (c, says("c"), 3, Some(("c", 3))),
        (c, None, 4, Some(("b", 3))),
        (a, says("a again"), 5, Some(("a again", 5))),
        (a, None, 6, Some(("b", 3))),
        (b, None, 7, None),
    ] {
        state.remarked(slot, remark, start + at * MS);
        let expected = expected.map(|(remark, at): (&str, u32)| (remark.to_owned(), at * MS));
        assert_eq!(told(&state), expected, "after {at} ms");
    }
}

#[test]
fn a_remark_ends_with_its_connection_and_none_is_kept_for_the_next_in_its_slot() {
    type End = fn(&mut State<(), Broken>, SlotId, Instant);
    let ends: [(&str, End); 4] = [
        ("closing", |state, slot, now| state.closing(slot, CloseReason::Discarded, now)),
        ("aborted", |state, slot, now| state.aborted(slot, now)),
        ("detached", |state, slot, now| state.detached(slot, now)),
        ("gone", |state, slot, _| state.release(slot)),
    ];
    for (how, end) in ends {
        let (mut state, start) = state(&ageless(2));
        open(&mut state, start);
        let entry = lend(&mut state, start);
        for _ in 0..2 {
            state.remarked(entry.slot_id, Some(Arc::from("read-only")), start);
        }
        assert!(state.snapshot().report("pool", MS, 0, start).remark.is_some(), "{how}");
        end(&mut state, entry.slot_id, start);
        assert!(state.snapshot().report("pool", MS, 0, start).remark.is_none(), "{how}");
    }
}

/// An operation that is done twice, and the counter of it.
type Counted = (&'static str, fn(&mut State<(), Broken>, Instant), fn(&Stats) -> u64);

#[test]
fn each_end_of_a_request_or_a_loan_is_counted() {
    let take = |state: &mut State<(), Broken>, now| drop(state.claim(now, borrower(0), &mut Actions::new()));
    let cases: &[Counted] = &[
        ("served at once", |state, now| drop(lend(state, now)), |stats| stats.checked_out_at_once),
        ("not available", |state, _| state.not_available(), |stats| stats.not_available),
        ("called from a hook", |state, _| state.called_from_hook(), |stats| stats.called_from_hook),
        ("overloaded", |state, now| assert!(queue(state, now).is_none()), |stats| stats.overloaded),
        ("timed out", |state, _| state.timed_out(MS), |stats| stats.timed_out),
        ("timed out after a while", |state, _| state.timed_out(MS), |stats| stats.wait_time.count()),
        ("not reset", |state, _| state.reset_skipped(), |stats| stats.resets_skipped),
        ("reset", |state, _| state.reset_ended(true), |stats| stats.resets_done),
        ("reset failed", |state, _| state.reset_ended(false), |stats| stats.resets_failed),
        ("rejected", reject, |stats| stats.rejected_at_checkout),
        ("detached", keep, |stats| stats.returned),
        ("detached after a while", keep, |stats| stats.use_time.count()),
    ];
    for (what, happens, count) in cases {
        let (mut state, start) = state(&Config { max_waiters: Some(0), ..ageless(2) });
        (0..2).for_each(|_| _ = open(&mut state, start));
        (0..2).for_each(|_| happens(&mut state, start));
        assert_eq!(count(&state.counters), 2, "{what}");
    }
    let (mut state, start) = state(&ageless(2));
    state.open_failed(Refusal::Permanent, driver_error(), start, &mut Actions::new());
    (0..2).for_each(|_| take(&mut state, start));
    state.close(start, &mut Actions::new());
    (0..2).for_each(|_| take(&mut state, start));
    assert_eq!((state.counters.refused, state.counters.refused_closed), (2, 2));
}

fn queue(state: &mut State<(), Broken>, now: Instant) -> Option<Ticket> {
    state.queue(Wake::Thread(Waiter::new()), borrower(0), now, SECOND)
}

fn reject(state: &mut State<(), Broken>, now: Instant) {
    let entry = lend(state, now);
    state.reject(entry, now, &mut Actions::new());
    assert_eq!(state.slots.count(Phase::Lent), 0);
}

fn keep(state: &mut State<(), Broken>, now: Instant) {
    let entry = lend(state, now);
    state.detached(entry.slot_id, now);
}

#[test]
fn what_one_who_waited_is_told_is_counted_when_it_hears_of_it() {
    let (mut state, start) = state(&ageless(2));
    state.open_failed(Refusal::Permanent, driver_error(), start, &mut Actions::new());
    for closes in [false, true] {
        let tickets = [queue(&mut state, start), queue(&mut state, start)];
        match closes {
            true => assert!(state.close(start, &mut Actions::new())),
            false => state.settle(start, &mut Actions::new()),
        }
        for ticket in tickets.into_iter().flatten() {
            assert!(state.receive(&ticket, start, borrower(0), &mut Actions::new()).is_some());
        }
    }
    assert_eq!((state.counters.refused, state.counters.refused_closed), (2, 2));
}
