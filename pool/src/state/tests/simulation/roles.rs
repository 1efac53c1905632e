//! Fail-over: a server that continues to serve, but not in the required role.

use super::bounds::{Bounds, play};
use super::scenario::{Group, Scenario, Shock, WARM, ms, s};
use super::server::{Connects, Latency};
use std::time::Duration;

const DEMOTED: Duration = Duration::from_secs(42);
const PROMOTED: Duration = Duration::from_secs(47);

/// Eight threads write on a pool of ten. All sessions survive, but from [`DEMOTED`] on each write fails; from [`PROMOTED`] on new
/// sessions reach a server in the right role.
fn demoted(name: &str, round_trip: Duration, meanwhile: Connects) -> Scenario {
    assert!(WARM < DEMOTED);
    let writers = Group { begins: WARM, ends: PROMOTED + s(5), ..Group::of(8) };
    Scenario::warm(name, 10, 10)
        .server(Latency::Constant(round_trip), ms(0))
        .at(DEMOTED, Shock::Connects(meanwhile))
        .at(DEMOTED, Shock::Demote(10))
        .at(PROMOTED, Shock::Connects(Connects::Well))
        .group(writers)
        .until(PROMOTED + s(6))
}

#[test]
fn a_demoted_primary_costs_what_was_in_flight_and_no_get() {
    let bounds = |wait| Bounds {
        failed: Some(0),
        left: Some(0),
        erred: Some(8),
        // The pauses are 255 ms on average.
        judged_attempts: Some(45),
        wait: Some(wait),
        ..Bounds::default()
    };
    let table = [
        demoted("1 ms: opening finds the wrong role for 5 s", ms(1), Connects::WrongRole).bounds(bounds(ms(5_560))),
        demoted("50 ms: opening finds the wrong role for 5 s", ms(50), Connects::WrongRole).bounds(bounds(ms(6_700))),
    ];
    play("a primary is demoted, and its sessions live on", table);
}

#[test]
fn a_manager_that_does_not_ask_at_opening_is_lent_a_wrong_server_now_and_then() {
    let bounds = Bounds {
        failed: Some(0),
        left: Some(0),
        erred: Some(45),
        judged_attempts: Some(45),
        wait: Some(ms(6_000)),
        ..Bounds::default()
    };
    let scenario = demoted("1 ms: a write finds the wrong role for 5 s", ms(1), Connects::Demoted).bounds(bounds);
    play("a primary is demoted, and opening does not ask for the role", [scenario]);
}

#[test]
fn many_idle_sessions_of_a_demoted_primary_are_found_soon() {
    let one = Group { begins: DEMOTED + ms(1), rounds: 1, ..Group::of(1) };
    let table = [10, 100].map(|size| {
        // One after another, the checks would take 5 s.
        let bounds = Bounds { failed: Some(0), erred: Some(0), wait: Some(ms(1_100)), ..Bounds::default() };
        Scenario::warm(format!("50 ms, {size} idle, one borrower"), size, size as usize)
            .server(Latency::Constant(ms(50)), ms(0))
            .at(DEMOTED, Shock::Demote(100))
            .group(one.clone())
            .bounds(bounds)
    });
    play("a primary is demoted, and its idle sessions are checked", table);
}
