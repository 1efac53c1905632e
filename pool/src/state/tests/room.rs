//! The calls that are given up to make room, or to free a thread, for waiters.

use super::by_hand::{MS, SECOND, ageless, state, wait};
use super::supply::Fate::{Aborting, InTime, Late, Lost, Queued};
use super::supply::{CHECK, GOODBYE, OPEN, calls, warm, with_ceiling};
use super::world::Broken;
use crate::gate::Refusal;
use crate::state::State;
use crate::state::actions::{Action, Actions};
use std::time::Instant;

/// The number of calls aborted now to make room, and of goodbyes hastened.
fn given_up(state: &mut State<(), Broken>, waiting: usize, now: Instant) -> (usize, usize) {
    let mut actions = Actions::new();
    state.make_room(waiting, now, &mut actions);
    let hastened = actions.iter().filter(|action| matches!(action, Action::Hasten(_))).count();
    (actions.len() - hastened, hastened)
}

#[test]
fn as_many_late_goodbyes_make_room_as_waiters_are_owed_one_and_first_those_under_way() {
    for (max_size, waiting, under_way, queued, aborted, hastened) in [
        (3, 1, 3, 0, 1, 0),
        (3, 3, 1, 2, 1, 2),
        // Beyond `max_size`, that many more must go.
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
fn late_goodbyes_give_their_threads_to_as_many_calls_as_lack_one_and_are_waited_for() {
    let (mut state, start) = warm(&ageless(9));
    let _limits = [calls(&mut state, 3, GOODBYE, Late, start), calls(&mut state, 2, OPEN, Queued, start)];
    state.promises.ring(start + 25 * MS, None);
    for (waiting, aborted) in [(0, 0), (1, 1), (1, 0), (5, 1), (5, 0)] {
        let mut actions = Actions::new();
        state.make_threads_free(waiting, start + 25 * MS, &mut actions);
        assert_eq!(actions.len(), aborted, "{waiting} wait");
    }
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
fn none_is_given_up_to_find_out_while_an_opening_or_an_abort_is_under_way() {
    for (kind, fate) in [(OPEN, InTime), (CHECK, Aborting)] {
        let (mut state, start) = warm(&ageless(4));
        state.patience.answered(CHECK, MS, start);
        state.patience.answered(OPEN, 900 * MS, start);
        (0..3).for_each(|_| wait(&mut state, start));
        let _limits = [calls(&mut state, 3, CHECK, Lost, start), calls(&mut state, 1, kind, fate, start)];
        assert_eq!(given_up(&mut state, 3, start + SECOND / 2), (0, 0), "{kind:?} {fate:?}");
        state.close(start + SECOND, &mut Actions::new());
    }
}

#[test]
fn behind_eight_calls_that_nobody_can_abort_one_that_can_be_makes_room() {
    let (mut state, start) = warm(&ageless(9));
    wait(&mut state, start);
    state.opened_at = Some(start + MS);
    drop(calls(&mut state, 8, CHECK, Lost, start));
    let _limit = calls(&mut state, 1, CHECK, Lost, start);
    assert_eq!(given_up(&mut state, 1, start + 20 * MS), (0, 0), "after the log-in there may be answers");
    assert_eq!(given_up(&mut state, 1, start + 21 * MS), (1, 0));
    state.close(start + 21 * MS, &mut Actions::new());
}

#[test]
fn at_the_end_all_calls_that_run_are_aborted() {
    let (mut state, start) = state(&ageless(4));
    let (mut actions, _limits) = (Actions::new(), calls(&mut state, 3, CHECK, InTime, start));
    state.abort_calls(&mut actions);
    assert_eq!(actions.iter().filter(|action| matches!(action, Action::Abort(..))).count(), 3);
}
