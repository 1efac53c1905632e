//! The gate alone: each rule with its numbers. `stillborn.rs` covers connections that die young.

mod stillborn;

use super::*;

const MS: Duration = Duration::from_millis(1);

fn gate() -> (Gate, Instant) {
    let random = fastrand::Rng::with_seed(7);
    (Gate::new((50 * MS, 500 * MS), Duration::from_secs(10), random), Instant::now())
}

fn empty() -> Standing {
    Standing { taken: 0, opening: 0, circulating: false, excess: 0, trust: usize::MAX }
}

/// A gate that has seen one connection open and prove good.
fn warm() -> (Gate, Instant) {
    let (mut gate, now) = gate();
    assert!(!gate.opened(now, 1, 10, false));
    gate.reset_growth();
    (gate, now)
}

#[test]
fn a_cold_pool_opens_one_and_when_that_is_found_well_all_it_wants() {
    let (mut gate, now) = gate();
    assert_eq!(gate.allowance(now, empty()), 1);
    assert_eq!(gate.allowance(now, Standing { opening: 1, ..empty() }), 0);
    assert!(gate.opened(now, 1, 10, true), "a waiter will look at it");
    assert_eq!(gate.allowance(now, empty()), 1);
    assert!(gate.found_well(Stage::Look, MS));
    assert_eq!(gate.allowance(now, empty()), usize::MAX);
}

#[test]
fn where_nobody_waits_who_could_look_the_first_success_is_enough() {
    let (gate, now) = warm();
    assert_eq!(gate.allowance(now, empty()), usize::MAX);
    assert_eq!(gate.allowance(now, Standing { trust: 1, ..empty() }), 1, "but not after an idle period");
}

#[test]
fn after_an_eviction_or_a_permanent_fault_one_goes_first() {
    let (mut gate, now) = warm();
    gate.start_anew(now);
    assert_eq!(gate.allowance(now, empty()), 1);
    let (mut gate, now) = warm();
    gate.failed(now, Refusal::Permanent, 3);
    let due = gate.retry_at().unwrap();
    assert!(gate.opened(due, 4, 10, true));
    assert_eq!(gate.allowance(due, empty()), 1);
    assert!(gate.found_well(Stage::Look, MS));
    assert_eq!(gate.allowance(due, empty()), usize::MAX, "nothing is wrong with the server");
}

#[test]
fn while_loans_go_on_what_they_leave_unserved_is_opened_at_once() {
    let (gate, now) = warm();
    let standing = Standing { taken: 1, opening: 1, circulating: true, excess: 20, trust: usize::MAX };
    assert_eq!(gate.allowance(now, standing), 19);
}

#[test]
fn while_loans_go_on_growth_is_1_2_4() {
    let (mut gate, now) = warm();
    let standing = Standing { taken: 5, circulating: true, ..empty() };
    for expected in [1, 2, 4] {
        assert_eq!(gate.allowance(now, standing), expected);
        gate.opened(now, 6, 10, true);
    }
    gate.reset_growth();
    assert_eq!(gate.allowance(now, standing), 1);
    assert_eq!(gate.allowance(now, Standing { opening: 1, ..standing }), 0);
}

#[test]
fn an_outage_lets_one_probe_through_at_a_time_when_it_is_due() {
    let (mut gate, now) = gate();
    assert!(gate.failed(now, Refusal::Unavailable, 0));
    let due = gate.retry_at().unwrap();
    assert!(due >= now + 10 * MS && due <= now + 50 * MS);
    assert_eq!(gate.allowance(due - Duration::from_nanos(1), empty()), 0);
    assert_eq!(gate.allowance(due, empty()), 1);
    assert_eq!(gate.allowance(due, Standing { opening: 1, taken: 1, ..empty() }), 0);
}

#[test]
fn pauses_stay_between_10_ms_and_the_cap_which_grows_after_30_s() {
    let (mut gate, start) = gate();
    let mut now = start;
    let (mut longest_early, mut longest_late) = (Duration::ZERO, Duration::ZERO);
    for _ in 0..2_000 {
        gate.failed(now, Refusal::Unavailable, 0);
        let pause = gate.retry_at().unwrap() - now;
        assert!(pause >= 10 * MS);
        if now - start < Duration::from_secs(30) {
            longest_early = longest_early.max(pause);
        } else {
            longest_late = longest_late.max(pause);
        }
        now += pause;
    }
    assert!(longest_early <= 500 * MS, "{longest_early:?}");
    assert!(longest_late > 4_000 * MS && longest_late <= 5_000 * MS, "{longest_late:?}");
}

#[test]
fn after_an_outage_the_pool_ramps_up() {
    let (mut gate, now) = warm();
    gate.failed(now, Refusal::Unavailable, 0);
    for (taken, expected) in [(1, 1), (2, 2), (4, 4)] {
        gate.opened(now, taken, 10, true);
        assert_eq!(gate.allowance(now, Standing { taken, ..empty() }), expected);
    }
    gate.opened(now, 8, 8, true);
    assert_eq!(gate.allowance(now, empty()), usize::MAX);
}

#[test]
fn a_probe_gets_twice_the_longest_opening_and_twice_as_long_after_each_that_overran() {
    let seconds = Duration::from_secs;
    for (longest, limits) in [(Duration::ZERO, [1, 2, 4, 8, 10, 10]), (seconds(2), [4, 8, 10, 10, 10, 10])] {
        let (mut gate, mut now) = gate();
        assert_eq!(gate.open_limit(Some(longest)), seconds(10));
        // An attempt that began before the outage is not a probe.
        gate.overran(now, now + MS, 0);
        for limit in limits {
            assert_eq!(gate.open_limit(Some(longest)), seconds(limit));
            now = gate.retry_at().unwrap();
            gate.failed(now, Refusal::Unavailable, 0);
            assert_eq!(
                gate.open_limit(Some(longest)),
                seconds(limit),
                "a refusal does not measure how long an opening takes"
            );
            now = gate.retry_at().unwrap();
            gate.overran(now, now + gate.open_limit(Some(longest)), 0);
        }
        assert_eq!(gate.open_limit(None), seconds(10), "without a known duration the longest limit applies");
    }
}

#[test]
fn a_full_server_sets_a_ceiling_that_each_success_raises() {
    let (mut gate, now) = warm();
    gate.failed(now, Refusal::Capacity, 4);
    let due = gate.retry_at().unwrap();
    assert_eq!(gate.allowance(now, Standing { taken: 4, circulating: true, ..empty() }), 0);
    assert_eq!(gate.allowance(due, Standing { taken: 4, circulating: true, ..empty() }), 1);
    gate.opened(due, 5, 10, true);
    assert_eq!(gate.allowance(due, Standing { taken: 5, ..empty() }), 1);
    assert_eq!(gate.allowance(due, Standing { taken: 6, ..empty() }), 0);
    assert!(!gate.refuses(now));
}

#[test]
fn a_permanent_fault_refuses_until_the_next_probe_1_to_30_s_later() {
    let (mut gate, mut now) = gate();
    for expected in [1, 2, 4, 8, 16, 30, 30] {
        gate.failed(now, Refusal::Permanent, 0);
        let due = gate.retry_at().unwrap();
        assert_eq!(due - now, Duration::from_secs(expected));
        assert!(gate.refuses(now) && !gate.refuses(due));
        now = due;
    }
    gate.opened(now, 1, 10, true);
    assert!(!gate.refuses(now));
}

#[test]
fn a_fault_that_may_be_mended_gets_its_next_probe_at_once() {
    let (mut gate, now) = gate();
    gate.failed(now, Refusal::Permanent, 0);
    gate.start_anew(now);
    assert!(!gate.refuses(now) && gate.allowance(now, empty()) == 1);
    // Nor for a thread that read the clock before the eviction and comes after it.
    assert!(!gate.refuses(now - MS));
}

#[test]
fn attempts_that_fail_together_count_once() {
    let (mut gate, now) = gate();
    assert!(gate.failed(now, Refusal::Unavailable, 0));
    let due = gate.retry_at();
    assert!(!gate.failed(now, Refusal::Unavailable, 0));
    assert_eq!(gate.retry_at(), due);
}

#[test]
fn a_permanent_fault_that_is_mended_ends_the_ramp_after_an_outage() {
    let (mut gate, now) = warm();
    gate.failed(now, Refusal::Unavailable, 0);
    gate.opened(now, 1, 10, false);
    assert_eq!(gate.allowance(now, empty()), 1);
    gate.failed(now, Refusal::Permanent, 1);
    gate.opened(now, 2, 10, true);
    assert!(gate.found_well(Stage::Look, MS));
    assert_eq!(gate.allowance(now, empty()), usize::MAX);
}

#[test]
fn a_ceiling_that_reaches_max_size_is_none() {
    let (mut gate, now) = warm();
    gate.failed(now, Refusal::Capacity, 4);
    gate.opened(now, 5, 6, true);
    // After a resize the pool may try how many more connections the server accepts.
    assert_eq!(gate.allowance(now, Standing { taken: 6, ..empty() }), usize::MAX);
}

#[test]
fn a_pause_that_ends_later_than_the_clock_can_tell_ends_in_a_year() {
    let (_, now) = gate();
    let year = Duration::from_secs(365 * 24 * 60 * 60);
    let random = fastrand::Rng::with_seed(7);
    let mut gate = Gate::new((Duration::MAX, Duration::MAX), Duration::from_secs(10), random);
    gate.failed(now, Refusal::Unavailable, 0);
    assert_eq!(gate.retry_at(), Some(now + year));
    gate.stillborn(now, Stage::Look, MS, now + MS);
    gate.opened(now + 2 * MS, 2, 10, false);
    assert_eq!(gate.retry_at(), Some(now + 2 * MS + year));
}

#[test]
fn failures_without_number_overflow_nothing() {
    let (mut gate, now) = gate();
    let (failures, overran) = (u32::MAX, u32::MAX);
    let kind = Refusal::Unavailable;
    gate.trouble = Some(Trouble { kind, since: now, failures, overran, retry_at: now, of_stillborn: false });
    gate.failed(now, Refusal::Unavailable, 0);
    assert!(gate.retry_at().unwrap() <= now + 500 * MS);
    assert_eq!(gate.open_limit(Some(MS)), Duration::from_secs(10));
}
