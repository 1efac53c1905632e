//! Healthy servers, near and far, steady and erratic: their sessions are kept, and no get fails.

use super::bounds::{Bounds, play};
use super::process::WakeUp;
use super::scenario::{Group, Scenario, Shock, WARM, ms, s, us};
use super::server::Latency;
use std::time::Duration;

#[test]
fn no_healthy_session_is_closed_at_a_constant_latency_up_to_100_ms() {
    play("near servers: a crowd, then one borrower each 2.5 s", constants([us(100), ms(1), ms(40), ms(90)]));
}

#[test]
fn no_healthy_session_is_closed_at_a_constant_latency_up_to_check_timeout() {
    let far = constants([ms(120), ms(150), ms(400), ms(900)]);
    play("far servers: a crowd, then one borrower each 2.5 s", far);
}

fn constants(round_trips: [Duration; 4]) -> impl Iterator<Item = Scenario> {
    let of_size = |trip, size| [0.0, 1.0].map(move |resets| constant(trip, size, resets));
    let at = move |trip| [1, 4, 10, 100].into_iter().flat_map(move |size| of_size(trip, size));
    round_trips.into_iter().flat_map(at)
}

/// First twice as many borrowers as connections, then one occasionally, for which every connection is stale.
fn constant(round_trip: Duration, size: u32, resets: f64) -> Scenario {
    let name = format!("{} ms, pool of {size}, resets {resets}", round_trip.as_secs_f64() * 1e3);
    let (crowded, end) = (s(15), s(30));
    let crowd = Group {
        loan: (ms(500), ms(1500)),
        pause: (ms(0), ms(500)),
        patience: s(300),
        ends: crowded,
        resets,
        ..Group::of(2 * size as usize)
    };
    let one = Group { begins: crowded + s(5), ends: end, pause: (ms(2500), ms(2500)), resets, ..Group::of(1) };
    let scenario = Scenario::new(name, size).server(Latency::Constant(round_trip), ms(0)).group(crowd).group(one);
    let bounds = Bounds { attempts: Some(size as usize + 1), ..Bounds::calm() };
    Scenario { seeds: if size < 100 { 2 } else { 1 }, ..scenario.until(end).bounds(bounds) }
}

#[test]
fn latency_that_varies_costs_hardly_a_session() {
    let crowd = |name: &str, latency| {
        let group = Group { loan: (ms(500), ms(1500)), pause: (ms(0), ms(500)), patience: s(300), ..Group::of(15) };
        Scenario::new(name, 10).server(latency, ms(0)).group(group).until(s(60))
    };
    let one = |name: &str, latency| {
        let group = Group { pause: (ms(2500), ms(2500)), ..Group::of(1) };
        Scenario::new(name, 4).server(latency, ms(0)).group(group).until(s(120))
    };
    let bounds = |closed| Bounds { closed: Some(closed), attempts: Some(13), ..Bounds::calm() };
    let (wild, wide) = (Latency::Uniform(ms(1), ms(900)), Latency::Uniform(us(100), ms(200)));
    let (rare, often) = (Latency::Spiky(ms(1), 0.01, ms(800)), Latency::Spiky(ms(1), 0.1, ms(400)));
    let table = [
        crowd("uniform 1..900 ms, pool of 10, 15 threads", wild).bounds(bounds(1)),
        one("uniform 1..900 ms, pool of 4, one thread each 2.5 s", wild).bounds(bounds(0)),
        crowd("uniform 0.1..200 ms, pool of 10, 15 threads", wide).bounds(bounds(0)),
        crowd("1 ms, 1 % 800 ms, pool of 10, 15 threads", rare).bounds(bounds(1)),
        one("1 ms, 1 % 800 ms, pool of 4, one thread each 2.5 s", rare).bounds(bounds(0)),
        crowd("1 ms, 10 % 400 ms, pool of 10, 15 threads", often).bounds(bounds(1)),
        one("1 ms, 10 % 400 ms, pool of 4, one thread each 2.5 s", often).bounds(bounds(0)),
    ];
    play("latency that varies", table);
}

#[test]
fn a_jump_of_the_latency_costs_a_full_pool_one_session_at_most() {
    let table = [(150, 0, 180), (300, 1, 390), (600, 1, 750), (900, 1, 1_110)].map(|(to, closed, wait)| {
        let (before, slow) = (Latency::Constant(ms(1)), Latency::Constant(ms(to)));
        let group = Group { begins: WARM + s(2), pause: (ms(200), ms(2500)), ..Group::of(10) };
        Scenario::warm(format!("from 1 to {to} ms for 10 s, pool of 10 full, 10 threads"), 10, 10)
            .at(WARM + ms(1_500), Shock::RoundTrip(slow))
            .at(WARM + ms(11_500), Shock::RoundTrip(before))
            .group(group)
            .bounds(Bounds { closed: Some(closed), wait: Some(ms(wait)), ..Bounds::calm() })
    });
    play("jumps of the latency", table);
}

#[test]
fn a_server_that_stands_still_costs_a_full_pool_one_session_each_time() {
    let table = [(400, 480), (900, 1_070)].map(|(span, wait)| {
        let group = Group { begins: WARM + s(2), loan: (ms(1), ms(500)), pause: (ms(500), ms(2500)), ..Group::of(10) };
        let scenario = Scenario::warm(format!("the server stalls {span} ms every 5 s, 10 threads"), 10, 10)
            .group(group)
            .bounds(Bounds { closed: Some(1), wait: Some(ms(wait)), ..Bounds::calm() });
        Scenario { freezes: every(s(5), ms(span), WARM, WARM + s(20)), ..scenario }
    });
    play("stalls of the server", table);
}

#[test]
fn stalls_of_the_process_cost_no_session() {
    let still = |span, trip, check_after| {
        let group = Group { loan: (ms(1), ms(300)), pause: (ms(0), ms(1500)), ..Group::of(8) };
        let (name, fresh) = (format!("{span} ms every 1.3 s, round trip {trip} ms"), ms(check_after).as_millis());
        let scenario = Scenario::new(format!("{name}, check_after {fresh} ms, pool of 4"), 4)
            .server(Latency::Constant(ms(trip)), ms(0))
            .config(|config| config.check_after = ms(check_after))
            .group(group)
            .until(s(60))
            .bounds(Bounds { attempts: Some(4), wait: Some(ms(2 * span + 700 + 10 * trip)), ..Bounds::calm() });
        Scenario { stalls: every(ms(1_300 + span), ms(span), s(2), s(58)), ..scenario }
    };
    let still = [150, 500, 3_000].map(|span| [still(span, 1, 1_000), still(span, 1, 0), still(span, 120, 0)]);
    // As far apart as a check's limit is long, so the limit passes just as the process continues.
    let group = Group { loan: (ms(150), ms(500)), pause: (ms(70), ms(200)), ..Group::of(68) };
    let at_the_limit = Scenario::new("730 ms each second, round trip 290 ms, pool of 45, 68 threads", 45)
        .server(Latency::Constant(ms(290)), ms(0))
        .group(group)
        .until(s(32))
        .bounds(Bounds::calm());
    let at_the_limit = Scenario { stalls: every(s(1), ms(730), s(10), s(30)), seeds: 2, ..at_the_limit };
    play("stalls of the process", still.into_iter().flatten().chain([at_the_limit]));
}

#[test]
fn a_busy_machine_costs_no_session() {
    let busy = [30, 80].map(|mean| {
        let group = Group { loan: (ms(50), ms(500)), pause: (ms(0), ms(500)), ..Group::of(30) };
        let scenario = Scenario::new(format!("each wake-up takes {mean} ms (exponential), 30 threads on 10"), 10)
            .group(group)
            .bounds(Bounds { attempts: Some(10), ..Bounds::calm() });
        Scenario { wake_up: WakeUp::Exponential(ms(mean)), ..scenario.until(s(30)) }
    });
    play("a busy machine, and large pools", busy.into_iter().chain([crowd_on_a_busy_machine(), a_thousand()]));
}

fn a_thousand() -> Scenario {
    let group = Group { loan: (s(1), s(3)), pause: (ms(0), ms(500)), ..Group::of(1_200) };
    let scenario = Scenario::new("40 ms, 1,200 threads on 1,000 connections", 1_000)
        .server(Latency::Constant(ms(40)), ms(0))
        .group(group)
        .until(s(8))
        .bounds(Bounds { attempts: Some(1_000), ..Bounds::calm() });
    Scenario { seeds: 1, ..scenario }
}

fn crowd_on_a_busy_machine() -> Scenario {
    let group = Group { loan: (ms(20), ms(200)), pause: (ms(0), ms(1500)), resets: 0.1, ..Group::of(1_200) };
    let scenario = Scenario::new("1,200 threads on 600 connections, wake-ups of up to 30 ms", 600)
        .group(group)
        .until(s(8))
        .bounds(Bounds::calm());
    Scenario { wake_up: WakeUp::UpTo(ms(30)), seeds: 1, ..scenario }
}

/// Windows of length `span`, one each `period`, between `from` and `until`.
fn every(period: Duration, span: Duration, from: Duration, until: Duration) -> Vec<(Duration, Duration)> {
    let count = ((until - from).as_nanos() / period.as_nanos()) as u32;
    (0..count).map(|place| (from + period * place, span)).collect()
}
