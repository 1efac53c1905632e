//! The gate by itself: each rule with its numbers.

use super::*;

const MS: Duration = Duration::from_millis(1);

fn gate() -> (Gate, Instant) {
    let random = fastrand::Rng::with_seed(7);
    (Gate::new((50 * MS, 500 * MS), Duration::from_secs(10), random), Instant::now())
}

fn empty() -> Standing {
    Standing { taken: 0, opening: 0, circulating: false }
}

#[test]
fn a_cold_pool_may_open_all_it_wants() {
    let (gate, now) = gate();
    assert_eq!(gate.allowance(now, empty()), usize::MAX);
}

#[test]
fn while_loans_go_on_growth_is_1_2_4() {
    let (mut gate, now) = gate();
    let standing = Standing { taken: 5, opening: 0, circulating: true };
    for expected in [1, 2, 4] {
        assert_eq!(gate.allowance(now, standing), expected);
        gate.opened(6, 10);
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
    assert_eq!(gate.allowance(due, Standing { opening: 1, taken: 1, circulating: false }), 0);
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
    let (mut gate, now) = gate();
    gate.failed(now, Refusal::Unavailable, 0);
    for (taken, expected) in [(1, 1), (2, 2), (4, 4)] {
        gate.opened(taken, 10);
        assert_eq!(gate.allowance(now, Standing { taken, opening: 0, circulating: false }), expected);
    }
    gate.opened(8, 8);
    assert_eq!(gate.allowance(now, empty()), usize::MAX);
}

#[test]
fn a_probe_gets_one_second_then_twice_as_long_up_to_the_connect_timeout() {
    let (mut gate, mut now) = gate();
    assert_eq!(gate.open_limit(), Duration::from_secs(10));
    for expected in [1, 2, 4, 8, 10, 10] {
        gate.failed(now, Refusal::Unavailable, 0);
        assert_eq!(gate.open_limit(), Duration::from_secs(expected));
        now = gate.retry_at().unwrap();
    }
}

#[test]
fn a_full_server_sets_a_ceiling_that_each_success_raises() {
    let (mut gate, now) = gate();
    gate.failed(now, Refusal::Capacity, 4);
    let due = gate.retry_at().unwrap();
    assert_eq!(gate.allowance(now, Standing { taken: 4, opening: 0, circulating: true }), 0);
    assert_eq!(gate.allowance(due, Standing { taken: 4, opening: 0, circulating: true }), 1);
    gate.opened(5, 10);
    assert_eq!(gate.allowance(due, Standing { taken: 5, opening: 0, circulating: false }), 1);
    assert_eq!(gate.allowance(due, Standing { taken: 6, opening: 0, circulating: false }), 0);
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
    gate.opened(1, 10);
    assert!(!gate.refuses(now));
}

#[test]
fn a_fault_that_may_be_mended_gets_its_next_probe_at_once() {
    let (mut gate, now) = gate();
    gate.failed(now, Refusal::Permanent, 0);
    gate.retry_now(now);
    assert!(!gate.refuses(now) && gate.allowance(now, empty()) == 1);
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
fn failures_without_number_overflow_nothing() {
    let (mut gate, now) = gate();
    gate.trouble = Some(Trouble { kind: Refusal::Unavailable, since: now, failures: u32::MAX, retry_at: now });
    gate.failed(now, Refusal::Unavailable, 0);
    assert!(gate.retry_at().unwrap() <= now + 500 * MS);
    assert_eq!(gate.open_limit(), Duration::from_secs(10));
}
