//! Another server takes over behind HAProxy, which follows the roles by its own checks. Only with the longer tests.

use super::failover::{BEFORE_PROMOTION, PAUSE, is_over, pool, sessions, tell, ten_seconds_after, write};
use super::slack::Slack;
use crate::postgres::Postgres;
use crate::subject::Subject;
use cabrank_testing::eventually;
use integration_tests::{Case, HaProxy, Needs, Pair};
use std::thread;
use std::time::{Duration, Instant};

pub(crate) fn cases(cases: &mut Vec<Case>) {
    let case = |name, run| Case { engine: Postgres::ENGINE, name, needs: Needs::Control, run };
    cases.extend([
        case(
            "recovery::haproxy::a_killed_primary_costs_what_was_in_flight_and_no_get",
            a_killed_primary_costs_what_was_in_flight_and_no_get,
        ),
        case(
            "recovery::haproxy::a_switchover_costs_at_most_two_errors_a_connection",
            a_switchover_costs_at_most_two_errors_a_connection,
        ),
    ]);
}

fn a_killed_primary_costs_what_was_in_flight_and_no_get() {
    let pair = Pair::start().expect("two servers");
    let interval = Duration::from_secs(1);
    let haproxy = HaProxy::start(&pair, interval).expect("a proxy");
    let pool = pool(&haproxy.url(&pair), 8);
    let load = write(&pool, 8);
    load.warm_up();
    pair.first().container().expect("a container").kill().expect("a death");
    thread::sleep(BEFORE_PROMOTION);
    pair.promote().expect("another primary");
    let (slack, promoted) = (Slack::begin(), Instant::now());
    load.go_on_from(promoted);
    let record = load.stop();
    record.is_within(8);
    let recovery = record.first_success_after(promoted);
    // HAProxy checks once more, for at most a second, and the pool's pause may have just begun.
    assert!(recovery < interval + Duration::from_secs(1) + PAUSE + slack.get(), "{recovery:?}");
    tell(&format!("primary killed, HAProxy checks every {interval:?}"), &record, "the promotion", recovery);
    is_over(&pool, pair.second());
}

/// The old primary is back as a standby before HAProxy notices its role.
fn a_switchover_costs_at_most_two_errors_a_connection() {
    let pair = Pair::start().expect("two servers");
    let interval = Duration::from_secs(3);
    let haproxy = HaProxy::start(&pair, interval).expect("a proxy");
    let pool = pool(&haproxy.url(&pair), 8);
    let load = write(&pool, 8);
    load.warm_up();
    let address = || pair.first().container().expect("a container").inner_address().expect("an address");
    let before = address();
    pair.switch_over().expect("another primary");
    assert_eq!(address(), before, "another container has taken the address where HAProxy looks for it");
    let switched = Instant::now();
    eventually("HAProxy leads to the new primary", || haproxy.leads_to_a_primary());
    let (slack, right) = (Slack::begin(), Instant::now());
    load.go_on_from(right);
    let record = load.stop();
    record.is_within(8 + 8);
    let recovery = record.first_success_after(right);
    assert!(recovery < Duration::from_millis(600) + slack.get(), "{recovery:?}");
    let lag = right - switched;
    tell(&format!("switchover, HAProxy lags {lag:.1?}"), &record, "it leads to the new primary", recovery);
    assert_eq!(ten_seconds_after(right, &pool, 8, || sessions(pair.first())), 0, "sessions at the old primary");
    is_over(&pool, pair.second());
}
