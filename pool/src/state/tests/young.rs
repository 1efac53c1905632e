//! Connections that die young, and connections that prove that new ones live.

use super::by_hand::{MS, ageless, lend, lend_any, open, state};
use crate::cause::Cause;
use crate::entry::Entry;
use crate::gate::{Refusal, Stage};
use crate::state::actions::Actions;

#[test]
fn a_connection_that_dies_before_its_first_loan_or_soon_after_it_died_young() {
    for (uses, age, is_young) in [(0, 999, true), (0, 1_000, false), (1, 49, true), (1, 50, false)] {
        let (mut state, start) = state(&ageless(4));
        open(&mut state, start);
        let mut entry = lend(&mut state, start);
        entry.uses = uses;
        state.failed_look(&entry, start + age * MS, &mut Actions::new());
        assert_eq!(state.gate.doubts_the_new(), is_young, "{uses} uses, {age} ms");
    }
    for (uses, age, is_young) in [(1, 999, true), (1, 1_000, false), (2, 49, true), (2, 50, false)] {
        let (mut state, start) = state(&ageless(4));
        open(&mut state, start);
        let mut entry = lend(&mut state, start);
        entry.uses = uses;
        state.broke_in_use(&entry, start + age * MS, &mut Actions::new());
        assert_eq!(state.gate.doubts_the_new(), is_young, "{uses} uses, {age} ms");
    }
    let (mut state, start) = state(&ageless(4));
    open(&mut state, start);
    let entry = lend(&mut state, start);
    state.failed_reset(&entry, None, start + MS, &mut Actions::new());
    assert!(state.gate.doubts_the_new());
}

#[test]
fn on_checkout_that_refuses_what_was_lent_before_says_nothing_of_new_ones() {
    for (uses, doubts) in [(0, true), (1, false)] {
        let (mut state, start) = state(&ageless(4));
        open(&mut state, start);
        let mut entry = lend(&mut state, start);
        entry.uses = uses;
        state.refused(&entry, Cause::other("too old"), start + MS, &mut Actions::new());
        assert_eq!(state.gate.doubts_the_new(), doubts, "{uses} uses");
    }
}

#[test]
fn one_death_is_no_failure_to_connect_and_two_are_unless_a_worse_one_is_known() {
    let (mut state, start) = state(&ageless(4));
    for death in 0..2 {
        let now = start + death * 10 * MS;
        open(&mut state, now);
        let entry = lend_any(&mut state);
        state.failed_check(&entry, None, now + MS, &mut Actions::new());
        assert_eq!(state.last_error.is_some(), death == 1, "{death}");
    }
    state.last_error = None;
    state.gate.failed(start + 20 * MS, Refusal::Permanent, 2);
    let entry = Entry::new(0, (), None, 0, start + 20 * MS);
    state.failed_check(&entry, None, start + 21 * MS, &mut Actions::new());
    assert!(state.last_error.is_none(), "a fault that must be fixed is reported");
}

#[test]
fn one_on_trial_settles_a_doubt_and_one_as_young_does() {
    for (on_trial, age, settles) in [(false, 999, true), (false, 1_000, false), (true, 2_000, true)] {
        let (mut state, start) = state(&ageless(4));
        open(&mut state, start);
        let mut entry = lend_any(&mut state);
        let now = start + age * MS;
        state.gate.stillborn(now - MS, Stage::Use, MS, now);
        entry.on_trial = on_trial;
        state.passed(&mut entry, Stage::Use, now, &mut Actions::new());
        assert_eq!((state.gate.doubts_the_new(), state.gate.is_cold()), (!settles, !settles), "{on_trial} {age}");
    }
    let (mut state, start) = state(&ageless(4));
    open(&mut state, start);
    let mut entry = lend_any(&mut state);
    state.gate.start_anew(start);
    entry.on_trial = false;
    state.passed(&mut entry, Stage::Use, start + MS, &mut Actions::new());
    assert!(state.gate.is_cold(), "without a doubt it shows nothing about new connections");
}

#[test]
fn a_connection_that_died_unused_is_made_good_by_one_that_lives_unused_and_one_that_died_in_use_is_not() {
    for (used_when_it_died, used) in [(false, false), (false, true), (true, false), (true, true)] {
        let (mut state, start) = state(&ageless(4));
        open(&mut state, start);
        let mut dead = lend_any(&mut state);
        (dead.uses, dead.was_touched) = (1, used_when_it_died);
        state.broke_in_use(&dead, start + MS, &mut Actions::new());
        open(&mut state, start + 2 * MS);
        let mut entry = lend_any(&mut state);
        (entry.uses, entry.was_touched) = (1, used);
        state.check_in(entry, 2 * MS, None, start + 4 * MS, &mut Actions::new());
        assert_eq!(state.gate.doubts_the_new(), used_when_it_died && !used, "{used_when_it_died}, {used}");
    }
}

#[test]
fn one_stays_on_trial_as_long_as_it_leaves_a_doubt_and_no_longer_than_its_generation() {
    let (mut state, start) = state(&ageless(4));
    open(&mut state, start);
    let mut entry = lend_any(&mut state);
    state.gate.stillborn(start, Stage::Check, MS, start + MS);
    entry.on_trial = true;
    state.found_well(&mut entry, Stage::Look, start + 2 * MS, &mut Actions::new());
    assert!(entry.on_trial, "it was not checked yet");
    state.evict_all(start + 3 * MS, &mut Actions::new());
    state.found_well(&mut entry, Stage::Check, start + 4 * MS, &mut Actions::new());
    assert!(!entry.on_trial && state.gate.is_cold(), "it shows nothing about the current generation");
}

#[test]
fn a_server_in_the_wrong_role_puts_the_others_under_suspicion_once_and_is_named_from_the_second_young_one_on() {
    let (mut state, start) = state(&ageless(4));
    open(&mut state, start);
    let entry = lend_any(&mut state);
    let epoch = state.epoch;
    state.failed_in_role(&entry, Stage::Check, start + MS, &mut Actions::new());
    state.failed_in_role(&entry, Stage::Check, start + 2 * MS, &mut Actions::new());
    assert_eq!((state.epoch, state.last_error.is_some()), (epoch + 1, false), "it was under suspicion itself by then");
    open(&mut state, start + 10 * MS);
    let entry = lend_any(&mut state);
    state.failed_in_role(&entry, Stage::Check, start + 11 * MS, &mut Actions::new());
    let told = state.last_error.map(|(cause, _)| cause.to_string());
    assert_eq!(told.as_deref(), Some("the server of a new connection does not have the required role"));
}
