//! Detailed reports change nothing: loans that bypass the lock continue to do so.

use super::by_hand::{MS, SECOND, ageless, lend, open, state};
use super::fast::{lies_in_a_cell, park, parked, take};
use crate::gate::Stage;
use crate::overview::Obstacle;
use crate::slots::Phase;
use crate::state::actions::Actions;

#[test]
fn a_look_leaves_the_cells_open_and_what_rests_in_them_where_it_is() {
    let (mut state, now) = parked(&ageless(2), 2);
    let mut actions = Actions::new();
    let connections = state.connections(now + SECOND);
    assert!(connections.iter().all(|connection| connection.phase == Phase::Idle && connection.holder.is_none()));
    assert!(state.waiters().is_empty() && state.outage(now).is_none());
    state.settle(now + SECOND, &mut actions);
    assert!(actions.is_empty() && state.fast.is_open() && lies_in_a_cell(&state));
}

#[test]
fn loans_beside_the_lock_are_shown_and_counted() {
    let (state, now) = parked(&ageless(1), 1);
    let uses = state.connections(now)[0].uses;
    let mut entry = state.caches().cell(0).take().unwrap();
    take(&state, &mut entry, now + MS / 10);
    let lent = &state.connections(now + MS)[0];
    assert_eq!((lent.phase, lent.uses, lent.in_phase_for), (Phase::Lent, uses, MS - MS / 10));
    assert_eq!(lent.holder.as_ref().map(|holder| holder.held_for), Some(lent.in_phase_for));
    park(&state, entry, now + MS / 5, 0);
    let idle = &state.connections(now + MS)[0];
    assert_eq!((idle.phase, idle.uses, idle.in_phase_for), (Phase::Idle, uses + 1, MS - MS / 5));
}

#[test]
fn a_loan_that_was_aborted_still_has_its_holder() {
    let (mut state, start) = state(&ageless(2));
    let slot = open(&mut state, start);
    let entry = lend(&mut state, start);
    state.aborted(slot, start + MS);
    let aborted = &state.connections(start + SECOND)[0];
    assert_eq!((aborted.phase, aborted.in_phase_for), (Phase::Aborted, SECOND), "it is with its holder since then");
    assert!(aborted.holder.is_some());
    drop(entry);
}

#[test]
fn connections_that_die_young_are_an_obstacle_of_their_own() {
    let (mut state, start) = state(&ageless(2));
    for death in 1..=3 {
        let at = start + death * SECOND;
        state.gate.stillborn(at - MS, Stage::Check, MS, at);
    }
    let outage = state.outage(start + 4 * SECOND).map(|outage| outage.told(start + 4 * SECOND)).unwrap();
    assert_eq!(outage.obstacle, Obstacle::ShortLived);
}
