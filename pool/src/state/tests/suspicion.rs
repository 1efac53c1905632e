//! What a connection in doubt shows about the others, before and after it is checked.

use super::by_hand::{MS, ageless, lend, open, state};
use super::world::Broken;
use crate::entry::Entry;
use crate::reason::CloseReason;
use crate::state::State;
use crate::state::actions::{Action, Actions, Work};
use std::time::{Duration, Instant};

type Pool = State<(), Broken>;

/// Returns a connection in doubt, which a worker then checks.
fn returns_in_doubt(state: &mut Pool, entry: Box<Entry<()>>, now: Instant) -> Box<Entry<()>> {
    let mut actions = Actions::new();
    state.check_in(entry, Duration::ZERO, Some(Work::Check), now, &mut actions);
    let mut checks = actions.into_iter().filter_map(|action| match action {
        Action::Check(entry) => Some(entry),
        _ => None,
    });
    checks.next().expect("it is asked")
}

/// The server answers its check.
fn answers(state: &mut Pool, mut entry: Box<Entry<()>>, now: Instant) {
    let mut actions = Actions::new();
    state.proved(&mut entry, now, &mut actions);
    state.put_proved(entry, now, &mut actions);
    assert!(matches!(&actions[..], [Action::Close(_, CloseReason::BeyondReset)]), "it is closed all the same");
}

/// A pool of `lent` lent connections and an idle one.
#[expect(clippy::vec_box, reason = "an entry is in its box wherever it goes")]
fn pool(lent: u32) -> (Pool, Instant, Vec<Box<Entry<()>>>) {
    let (mut state, start) = state(&ageless(4));
    (0..=lent).for_each(|_| _ = open(&mut state, start));
    let lent = (0..lent).map(|_| lend(&mut state, start)).collect();
    (state, start, lent)
}

#[test]
fn the_others_are_under_suspicion_until_the_server_has_answered() {
    let (mut state, start, mut lent) = pool(1);
    let doubtful = returns_in_doubt(&mut state, lent.remove(0), start + MS);
    assert!(state.pop_good(start + MS, &mut Actions::new()).is_none());
    assert!(state.none_beneath, "there was none");
    answers(&mut state, doubtful, start + 2 * MS);
    assert_eq!((state.fresh(start + 2 * MS), state.none_beneath), (1, false));
}

#[test]
fn a_death_that_was_proved_meanwhile_stands() {
    let (mut state, start, mut lent) = pool(2);
    let doubtful = returns_in_doubt(&mut state, lent.remove(0), start + MS);
    state.suspect(start + 2 * MS);
    answers(&mut state, doubtful, start + 3 * MS);
    assert_eq!(state.fresh(start + 3 * MS), 0);
}

#[test]
fn two_in_doubt_are_one_suspicion_which_the_answer_on_the_first_ends() {
    let (mut state, start, mut lent) = pool(2);
    let first = returns_in_doubt(&mut state, lent.remove(0), start + MS);
    let second = returns_in_doubt(&mut state, lent.remove(0), start + MS);
    answers(&mut state, second, start + 2 * MS);
    assert_eq!(state.fresh(start + 2 * MS), 0, "the first has not been answered");
    answers(&mut state, first, start + 3 * MS);
    assert_eq!(state.fresh(start + 3 * MS), 1);
}

#[test]
fn the_second_that_proves_dead_raises_it_anew() {
    let (mut state, start, mut lent) = pool(2);
    let first = returns_in_doubt(&mut state, lent.remove(0), start + MS);
    let second = returns_in_doubt(&mut state, lent.remove(0), start + MS);
    answers(&mut state, first, start + 2 * MS);
    assert_eq!(state.fresh(start + 2 * MS), 1);
    state.failed_check(&second, None, start + 3 * MS, &mut Actions::new());
    assert_eq!(state.fresh(start + 3 * MS), 0);
}

#[test]
fn one_that_is_dead_makes_the_server_unknown_once() {
    let (mut state, start, mut lent) = pool(2);
    let first = returns_in_doubt(&mut state, lent.remove(0), start + MS);
    let second = returns_in_doubt(&mut state, lent.remove(0), start + MS);
    let epoch = state.epoch;
    assert_eq!(state.heard_before_doubt, None, "the server's state is unknown");
    state.failed_check(&first, None, start + 2 * MS, &mut Actions::new());
    assert_eq!(state.heard_before_doubt, Some(start));
    // A new connection has been opened since.
    let fresh = open(&mut state, start + 3 * MS);
    state.failed_check(&second, None, start + 4 * MS, &mut Actions::new());
    assert_eq!((state.epoch, lend(&mut state, start + 4 * MS).slot_id), (epoch, fresh));
}
