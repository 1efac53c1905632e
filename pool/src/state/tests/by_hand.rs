//! Single methods of the state, where a test of a whole pool would hide the relevant number.

use super::world::{Broken, borrower};
use crate::config::Config;
use crate::entry::Entry;
use crate::gate::Refusal;
use crate::reason::CloseReason;
use crate::slots::{Phase, SlotId};
use crate::state::State;
use crate::state::actions::{Action, Actions, Claim};
use crate::state::promises::PromiseKind;
use crate::sync;
use crate::waiter::{Waiter, Wake};
use std::time::{Duration, Instant};

pub(super) const MS: Duration = Duration::from_millis(1);
pub(super) const SECOND: Duration = Duration::from_secs(1);
/// The wall clock at the start.
pub(super) const WALL: Duration = Duration::from_secs(1_000_000);

/// Settings under which nothing grows old.
pub(super) fn ageless(max_size: u32) -> Config {
    Config { max_size, max_lifetime: Duration::MAX, idle_timeout: Duration::MAX, ..Config::default() }
}

pub(super) fn state(config: &Config) -> (State<(), Broken>, Instant) {
    let now = sync::now();
    (State::new(config, now, WALL, fastrand::Rng::with_seed(0)), now)
}

/// Opens a connection, which is idle then.
pub(super) fn open(state: &mut State<(), Broken>, now: Instant) -> SlotId {
    let slot = state.slots.take(now);
    let mut entry = Box::new(Entry::new(slot, (), None, state.generation, now));
    state.admit(&mut entry, MS, now, &mut Actions::new());
    state.put_proved(entry, now, &mut Actions::new());
    slot
}

pub(super) fn lend(state: &mut State<(), Broken>, now: Instant) -> Box<Entry<()>> {
    match state.claim(now, borrower(0), &mut Actions::new()) {
        Claim::Connection(entry) => entry,
        _ => panic!("there is one"),
    }
}

pub(super) fn wait(state: &mut State<(), Broken>, since: Instant) {
    let wake = Wake::Thread(Waiter::new());
    let _ = state.queue_again(wake, borrower(0), since, 10 * SECOND);
}

#[test]
fn one_question_settles_a_doubt_near_by_and_far_away_a_log_in_that_no_answer_follows() {
    for (opening, is_near) in [(249 * MS, true), (250 * MS, false)] {
        let (mut state, start) = state(&ageless(4));
        state.patience.answered(PromiseKind::Open, opening, start);
        // A late check.
        let slot = state.slots.take(start);
        state.promise(slot, start, PromiseKind::Check);
        state.promises.ring(start + 500 * MS, None);
        let (began, raised, settled) = (start + SECOND, start + 2 * SECOND, start + 3 * SECOND);
        state.raise_doubt(raised);
        state.opened_at = Some(settled);
        let seen = settled + 20 * MS;
        assert_eq!(state.must_be_asked(), is_near);
        assert!(!state.is_settled(began, seen - MS) && state.is_being_settled(raised, seen - MS));
        assert_eq!((state.is_settled(began, seen), state.is_being_settled(raised, seen)), (!is_near, is_near));
        assert!(!state.is_being_settled(raised + MS, seen), "that call began later");
        state.settle_doubt(settled);
        assert!(state.is_settled(began, seen) && !state.is_settled(settled, seen) && !state.must_be_asked());
        state.raise_doubt(settled);
        assert!(!state.must_be_asked(), "the answer came in the same moment");
    }
}

#[test]
fn beneath_one_that_must_be_checked_a_fresh_one_is_lent_and_the_other_is_checked_meanwhile() {
    let (mut state, start) = state(&ageless(4));
    open(&mut state, start);
    let fresh = open(&mut state, start);
    let stale = lend(&mut state, start);
    state.suspect(start + MS);
    // One is proved again, the other is returned as it was.
    let mut proved = lend_any(&mut state);
    state.proved(&mut proved, start + 2 * MS, &mut Actions::new());
    state.put(proved, start + 2 * MS, &mut Actions::new());
    let (slot, top) = (stale.slot_id, start + 3 * MS);
    state.put(stale, top, &mut Actions::new());
    let mut actions = Actions::new();
    let claim = state.claim(top, borrower(0), &mut actions);
    assert!(matches!(claim, Claim::Connection(entry) if entry.slot_id != slot && entry.slot_id != fresh));
    assert!(matches!(&actions[..], [Action::Check(entry)] if entry.slot_id == slot));
}

/// Takes the newest idle connection, fresh or not.
pub(super) fn lend_any(state: &mut State<(), Broken>) -> Box<Entry<()>> {
    state.idle.pop().expect("there is one")
}

#[test]
fn an_opening_that_takes_twice_the_mean_makes_the_mean_count_no_more() {
    let (mut state, start) = state(&ageless(4));
    state.patience.answered(PromiseKind::Open, 100 * MS, start);
    (state.counters.checked_out_at_once, state.counters.checked_out_after_waiting) = (2, 3);
    let slot = state.slots.take(start);
    state.promise(slot, start, PromiseKind::Open);
    for (age, opening) in [(200, 100), (201, 1_000)] {
        let sight = state.sight(0, start + age * MS);
        assert_eq!((sight.opening, sight.loans), (opening * MS, 5), "after {age} ms");
    }
}

#[test]
fn a_success_that_is_recent_or_newer_than_the_first_who_waits_shows_that_the_server_lets_in() {
    let (mut state, start) = state(&ageless(4));
    state.patience.answered(PromiseKind::Open, 100 * MS, start);
    (state.opened_at, state.answered_at) = (Some(start), Some(start));
    assert!(state.lets_in(start + 500 * MS), "nobody waits");
    wait(&mut state, start + 50 * MS);
    for (at, lets_in) in [(99, true), (100, false), (500, false)] {
        assert_eq!(state.lets_in(start + at * MS), lets_in, "after {at} ms");
    }
    state.opened_at = Some(start + 50 * MS);
    assert!(state.lets_in(start + 500 * MS), "it came after the first began to wait");
    state.close(start + 500 * MS, &mut Actions::new());
}

#[test]
fn the_next_impatience_is_looked_for_among_as_many_as_could_be_served() {
    let (mut state, start) = state(&ageless(2));
    state.patience.answered(PromiseKind::Check, MS, start);
    // The patience with a check is 250 ms. The first waiter has none left.
    wait(&mut state, start);
    wait(&mut state, start + 100 * MS);
    let now = start + 300 * MS;
    assert_eq!(state.next_impatience(now), None, "without a check nobody relies on one");
    let (check, opening) = (state.slots.take(now), state.slots.take(now));
    state.promise(check, now, PromiseKind::Check);
    assert_eq!(state.next_impatience(now), None, "there is room for none");
    state.promise(opening, now, PromiseKind::Open);
    let second = start + 350 * MS;
    assert_eq!(state.next_impatience(now), Some(second), "an opening will serve the first");
    state.release(opening);
    assert_eq!(state.next_impatience(now), Some(second), "there is room for one");
    state.close(now, &mut Actions::new());
}

#[test]
fn nothing_is_opened_while_eight_calls_for_each_slot_have_been_given_up_and_not_returned() {
    for (aborted, abandoned, opens_no_more) in [(0, 0, false), (3, 4, false), (4, 4, true), (8, 0, true), (5, 4, true)]
    {
        let (mut state, start) = state(&ageless(1));
        (0..aborted).for_each(|_| {
            let slot = state.slots.take(start);
            state.aborted(slot, start);
        });
        (0..abandoned).for_each(|_| {
            let slot = state.slots.take(start);
            state.abandoned(slot, start);
        });
        assert_eq!(state.opens_no_more(), opens_no_more, "{aborted} and {abandoned}");
        let mut actions = Actions::new();
        state.open_for(1, start, &mut actions);
        assert_eq!(actions.is_empty(), opens_no_more);
    }
}

#[test]
fn loans_of_more_than_two_minutes_ago_give_nobody_hope() {
    let (mut state, start) = state(&ageless(1));
    open(&mut state, start);
    let _loan = lend(&mut state, start);
    state.gate.failed(start + 150 * SECOND, Refusal::Permanent, 1);
    let now = start + 150 * SECOND;
    state.look_for_hope(start);
    state.counters.use_time.record(100 * SECOND);
    let hope = |state: &mut State<(), Broken>| state.hope_ends(now).expect("all depends on the loan") - start;
    assert!(hope(&mut state) >= 100 * SECOND);
    state.look_for_hope(start + 60 * SECOND);
    assert!(hope(&mut state) >= 100 * SECOND, "it was a minute ago");
    state.counters.use_time.record(3 * SECOND);
    state.look_for_hope(start + 119 * SECOND);
    assert!(hope(&mut state) >= 100 * SECOND, "less than a minute since the last look");
    state.look_for_hope(start + 120 * SECOND);
    assert!((3 * SECOND..4 * SECOND).contains(&hope(&mut state)));
}

#[test]
fn an_answer_older_than_a_doubt_settles_no_later_one_either() {
    let (mut state, start) = state(&ageless(4));
    open(&mut state, start);
    let mut entry = lend_any(&mut state);
    state.suspect(start + 2 * MS);
    state.proved(&mut entry, start + MS, &mut Actions::new());
    assert!(!state.is_fresh(&entry, start + 3 * MS));
    state.suspect(start + 3 * MS);
    assert!(!state.is_fresh(&entry, start + 3 * MS));
}

#[test]
fn others_are_asked_after_an_eighth_of_the_time_of_one_who_waits() {
    let (mut state, start) = state(&ageless(4));
    let slot = state.slots.take(start);
    state.promise(slot, start, PromiseKind::Check);
    assert_eq!(state.promises.next_moment(), Some(start + SECOND), "nobody waits");
    let _ = state.queue_again(Wake::Thread(Waiter::new()), borrower(0), start, 80 * MS);
    for (kind, late) in [(PromiseKind::Check, 10), (PromiseKind::Reset, 10), (PromiseKind::Open, 1_000)] {
        state.promise(slot, start, kind);
        assert_eq!(state.promises.next_moment(), Some(start + late * MS), "{kind:?}");
    }
    state.close(start, &mut Actions::new());
}

#[test]
fn what_is_answered_while_all_is_calm_says_nothing_of_the_server() {
    for (took, late) in [(49, 1_000), (50, 100), (51, 102)] {
        let (mut state, start) = state(&ageless(4));
        let slot = state.slots.take(start);
        state.promise(slot, start, PromiseKind::Check);
        state.calm_until = Some(start + 50 * MS);
        state.keep_promise(slot, start + took * MS);
        assert_eq!(state.patience.spans(PromiseKind::Check).late, late * MS, "after {took} ms");
    }
}

#[test]
fn of_two_goodbyes_that_to_the_dead_makes_room_first() {
    let (mut state, start) = state(&ageless(4));
    let [evicted, dead] = [CloseReason::Evicted, CloseReason::CheckFailed].map(|reason| {
        let slot = state.slots.take(start);
        state.closing(slot, reason, start);
        slot
    });
    state.promises.ring(start + 10 * SECOND, None);
    assert_eq!(state.promises.late_in_queue().collect::<Vec<_>>(), [dead, evicted]);
}

#[test]
fn a_newcomer_is_served_before_the_first_only_within_the_window() {
    for (waited, is_served) in [(10, true), (11, false)] {
        let (mut state, start) = state(&Config { fairness_window: 10 * MS, ..ageless(4) });
        open(&mut state, start);
        wait(&mut state, start);
        let claim = state.claim(start + waited * MS, borrower(0), &mut Actions::new());
        assert_eq!(matches!(claim, Claim::Connection(_)), is_served, "after {waited} ms");
        state.close(start + SECOND, &mut Actions::new());
    }
}

#[test]
fn a_waiter_relies_on_an_opening_until_it_is_late() {
    let (mut state, start) = state(&ageless(4));
    let first = open(&mut state, start);
    state.idle.clear();
    state.release(first);
    wait(&mut state, start);
    let slot = state.slots.take(start);
    state.promise(slot, start, PromiseKind::Open);
    for (now, openings) in [(start + 999 * MS, 0), (start + SECOND, 1)] {
        state.promises.ring(now, None);
        (state.opened_at, state.answered_at) = (Some(now), Some(now));
        let mut actions = Actions::new();
        state.open_for(1, now, &mut actions);
        assert_eq!(actions.len(), openings, "after {:?}", now - start);
    }
    state.close(start + SECOND, &mut Actions::new());
}

#[test]
fn what_comes_back_beyond_max_size_is_closed_and_no_more_than_that() {
    let (mut state, start) = state(&ageless(2));
    (0..2).for_each(|_| _ = open(&mut state, start));
    let loans = [lend(&mut state, start), lend(&mut state, start)];
    state.resize(1, 0, start, &mut Actions::new());
    let mut actions = Actions::new();
    loans.into_iter().for_each(|entry| state.put(entry, start, &mut actions));
    assert!(matches!(&actions[..], [Action::Close(_, CloseReason::Surplus)]));
    assert_eq!((state.idle.len(), state.slots.count(Phase::Closing)), (1, 1));
}

#[test]
fn a_leak_and_a_wait_are_counted() {
    let (mut state, start) = state(&Config { leak_after: 5 * SECOND, ..ageless(1) });
    open(&mut state, start);
    let _loan = lend(&mut state, start);
    let (due, mut actions) = (start + 5 * SECOND, Actions::new());
    state.tick(due, due, WALL + 5 * SECOND, &mut actions);
    state.tick(due + SECOND, due + SECOND, WALL + 6 * SECOND, &mut actions);
    assert!(matches!(&actions[..], [Action::ReportLeak(_)]));
    state.served_after(MS);
    assert_eq!((state.counters.leaks, state.counters.wait_time.count()), (1, 1));
}
