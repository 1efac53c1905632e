//! A pool's report on its health: the cases that need a minute, or known numbers.

use super::by_hand::{MS, SECOND, ageless, lend, open, state, wait};
use super::world::Broken;
use crate::cause::Cause;
use crate::gate::Refusal;
use crate::health::Health;
use crate::histogram::Histogram;
use crate::slots::Phase;
use crate::state::State;
use crate::state::actions::Actions;
use std::time::Instant;

fn health(state: &State<(), Broken>, now: Instant) -> Health {
    state.health(now).told()
}

#[test]
fn a_pool_is_stuck_when_every_place_is_held_for_a_minute_or_by_a_call_that_hangs() {
    let (mut state, start) = state(&ageless(2));
    open(&mut state, start);
    let _one = lend(&mut state, start);
    let slot = state.slots.take(start);
    // One slot is free, so a connection could be opened.
    assert!(matches!(health(&state, start + 61 * SECOND), Health::Up));
    state.slots.enter(slot, Phase::Checking, start);
    state.slots.mark_stuck(slot);
    assert!(matches!(health(&state, start + 59 * SECOND), Health::Up));
    let Health::Stuck { holders } = health(&state, start + 60 * SECOND) else { panic!("it is stuck") };
    assert_eq!((holders.len(), holders[0].held_for), (1, 60 * SECOND));
}

#[test]
fn a_pool_is_down_since_its_first_failure_while_nothing_is_open() {
    let (mut state, start) = state(&ageless(2));
    let fail = |state: &mut State<(), Broken>, at| {
        state.open_failed(Refusal::Unavailable, Cause::other("away"), at, &mut Actions::new());
    };
    fail(&mut state, start);
    fail(&mut state, start + SECOND);
    let Health::Down { since, cause } = health(&state, start + 2 * SECOND) else { panic!("it is down") };
    assert_eq!((since, cause.unwrap().to_string().as_str()), (2 * SECOND, "away"));
    open(&mut state, start + 3 * SECOND);
    assert!(matches!(health(&state, start + 3 * SECOND), Health::Up), "one serves");
}

#[test]
fn a_wait_is_the_loans_of_those_before_on_all_connections() {
    let (mut state, start) = state(&ageless(2));
    let held: Vec<_> = (0..2).map(|_| (open(&mut state, start), lend(&mut state, start)).1).collect();
    for _ in 0..3 {
        wait(&mut state, start);
    }
    let mut use_time = Histogram::default();
    use_time.record(10 * MS);
    state.patience.used(&use_time);
    // Three stand before it, and two are served at a time.
    let Health::Busy { expected_wait } = health(&state, start) else { panic!("somebody waits") };
    assert_eq!(expected_wait, 20 * MS);
    // The head has waited for longer than that.
    let Health::Busy { expected_wait } = health(&state, start + SECOND) else { panic!("somebody waits") };
    assert_eq!(expected_wait, SECOND);
    state.close(start + SECOND, &mut Actions::new());
    drop(held);
}
