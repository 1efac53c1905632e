//! The calls under way by themselves: which are late, which are put off, and which make room.

use crate::state::patience::Spans;
use crate::state::promises::{PromiseKind, Promises, Stall, Tally};
use crate::sync;
use std::time::{Duration, Instant};

const MS: Duration = Duration::from_millis(1);
const CHECK: PromiseKind = PromiseKind::Check;

/// One call of this kind in each of `count` slots, late after 10 ms and lost after 20 ms.
fn calls(kind: PromiseKind, count: usize) -> (Promises, Instant) {
    let (mut promises, start) = (Promises::default(), sync::now());
    for slot in 0..count {
        promises.make(slot, kind, start + MS * slot as u32, Spans { late: 10 * MS, lost: 20 * MS });
    }
    (promises, start)
}

fn ring(promises: &mut Promises, now: Instant) {
    promises.ring(now, None);
    promises.ring(now, None);
}

#[test]
fn a_check_makes_room_when_it_is_lost_and_a_goodbye_when_it_is_late() {
    for (kind, makes_room) in [
        (CHECK, [false, false, true]),
        (PromiseKind::Reset, [false, false, true]),
        (PromiseKind::Close { dead: false }, [false, true, true]),
        (PromiseKind::Close { dead: true }, [false, true, true]),
        (PromiseKind::Open, [false, false, false]),
    ] {
        let (mut promises, start) = calls(kind, 1);
        for (age, makes_room) in [9, 10, 20].into_iter().zip(makes_room) {
            ring(&mut promises, start + age * MS);
            assert_eq!(promises.victims(), usize::from(makes_room), "{kind:?} after {age} ms");
        }
    }
}

#[test]
fn a_goodbye_is_to_give_its_thread_for_a_call_that_has_had_none_for_25_ms_and_no_other_call_is() {
    for (goodbyes, begins, lacks) in [(1, false, true), (1, true, false), (0, false, false)] {
        let (mut promises, start) = calls(PromiseKind::Close { dead: false }, goodbyes);
        let spans = Spans { late: 1_000 * MS, lost: 1_000 * MS };
        promises.make(7, PromiseKind::Open, start, spans);
        if begins {
            promises.begin(7, start + MS, spans);
        }
        ring(&mut promises, start + 24 * MS);
        assert_eq!(promises.tally().threadless, 0);
        ring(&mut promises, start + 25 * MS);
        assert_eq!(promises.tally().threadless, usize::from(lacks), "{goodbyes} {begins}");
        promises.keep(7);
        assert_eq!(promises.tally().threadless, 0);
    }
}

#[test]
fn what_nobody_can_abort_and_what_is_being_aborted_makes_no_room() {
    for give_up in [Promises::leave, Promises::abort] {
        let (mut promises, start) = calls(CHECK, 2);
        ring(&mut promises, start + 30 * MS);
        assert_eq!(promises.lost_calls(None).map(|(slot, _)| slot).collect::<Vec<_>>(), [0, 1]);
        give_up(&mut promises, 0);
        assert_eq!(promises.lost_calls(None).map(|(slot, _)| slot).collect::<Vec<_>>(), [1]);
        assert_eq!(promises.victims(), 1);
    }
}

#[test]
fn what_is_being_aborted_will_serve_somebody_and_falls_due_no_more() {
    let (mut promises, start) = calls(CHECK, 1);
    let relied = Tally { asked: 1, asked_relied: 1, ..Tally::default() };
    assert_eq!(promises.tally(), Tally { asked_in_time: 1, ..relied });
    ring(&mut promises, start + 10 * MS);
    assert_eq!(promises.tally(), Tally { asked_late: 1, ..relied });
    assert!(promises.has_late());
    assert_eq!(promises.next_moment(), Some(start + 20 * MS));
    ring(&mut promises, start + 20 * MS);
    assert_eq!(promises.tally(), Tally { asked_late: 1, asked_relied: 0, ..relied });
    promises.abort(0);
    assert_eq!(promises.tally(), Tally { aborting: 1, ..relied });
    assert!(!promises.has_late());

    let (mut promises, _) = calls(CHECK, 1);
    promises.abort(0);
    assert_eq!((promises.tally(), promises.next_moment()), (Tally { aborting: 1, ..relied }, None));
}

#[test]
fn a_goodbye_that_was_to_be_over_when_it_had_a_thread_is_aborted_then() {
    let (mut promises, _) = calls(PromiseKind::Close { dead: false }, 1);
    let goodbye = Tally { closings: 1, ..Tally::default() };
    promises.hasten(0);
    assert_eq!(promises.tally(), Tally { hastened: 1, ..goodbye });
    promises.abort(0);
    assert_eq!(promises.tally(), Tally { closings_aborting: 1, aborting: 1, ..goodbye });
}

#[test]
fn a_call_is_put_off_by_a_stall_twice_and_then_it_is_late() {
    let (mut promises, start) = calls(CHECK, 1);
    let mut now = start + 10 * MS;
    for spared in 0..3 {
        let is_spared = promises.get(0).is_some_and(|promise| promise.was_spared());
        assert_eq!((is_spared, promises.has_late()), (spared > 0, false));
        promises.ring(now, Some(Stall { by: 5 * MS, until: now + 20 * MS }));
        if spared < 2 {
            assert_eq!(promises.next_moment(), Some(now + 20 * MS), "not before the stall is over");
        }
        now += 20 * MS;
    }
    assert!(promises.has_late());
}

#[test]
fn attempts_to_connect_are_in_order_until_they_end() {
    let (mut promises, start) = calls(PromiseKind::Open, 3);
    assert_eq!((promises.oldest_opening(), promises.late_newest_opening()), (Some(start), None));
    ring(&mut promises, start + 12 * MS);
    assert_eq!(promises.late_newest_opening(), Some(start + 2 * MS));
    promises.keep(0);
    assert_eq!(promises.oldest_opening(), Some(start + MS));
    (1..3).for_each(|slot| _ = promises.keep(slot));
    assert_eq!((promises.oldest_opening(), promises.tally()), (None, Tally::default()));
}
