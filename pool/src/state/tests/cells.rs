//! The cells: when they open, which connections may be parked in them, and in which order those return to the state.

use super::by_hand::{MS, SECOND, ageless, open, state};
use super::fast::{change, end_loan, get, lies_in_a_cell, opened, park, parked, take};
use super::world::{Broken, borrower};
use crate::cause::Cause;
use crate::config::Config;
use crate::entry::{BUSY, Entry};
use crate::gate::{Refusal, Stage, YOUNG};
use crate::state::State;
use crate::state::actions::{Action, Actions, Claim};
use crate::sync;
use std::time::{Duration, Instant};

type Lent = Box<Entry<()>>;

/// Two loans of a thread in quick succession. The second may end outside the lock.
fn twice(state: &mut State<(), Broken>, now: Instant, thread: usize) -> Lent {
    let entry = get(state, now, thread).expect("it is idle");
    end_loan(state, entry, now);
    get(state, now, thread).expect("it is idle")
}

fn borrows_as_often_as_there_are_cells(state: &mut State<(), Broken>, now: Instant) {
    for _ in 0..state.caches().count() {
        let entry = get(state, now, 9).expect("it is idle");
        end_loan(state, entry, now);
    }
}

#[test]
fn cells_open_though_min_idle_cannot_be_met() {
    let config = Config { min_idle: 2, ..ageless(4) };
    let (mut state, now) = state(&config);
    open(&mut state, now);
    state.open_failed(Refusal::Capacity, Cause::other("full"), now, &mut Actions::new());
    assert!(state.falls_short());
    borrows_as_often_as_there_are_cells(&mut state, now);
    assert!(state.falls_short() && state.fast.is_open());
    let entry = twice(&mut state, now, 0);
    park(&state, entry, now, 0);
    change(&mut state, now, |_, _| ());
    assert!(lies_in_a_cell(&state));
}

#[test]
fn what_rests_in_a_cell_is_found_before_anything_is_opened_for_min_idle() {
    let config = Config { min_idle: 1, ..ageless(4) };
    let (mut state, now) = state(&config);
    open(&mut state, now);
    borrows_as_often_as_there_are_cells(&mut state, now);
    let entry = twice(&mut state, now, 0);
    park(&state, entry, now, 0);
    state.open_failed(Refusal::Capacity, Cause::other("full"), now, &mut Actions::new());
    // Its thread borrows no more. The next attempt is due, and nothing else happens.
    let due = state.gate.retry_at().expect("it retries");
    let later = due.max(now + BUSY + MS);
    assert!(state.falls_short());
    let mut actions = Actions::new();
    state.settle(later, &mut actions);
    assert!(!actions.iter().any(|action| matches!(action, Action::Open(_))), "one is idle");
    assert_eq!((state.idle.len(), state.falls_short()), (1, false));
}

#[test]
fn while_young_ones_die_the_loans_of_the_young_are_heard_and_others_pass_the_lock_by() {
    for (age, may_rest) in [(YOUNG - MS, false), (YOUNG, true)] {
        let (mut state, start) = state(&ageless(4));
        open(&mut state, start);
        open(&mut state, start);
        let now = start + age;
        state.gate.stillborn(now, Stage::Check, MS, now);
        assert!(state.gate.is_cold(), "a loan does not end the doubt");
        borrows_as_often_as_there_are_cells(&mut state, now);
        assert!(state.fast.is_open());
        // The other has been on loan since, so its outcome is known.
        let lent = [0, 0].map(|thread| get(&mut state, now, thread).expect("it is idle"));
        assert_eq!(lent[1].uses, 0);
        assert_eq!(lent[1].permit.is_some(), may_rest, "{age:?}");
    }
}

#[test]
fn a_young_one_that_dies_calls_back_what_is_parked() {
    let (mut state, now) = parked(&ageless(4), 2);
    let mut other = get(&mut state, now, 1).expect("it is idle");
    other.uses = 1;
    change(&mut state, now, |state, actions| {
        state.panicked_at_return(&other, now, actions);
    });
    assert!(!lies_in_a_cell(&state) && !state.fast.is_open());
}

#[test]
fn one_on_trial_and_one_whose_session_was_soiled_have_no_permit() {
    let flaws: [(&str, fn(&mut Entry<()>)); 2] =
        [("on trial", |entry| entry.on_trial = true), ("soiled", |entry| entry.was_soiled = true)];
    for (what, spoil) in flaws {
        let (mut state, now) = opened(&ageless(4), 1);
        assert!(twice(&mut state, now, 0).permit.is_some());
        let (mut state, now) = opened(&ageless(4), 1);
        spoil(state.idle.last_mut().expect("it is idle"));
        assert!(twice(&mut state, now, 0).permit.is_none(), "{what}");
    }
}

#[test]
fn what_has_rested_for_long_comes_home_when_another_borrows_and_is_the_next_if_it_was_used_last() {
    let (mut state, now) = parked(&ageless(4), 2);
    let mut parked = state.caches().cell(0).take().expect("it is parked");
    let id = parked.id;
    take(&state, &mut parked, now + MS / 5);
    park(&state, parked, now + MS / 5, 0);
    let soon = get(&mut state, now + BUSY + MS / 10, 1).expect("one is idle");
    assert!(soon.id != id && lies_in_a_cell_of(&state, id), "its thread may come back");
    let later = now + 3 * BUSY;
    end_loan(&mut state, soon, now + BUSY + MS / 10);
    let next = get(&mut state, later, 2).expect("both are idle");
    assert_ne!(next.id, id, "the other was used after it");
    assert!(!lies_in_a_cell(&state));
    assert_eq!(get(&mut state, later, 3).map(|entry| entry.id), Some(id));
}

fn lies_in_a_cell_of(state: &State<(), Broken>, id: u64) -> bool {
    let Some(entry) = state.caches().cell(0).take() else { return false };
    let is_there = entry.id == id;
    assert!(state.caches().cell(0).park(entry).is_none());
    is_there
}

#[test]
fn what_comes_home_late_lies_beneath_what_was_used_since() {
    let (mut state, now) = opened(&ageless(4), 3);
    let mut entry = twice(&mut state, now, 0);
    entry.last_used = now;
    let id = entry.id;
    let others: Vec<Lent> = (1..3).map(|thread| get(&mut state, now, thread).expect("it is idle")).collect();
    let ids: Vec<u64> = others.iter().map(|other| other.id).collect();
    (1..).zip(others).for_each(|(turn, other)| end_loan(&mut state, other, now + turn * MS));
    change(&mut state, now + SECOND, |state, actions| state.come_home(entry, now + SECOND, actions));
    let order: Vec<u64> = state.idle.iter().map(|entry| entry.id).collect();
    assert_eq!(order, [id, ids[0], ids[1]]);
}

#[test]
fn what_comes_home_late_and_may_be_lent_as_it_is_lies_above_what_must_be_checked() {
    let (mut state, now) = opened(&ageless(4), 2);
    let mut entry = twice(&mut state, now, 0);
    (entry.last_used, entry.fresh_until) = (now, Some(now + SECOND));
    let id = entry.id;
    let mut stale = get(&mut state, now, 1).expect("it is idle");
    stale.fresh_until = Some(now);
    end_loan(&mut state, stale, now + MS);
    change(&mut state, now + 2 * MS, |state, actions| state.come_home(entry, now + 2 * MS, actions));
    assert_eq!(state.idle.last().map(|entry| entry.id), Some(id));
}

#[test]
fn a_borrower_that_finds_nothing_takes_one_of_those_that_are_parked_each_time_from_another_cell() {
    let (mut state, now) = opened(&ageless(4), 2);
    assert!(state.caches().count() >= 2, "this test needs two cores");
    for thread in 0..2 {
        let entry = twice(&mut state, now, thread);
        park(&state, entry, now, thread);
    }
    let first = get(&mut state, now, 2).expect("two are parked");
    let first_id = first.id;
    end_loan(&mut state, first, now);
    let first = get(&mut state, now, 2).expect("it is idle");
    assert_eq!(first.id, first_id);
    park(&state, first, now, 0);
    let second = get(&mut state, now, 3).expect("two are parked");
    assert_ne!(second.id, first_id, "it had its turn");
    assert!(lies_in_a_cell_of(&state, first_id), "the other stays");
}

#[test]
fn two_busy_threads_with_the_same_seat_are_told_to_part() {
    let (mut state, now) = opened(&ageless(4), 2);
    let mut is_told = |at: Duration, thread| {
        let mut entry = match state.claim(now + at, borrower(thread), &mut Actions::new()) {
            Claim::Connection(entry) => entry,
            _ => panic!("one is idle"),
        };
        let is_told = state.permit(&mut entry, now + at, borrower(thread), (thread, 0));
        end_loan(&mut state, entry, now + at);
        is_told
    };
    assert!(!is_told(MS, 0) && !is_told(MS, 0));
    assert!(is_told(MS + BUSY, 1), "the other has borrowed just now");
    assert!(!is_told(2 * MS + BUSY, 0), "nobody has for a while");
    assert!(is_told(2 * MS + BUSY + MS / 10, 1));
    assert!(!is_told(2 * MS + BUSY + MS / 5, 0), "the other was asked to move, and does");
}

#[test]
fn a_pool_that_is_made_larger_has_cells_for_as_many_threads() {
    let (state, _) = state(&ageless(1));
    assert!(state.caches().count() >= 4.min(2 * sync::cores()));
}
