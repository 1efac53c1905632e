//! What is read of the state: how a pool that is being built fares, the last error, and which loans go on.

use super::by_hand::{MS, SECOND, ageless, lend, open, state};
use super::world::Broken;
use crate::cause::Cause;
use crate::gate::Refusal;
use crate::state::actions::{Action, Actions};
use crate::state::reports::BuildProgress;
use crate::waiter::{Waiter, Wake};
use std::sync::Arc;

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
            assert!(matches!(state.build_progress(2, start + SECOND), Trying { .. }), "it may be tried again");
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
