//! The effects of time alone: idle connections are checked or closed, and clocks drift apart.

use super::by_hand::{MS, SECOND, WALL, ageless, lend, open, state};
use super::world::Broken;
use crate::config::Config;
use crate::reason::CloseReason;
use crate::slots::Phase;
use crate::state::State;
use crate::state::actions::{Action, Actions};
use crate::state::stalls::{grace_after, last_look};
use std::time::{Duration, Instant};

/// Rings the alarms until `end`. Returns when checks began. Either each check is answered at once, or none is.
fn checks(state: &mut State<(), Broken>, start: Instant, end: Instant, are_answered: bool) -> Vec<Duration> {
    let (mut actions, mut began) = (Actions::new(), Vec::new());
    state.want_maintenance(start, start, &mut actions);
    while let Some(now) = state.alarm.filter(|&at| at <= end) {
        state.tick(now, now, WALL + (now - start), &mut actions);
        for action in std::mem::take(&mut actions) {
            let Action::Check(mut entry) = action else { continue };
            began.push(now - start);
            if are_answered {
                state.proved(&mut entry, now, &mut actions);
                state.put_proved(entry, now, &mut actions);
            }
        }
    }
    began
}

#[test]
fn keepalive_asks_one_in_each_part_of_its_period() {
    let (mut state, start) = state(&Config { keepalive: 80 * SECOND, ..ageless(4) });
    (0..4).for_each(|_| _ = open(&mut state, start));
    let began = checks(&mut state, start, start + 165 * SECOND, true);
    // With room for four connections, each part is a tenth of the period's length.
    assert_eq!(began, [50, 60, 70, 80, 130, 140, 150, 160].map(|second| second * SECOND));
}

#[test]
fn the_first_keepalive_is_ordered_when_a_connection_is_put_there() {
    // Half a period is enough for `max_size` connections.
    for (keepalive, due) in [(80 * SECOND, Some(40 * SECOND)), (Duration::MAX, None)] {
        let (mut state, start) = state(&Config { keepalive, ..ageless(4) });
        open(&mut state, start);
        assert_eq!(state.maintenance, due.map(|due| start + due));
    }
}

#[test]
fn keepalive_has_no_more_than_half_under_way_and_no_more_than_four() {
    for (idle, at_once) in [(1, 1), (2, 1), (3, 1), (4, 2), (6, 3), (8, 4), (20, 4)] {
        let (mut state, start) = state(&Config { keepalive: 8 * SECOND, ..ageless(20) });
        (0..idle).for_each(|_| _ = open(&mut state, start));
        let began = checks(&mut state, start, start + 20 * SECOND, false);
        assert_eq!(began.len(), at_once, "of {idle}");
    }
}

#[test]
fn what_hangs_in_an_opening_counts_among_the_four() {
    let (mut state, start) = state(&Config { keepalive: 8 * SECOND, ..ageless(20) });
    (0..12).for_each(|_| _ = open(&mut state, start));
    state.slots.take(start);
    state.slots.take(start);
    assert_eq!(checks(&mut state, start, start + 20 * SECOND, false).len(), 2);
    assert!(!state.bears_unawaited());
}

#[test]
fn no_ring_looks_at_more_than_256_however_many_are_idle() {
    let config = Config { keepalive: 60 * SECOND, idle_timeout: 100 * SECOND, ..ageless(1_000) };
    let (mut state, start) = state(&config);
    (0..1_000).for_each(|_| _ = open(&mut state, start));
    let (mut asked, mut closed, mut actions) = (Vec::new(), 0, Actions::new());
    while let Some(now) = state.alarm.filter(|_| closed < 1_000) {
        let from = state.round.as_ref().map_or(0, |round| round.place);
        state.tick(now, now, WALL + (now - start), &mut actions);
        let (mut gone, mut checked) = (0, 0);
        for action in std::mem::take(&mut actions) {
            match action {
                Action::Check(mut entry) => {
                    checked += 1;
                    asked.push(now - entry.proved.at);
                    state.proved(&mut entry, now, &mut actions);
                    state.put_proved(entry, now, &mut actions);
                }
                Action::Close(entry, CloseReason::Idle) => {
                    gone += 1;
                    assert!(now - entry.last_used >= 100 * SECOND);
                }
                _ => {}
            }
        }
        let to = state.round.as_ref().map_or(state.idle.len(), |round| round.place);
        assert!(to <= from + 256, "it looked at those from {from} to {to}");
        assert!(gone <= 256 && checked <= 1, "{gone} {checked}");
        closed += gone;
    }
    assert_eq!(closed, 1_000);
    let (earliest, latest) = (asked.iter().min().unwrap(), asked.iter().max().unwrap());
    assert!(asked.len() >= 1_000, "{} checks", asked.len());
    assert!(
        *earliest >= 29 * SECOND && *latest <= 60 * SECOND,
        "asked {earliest:?} to {latest:?} after the last proof"
    );
}

#[test]
fn at_min_idle_none_is_closed_for_being_idle() {
    let config = Config { min_idle: 2, idle_timeout: 10 * SECOND, keepalive: Duration::MAX, ..ageless(4) };
    let (mut state, start) = state(&config);
    (0..3).for_each(|_| _ = open(&mut state, start));
    let end = start + 10 * SECOND;
    state.tick(end, end, WALL + 10 * SECOND, &mut Actions::new());
    assert_eq!((state.slots.count(Phase::Idle), state.slots.count(Phase::Closing)), (2, 1));
    assert_eq!(state.maintenance, Some(end + 10 * SECOND), "they are examined again");
}

#[test]
fn one_that_comes_back_is_closed_in_time_though_only_a_leak_was_looked_for() {
    let config =
        Config { idle_timeout: 10 * SECOND, leak_after: 60 * SECOND, check_after: Duration::MAX, ..ageless(4) };
    let (mut state, start) = state(&config);
    open(&mut state, start);
    let entry = lend(&mut state, start);
    let (mut actions, mut looks) = (Actions::new(), Vec::new());
    let (mut entry, mut closed) = (Some(entry), None);
    while let Some(now) = state.alarm.filter(|_| closed.is_none()) {
        looks.push(now - start);
        state.tick(now, now, WALL + (now - start), &mut actions);
        let comes_back = now + 5 * SECOND;
        if let Some(entry) = entry.take() {
            state.check_in(entry, 15 * SECOND, None, comes_back, &mut actions);
        }
        closed = actions.iter().any(|action| matches!(action, Action::Close(..))).then_some(now - start);
    }
    assert_eq!((looks, closed), ([10, 20, 25].map(|second| second * SECOND).to_vec(), Some(25 * SECOND)));
}

#[test]
fn an_alarm_that_is_late_makes_all_calm_for_half_of_that_and_not_again_within_a_second() {
    for (late, grace) in [(10 * MS, None), (11 * MS, Some(20 * MS)), (100 * MS, Some(50 * MS))] {
        assert_eq!(grace_after(late), grace);
    }
    assert_eq!(grace_after(10 * SECOND), Some(250 * MS));
    assert_eq!((last_look(10 * MS), last_look(100 * MS)), (20 * MS, 50 * MS), "a call always gets a moment");
    let (mut state, start) = state(&ageless(4));
    for (at, calm_until) in [(0, 150), (1_000, 150), (1_050, 150), (1_051, 1_201)] {
        let (alarm, now) = (start + at * MS, start + at * MS + 100 * MS);
        state.want_alarm(alarm, &mut Actions::new());
        state.tick(alarm, now, WALL + (now - start), &mut Actions::new());
        assert_eq!(state.calm_until, Some(start + calm_until * MS), "rung at {now:?}");
    }
    let until = start + 1_201 * MS;
    assert!(state.is_calm(until - MS) && !state.is_calm(until) && !state.is_calm(until + MS));
}

#[test]
fn clocks_that_part_by_more_than_a_second_have_jumped_and_so_has_a_wall_clock_that_goes_back() {
    for (wall, jumped) in [(WALL + 2 * SECOND, false), (WALL + 2 * SECOND + MS, true), (WALL, false), (WALL - MS, true)]
    {
        let (mut state, start) = state(&ageless(4));
        assert_eq!(state.compare_clocks(start + SECOND, wall), jumped, "{wall:?}");
    }
}

#[test]
fn one_whose_time_ran_out_while_the_process_stood_still_may_wait_for_half_of_that_more() {
    let (mut state, start) = state(&ageless(4));
    assert_eq!(state.grace(start, start + MS), None, "it woke in time");
    assert_eq!(state.grace(start + SECOND, start + SECOND + 60 * MS), Some(30 * MS));
}

#[test]
fn what_comes_back_is_seen_to_in_time_whatever_was_ordered_before() {
    let config = || Config { idle_timeout: 10 * SECOND, ..ageless(4) };
    for (case, config, ordered, last_used, due) in [
        ("nothing was ordered", config(), None, 5, 15),
        ("the next look is early enough", config(), Some(14), 5, 14),
        ("it was last used before it was asked", config(), Some(14), 2, 12),
        ("it is to be kept alive", Config { keepalive: 8 * SECOND, ..config() }, Some(14), 5, 9),
        ("it expires", Config { max_lifetime: 7 * SECOND, lifetime_jitter: 0.0, ..config() }, Some(14), 5, 7),
    ] {
        let (mut state, start) = state(&config);
        open(&mut state, start);
        let mut entry = lend(&mut state, start);
        let now = start + 5 * SECOND;
        (entry.last_used, entry.proved.at) = (start + last_used * SECOND, now);
        (state.maintenance, state.alarm) = (ordered.map(|at| start + at * SECOND), None);
        state.put(entry, now, &mut Actions::new());
        assert_eq!(state.maintenance, Some(start + due * SECOND), "{case}");
    }
}

#[test]
fn a_round_over_many_goes_on_after_a_millisecond_and_passes_none_by_when_others_beneath_leave() {
    let (mut state, start) = state(&Config { idle_timeout: 100 * SECOND, ..ageless(400) });
    (0..400).for_each(|_| _ = open(&mut state, start));
    let begin = start + SECOND;
    state.want_maintenance(begin, begin, &mut Actions::new());
    state.tick(begin, begin, WALL + SECOND, &mut Actions::new());
    let place = |state: &State<(), Broken>| state.round.as_ref().expect("it goes on").place;
    assert_eq!((place(&state), state.alarm), (256, Some(begin + MS)));
    state.resize(390, 0, begin, &mut Actions::new());
    assert_eq!(place(&state), 246);
    // All must be checked first but one beneath the place, and then one above.
    for (fresh, place_then) in [(100, 245), (300, 245)] {
        state.suspect(begin);
        let mut entry = state.idle.remove(fresh);
        state.proved(&mut entry, begin, &mut Actions::new());
        state.idle.insert(fresh, entry);
        state.none_beneath = false;
        let lent = lend(&mut state, begin);
        assert_eq!((lent.proved.epoch, place(&state)), (state.epoch, place_then));
    }
}
