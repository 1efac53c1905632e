//! The rings, compared with a search of all slots.

use crate::slots::rings::LOANS;
use crate::slots::{Phase, Record, SlotId, Slots};
use std::time::{Duration, Instant};

#[test]
fn the_longest_loans_and_the_oldest_attempt_are_those_that_a_look_at_all_slots_finds() {
    let (mut slots, mut random, start) = (Slots::new(), fastrand::Rng::with_seed(7), Instant::now());
    let mut taken: Vec<SlotId> = Vec::new();
    let mut most_out = 0;
    for step in 0..20_000 {
        let now = start + Duration::from_micros(step);
        let Some(&slot) = taken.get(random.usize(..taken.len() + 1)) else {
            taken.push(slots.take(now));
            continue;
        };
        match (slots.get(slot).phase, random.u8(..4)) {
            (Phase::Lent, 0) => _ = slots.enter(slot, Phase::Aborted, now),
            (Phase::Lent, 1) => _ = slots.enter(slot, Phase::Idle, now),
            (Phase::Lent, _) => {}
            (Phase::Aborted, _) | (_, 0) => {
                slots.get(slot).comes_back(0);
                slots.free(slot);
                taken.retain(|other| *other != slot);
            }
            _ => _ = slots.lend(slot, now),
        }
        if random.u8(..4) == 0 {
            let mut out: Vec<Instant> =
                slots.iter().filter(|(_, record)| record.is_out()).map(|(_, record)| record.since).collect();
            out.sort_unstable();
            most_out = most_out.max(out.len());
            out.truncate(4);
            assert_eq!(slots.loans(4).map(|record| record.since).collect::<Vec<_>>(), out);
            let lent = slots.iter().filter(|(_, record)| record.phase == Phase::Lent);
            let youngest = lent.map(|(_, record)| record.since).max();
            assert_eq!(slots.youngest_loan().map(|record| record.since), youngest);
            let opening = slots.iter().filter(|(_, record)| record.phase == Phase::Opening);
            let oldest = opening.map(|(_, record)| record.since).min();
            assert_eq!(slots.oldest_opening().map(|record| record.since), oldest);
        }
    }
    assert!(most_out > 4, "there were more than a report contains");
}

#[test]
fn a_report_looks_at_as_many_records_with_ten_thousand_loans_out_as_with_a_hundred() {
    let looked_at = |loans: usize| {
        let (mut slots, now, mut looks) = (Slots::new(), Instant::now(), 0);
        for _ in 0..loans {
            let slot = slots.take(now);
            slots.lend(slot, now);
        }
        let mut out = |record: &Record| {
            looks += 1;
            record.is_out()
        };
        assert_eq!(slots.first_of(LOANS, 100, &mut out).count(), 100);
        looks
    };
    assert_eq!((looked_at(100), looked_at(10_000)), (100, 100));
}

#[test]
fn what_has_come_back_is_looked_at_by_one_report_and_by_none_after_it() {
    let (mut slots, now) = (Slots::new(), Instant::now());
    let taken: Vec<SlotId> = (0..1_000).map(|_| slots.take(now)).collect();
    for &slot in &taken {
        slots.lend(slot, now);
    }
    for &slot in &taken[..999] {
        slots.enter(slot, Phase::Idle, now);
    }
    for expected in [1_000, 1] {
        let mut looks = 0;
        let mut out = |record: &Record| {
            looks += 1;
            record.is_out()
        };
        assert_eq!(slots.first_of(LOANS, 100, &mut out).count(), 1);
        assert_eq!(looks, expected);
    }
}
