//! A day of a pool: bursts of loans outside the lock, and the occasional trouble of a day.

use super::scenario::{Group, Scenario, Shock, ms, s, us};
use super::server::{Connects, Latency};
use super::world::World;
use std::time::Duration;

#[test]
fn in_a_day_of_bursts_no_connection_and_no_loan_is_lost_and_the_pool_is_as_large_as_it_is_used() {
    let burst = Group { pause: (us(1), us(300)), loan: (us(50), ms(2)), bursts: Some((40, s(60))), ..Group::of(1) };
    let mut scenario = Scenario::new("a day", 10)
        .config(|config| (config.min_idle, config.keepalive) = (1, s(120)))
        .server(Latency::Constant(ms(1)), ms(5))
        .until(24 * HOUR);
    for place in 0..4 {
        // Apart in time, so that rarely more than one borrows.
        scenario = scenario.group(Group { begins: s(15 * place), ..burst.clone() });
    }
    // A crowd at noon; and ended sessions, an eviction and an outage, each at its hour.
    scenario = scenario.group(Group { begins: 12 * HOUR, ends: 12 * HOUR + s(60), count: 30, ..Group::of(1) });
    for hour in 1..24 {
        scenario = match hour % 3 {
            0 => scenario.at(hour * HOUR, Shock::EvictAll),
            1 => scenario.at(hour * HOUR, Shock::Kill(3)),
            _ => scenario
                .at(hour * HOUR, Shock::Connects(Connects::Refused))
                .at(hour * HOUR, Shock::Kill(1))
                .at(hour * HOUR + s(10), Shock::Connects(Connects::Well)),
        };
    }
    let mut world = World::new(&scenario, 7);
    let mut before = (0, 0);
    for hour in 1..=24 {
        world.run(hour * HOUR - s(1));
        let stats = world.state.stats();
        let loans = stats.checked_out_at_once + stats.checked_out_after_waiting - stats.rejected_at_checkout;
        assert_eq!(loans, stats.returned + u64::from(stats.in_use), "hour {hour}: {stats:?}");
        assert_eq!(stats.use_time.count(), stats.returned, "hour {hour}");
        assert!(loans > before.0 + 7_000 && world.parked_loans > before.1 + 5_000, "hour {hour}: {stats:?}");
        let sessions = world.server.sessions();
        assert!(stats.open <= 3 && sessions == stats.open as usize, "hour {hour}: {sessions} of {} open", stats.open);
        before = (loans, world.parked_loans);
    }
    assert!(world.figures.failed == 0 && world.figures.told == 0, "{}", world.figures);
}

const HOUR: Duration = Duration::from_secs(60 * 60);
