//! Which loans may bypass the lock, and what recalls parked connections.

use super::by_hand::{MS, SECOND, WALL, ageless, open, state, wait};
use super::world::{Broken, borrower};
use crate::cause::Cause;
use crate::config::Config;
use crate::entry::{BUSY, Entry};
use crate::gate::Refusal;
use crate::reason::CloseReason;
use crate::state::State;
use crate::state::actions::{Action, Actions, Claim};
use std::sync::Arc;
use std::time::{Duration, Instant};

type Parked = Box<Entry<()>>;

pub(super) fn change(
    state: &mut State<(), Broken>,
    now: Instant,
    change: impl FnOnce(&mut State<(), Broken>, &mut Actions<(), Broken>),
) {
    let mut actions = Actions::new();
    change(state, &mut actions);
    state.settle(now, &mut actions);
}

/// Borrows in the thread with this number.
pub(super) fn get(state: &mut State<(), Broken>, now: Instant, thread: usize) -> Option<Parked> {
    let mut actions = Actions::new();
    let Claim::Connection(mut entry) = state.claim(now, borrower(thread), &mut actions) else { return None };
    let _ = state.permit(&mut entry, now, borrower(thread), (thread, thread));
    state.settle(now, &mut actions);
    entry.lent_at = now;
    Some(entry)
}

pub(super) fn end_loan(state: &mut State<(), Broken>, mut entry: Parked, now: Instant) {
    entry.was_touched = true;
    change(state, now, |state, actions| state.check_in(entry, Duration::ZERO, None, now, actions));
}

/// Ends the loan outside the lock.
pub(super) fn park(state: &State<(), Broken>, mut entry: Parked, now: Instant, seat: usize) {
    let cell = state.caches().cell(seat);
    let permit = entry.permit.as_mut().expect("it has a permit");
    assert!(permit.end(cell.version(), now - entry.lent_at, true));
    entry.last_used = now;
    assert!(cell.park(entry).is_none());
}

/// Begins a loan of a parked connection outside the lock.
pub(super) fn take(state: &State<(), Broken>, entry: &mut Parked, now: Instant) {
    let version = state.caches().cell(0).version();
    assert!(entry.permit.as_mut().expect("it has a permit").begin(version, now, borrower(0)));
    entry.lent_at = now;
}

/// A pool with `idle` idle connections and open cells.
pub(super) fn opened(config: &Config, idle: u32) -> (State<(), Broken>, Instant) {
    let (mut state, start) = state(config);
    (0..idle).for_each(|_| _ = open(&mut state, start));
    while !state.fast.is_open() {
        let entry = get(&mut state, start, 9).expect("it is idle");
        end_loan(&mut state, entry, start);
    }
    // That thread's loans are long past.
    (state, start + SECOND / 2)
}

/// A pool with one of its connections parked in the cell of thread 0.
pub(super) fn parked(config: &Config, idle: u32) -> (State<(), Broken>, Instant) {
    let (mut state, now) = opened(config, idle);
    let entry = get(&mut state, now, 0).expect("it is idle");
    end_loan(&mut state, entry, now);
    let entry = get(&mut state, now, 0).expect("it is idle");
    park(&state, entry, now, 0);
    assert_eq!((state.stats().idle, state.stats().in_use), (idle, 0));
    (state, now)
}

pub(super) fn lies_in_a_cell(state: &State<(), Broken>) -> bool {
    state.caches().cells_from(0).filter_map(|(_, cell)| cell.take()).count() > 0
}

#[test]
fn the_second_of_two_loans_of_a_thread_has_a_permit_if_it_comes_within_half_a_millisecond() {
    for (apart, thread, has_permit) in [(BUSY, 0, true), (BUSY + MS / 1_000, 0, false), (MS / 10, 4, false)] {
        let (mut state, now) = opened(&ageless(4), 1);
        let entry = get(&mut state, now, 0).unwrap();
        assert!(entry.permit.is_none());
        end_loan(&mut state, entry, now);
        let entry = get(&mut state, now + apart, thread).unwrap();
        assert_eq!(entry.permit.is_some(), has_permit, "after {apart:?}, by thread {thread}");
    }
}

#[test]
fn there_are_four_permits_for_each_cell_at_most() {
    let (mut state, now) = opened(&ageless(64), 64);
    let most = 4 * state.caches().count();
    let mut held = Vec::new();
    for _ in 0..2 * most + 2 {
        let entry = get(&mut state, now, 0).unwrap();
        held.push(entry);
    }
    assert_eq!(held.iter().filter(|entry| entry.permit.is_some()).count(), most);
    let entry = held.remove(1);
    end_loan(&mut state, entry, now);
    assert!(get(&mut state, now, 0).unwrap().permit.is_some(), "one was given back");
}

#[test]
fn a_permit_is_good_until_the_connection_must_be_checked_or_is_too_old() {
    let cases = [
        (Duration::MAX, Duration::MAX, None),
        (SECOND, Duration::MAX, Some(SECOND)),
        (SECOND, SECOND / 4, Some(SECOND / 4)),
    ];
    for (check_after, max_lifetime, good_for) in cases {
        let config = Config { check_after, max_lifetime, lifetime_jitter: 0.0, ..ageless(1) };
        let (mut state, start) = state(&config);
        open(&mut state, start);
        let mut loans = 0;
        let (good_until, birth) = loop {
            let entry = get(&mut state, start, 0).unwrap();
            match &entry.permit {
                Some(permit) => break (permit.good_until, permit.meter.ticks(start)),
                None => end_loan(&mut state, entry, start),
            }
            loans += 1;
            assert!(loans < 10);
        };
        let good_for = good_for.map_or(u64::MAX, |span| birth + span.as_nanos() as u64);
        assert_eq!(good_until, good_for);
    }
}

#[test]
fn whatever_concerns_each_loan_calls_back_what_is_parked() {
    type Change = fn(&mut State<(), Broken>, Instant, &mut Actions<(), Broken>);
    let changes: [(&str, Change); 8] = [
        ("a waiter", |state, now, _| wait(state, now)),
        ("a waiter that does not wait", |state, _, _| state.want_one()),
        ("a doubt", |state, now, _| state.suspect(now)),
        ("an eviction", |state, now, actions| state.evict_all(now, actions)),
        ("a resize", |state, now, actions| state.resize(3, 0, now, actions)),
        ("a reserve", |state, now, actions| state.resize(4, 2, now, actions)),
        ("the maintenance", |state, now, actions| state.tick(now, now, WALL, actions)),
        ("the close", |state, now, actions| _ = state.close(now, actions)),
    ];
    for (what, make) in changes {
        let (mut state, now) = parked(&ageless(4), 1);
        change(&mut state, now, |state, actions| make(state, now, actions));
        assert!(!lies_in_a_cell(&state), "{what}");
        assert!(!state.fast.is_open(), "{what}");
        state.close(now, &mut Actions::new());
    }
    let (mut state, now) = parked(&ageless(4), 1);
    change(&mut state, now, |_, _| ());
    assert!(lies_in_a_cell(&state), "nothing has happened");
}

#[test]
fn a_borrower_that_finds_nothing_idle_has_what_another_thread_has_parked() {
    let (mut state, now) = parked(&ageless(4), 1);
    assert!(get(&mut state, now, 1).is_some());
    assert!(state.fast.is_open(), "nobody waits");
}

#[test]
fn the_cells_open_again_after_as_many_returns_as_there_are_cells() {
    let (mut state, now) = parked(&ageless(4), 1);
    change(&mut state, now, |state, _| state.suspect(now));
    let mut entry = state.idle.pop().unwrap();
    state.proved(&mut entry, now, &mut Actions::new());
    change(&mut state, now, |state, actions| state.put(entry, now, actions));
    for returns in 0..state.caches().count() {
        assert!(!state.fast.is_open(), "after {returns}");
        let entry = get(&mut state, now, 0).unwrap();
        assert!(entry.permit.is_none());
        end_loan(&mut state, entry, now);
    }
    assert!(state.fast.is_open());
    assert!(get(&mut state, now, 0).unwrap().permit.is_some());
}

#[test]
fn what_was_counted_beside_the_lock_is_counted_once_wherever_the_connection_is() {
    let (mut state, now) = parked(&ageless(4), 1);
    let before = state.stats();
    let caches = Arc::clone(state.caches());
    for loan in 1..=5 {
        let at = now + loan * MS / 10;
        let mut entry = caches.cell(0).take().expect("it is parked");
        take(&state, &mut entry, at);
        let stats = state.stats();
        assert_eq!((stats.idle, stats.in_use), (0, 1));
        assert_eq!(stats.checked_out_at_once - before.checked_out_at_once, u64::from(loan));
        assert_eq!(stats.returned - before.returned, u64::from(loan) - 1);
        park(&state, entry, at + MS / 100, 0);
    }
    let parked = state.stats();
    change(&mut state, now + MS, |state, _| state.suspect(now + MS));
    let home = state.stats();
    for stats in [&parked, &home] {
        assert_eq!((stats.idle, stats.in_use), (1, 0));
        assert_eq!(stats.checked_out_at_once - before.checked_out_at_once, 5);
        assert_eq!(stats.returned - before.returned, 5);
        assert_eq!(stats.resets_skipped - before.resets_skipped, 5);
        assert_eq!(stats.use_time.count(), stats.returned);
        assert_eq!(stats.use_time.total() - before.use_time.total(), 5 * 10_000);
        assert_eq!(stats.wait_time.count(), stats.checked_out_at_once);
    }
    assert_eq!(state.answered_at, Some(now + 5 * MS / 10 + MS / 100), "its holder's last answer counts");
}

#[test]
fn one_who_took_what_was_parked_is_its_holder_and_what_is_parked_has_none() {
    let (mut state, now) = parked(&Config { leak_after: SECOND, ..ageless(4) }, 2);
    assert!(state.holders(now).is_empty());
    let mut entry = state.caches().cell(0).take().expect("it is parked");
    take(&state, &mut entry, now + MS / 2);
    let other = get(&mut state, now, 1).unwrap();
    let held: Vec<_> = state.holders(now + 3 * MS).iter().map(|holder| (holder.id, holder.held_for)).collect();
    assert_eq!(held, [(other.id, 3 * MS), (entry.id, 5 * MS / 2)]);
    let mut actions = Actions::new();
    state.tick(now + SECOND, now + SECOND, WALL + 2 * SECOND, &mut actions);
    let leaks = |actions: &Actions<(), Broken>| {
        actions
            .iter()
            .filter_map(|action| if let Action::ReportLeak(holder) = action { Some(holder.id) } else { None })
            .collect::<Vec<_>>()
    };
    assert_eq!(leaks(&actions), [other.id]);
    let next = actions.iter().find_map(|action| if let Action::Alarm(at) = action { Some(*at) } else { None });
    assert_eq!(next, Some(now + MS / 2 + SECOND), "the alarm is for the loan that began outside the lock");
    let mut actions = Actions::new();
    state.tick(now + MS / 2 + SECOND, now + MS / 2 + SECOND, WALL + 2 * SECOND, &mut actions);
    assert_eq!(leaks(&actions), [entry.id]);
}

#[test]
fn what_is_parked_grows_old_like_what_is_idle() {
    for (config, reason) in [
        (Config { idle_timeout: 2 * SECOND, ..ageless(4) }, CloseReason::Idle),
        (Config { max_lifetime: 2 * SECOND, lifetime_jitter: 0.0, ..ageless(4) }, CloseReason::Expired),
    ] {
        let (mut state, now) = parked(&config, 1);
        let due = state.alarm.expect("the maintenance is ordered");
        assert!(due <= now + 2 * SECOND);
        let mut actions = Actions::new();
        state.tick(due, now + 2 * SECOND, WALL + 3 * SECOND, &mut actions);
        state.settle(now + 2 * SECOND, &mut actions);
        assert!(actions.iter().any(|action| matches!(action, Action::Close(_, why) if *why == reason)), "{reason}");
    }
}

#[test]
fn an_answer_that_a_loan_beside_the_lock_had_before_a_doubt_does_not_settle_it() {
    let (mut state, now) = parked(&ageless(4), 1);
    change(&mut state, now + MS, |state, _| state.suspect(now + MS));
    assert!(state.answered_at.is_some_and(|at| at >= now && at < now + MS));
    assert_eq!(state.heard_before_doubt, state.answered_at, "no answer has come since");
}

#[test]
fn a_connection_that_is_on_its_way_from_a_loan_beside_the_lock_is_a_hope() {
    let (mut state, now) = parked(&ageless(1), 1);
    // Its thread is between the end of the loan and its look at the version.
    let entry = state.caches().cell(0).take().expect("it is parked");
    let later = now + 5 * SECOND;
    state.open_failed(Refusal::Permanent, Cause::other("a wrong password"), later, &mut Actions::new());
    assert!(!state.is_hopeless(later), "it returns to the state in a moment");
    change(&mut state, later, |state, actions| state.come_home(entry, later, actions));
}
