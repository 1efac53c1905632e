//! Lines that go dead silently, ended sessions, unanswered goodbyes, and idle connections beside them.

use super::bounds::{Bounds, play};
use super::scenario::{Group, Scenario, Shock, WARM, ms, s, us};
use super::server::{Connects, Latency};
use std::time::Duration;

#[test]
fn ten_black_holed_connections_cost_a_get_half_a_second_on_a_near_server() {
    let mut table = Vec::new();
    for (round_trip, log_in, most) in [
        (us(100), ms(2), ms(500)),
        (ms(2), ms(17), ms(500)),
        (ms(1), ms(57), ms(500)),
        (ms(1), ms(157), ms(500)),
        (ms(40), ms(280), ms(660)),
        (ms(120), ms(840), ms(1_200)),
        (ms(400), ms(2_800), ms(4_300)),
    ] {
        for borrowers in [1, 10] {
            let (trip, whole) = (round_trip.as_secs_f64() * 1e3, log_in.as_millis());
            let name = format!("round trip {trip} ms, log-in {whole} ms, {borrowers} borrowers");
            let scenario = Scenario::warm(name, 10, 10)
                .server(Latency::Constant(round_trip), log_in - round_trip * 7)
                .at(WARM + ms(1_500), Shock::Swallow(10))
                .group(Group { begins: WARM + s(2), rounds: 1, ..Group::of(borrowers) })
                .bounds(Bounds { wait: Some(most), attempts: Some(20), ..Bounds::calm() });
            table.push(scenario);
        }
    }
    let arriving = Scenario::warm("round trip 1 ms, a borrower each 70 ms, loans 1 s", 10, 10)
        .at(WARM + ms(1_500), Shock::Swallow(10))
        .group(Group { begins: WARM + s(2), apart: ms(70), rounds: 1, loan: (s(1), s(1)), ..Group::of(10) })
        .bounds(Bounds { wait: Some(ms(310)), attempts: Some(20), ..Bounds::calm() });
    let after_a_stall = Scenario::warm("round trip 1 ms, 1 borrower, after a stall of the process of 900 ms", 10, 10)
        .config(|config| config.check_after = ms(0))
        .group(Group { begins: WARM + ms(900), ends: WARM + s(2), loan: (ms(5), ms(5)), ..Group::of(20) })
        .at(WARM + s(4), Shock::Swallow(10))
        .group(Group { begins: WARM + ms(4_500), rounds: 1, ..Group::of(1) })
        .bounds(Bounds { wait: Some(ms(500)), ..Bounds::calm() });
    let (stalls, judged) = (vec![(WARM + s(1), ms(900))], (WARM + s(4), WARM + s(20)));
    table.push(arriving);
    table.push(Scenario { stalls, judged, seeds: 2, ..after_a_stall });
    play("ten idle connections on lines that swallow everything", table);
}

#[test]
fn an_idle_connection_that_would_answer_is_asked_first() {
    let some_dead = |name: &str, size: u32, dead, patience, wait| {
        Scenario::warm(name, size, size as usize)
            .at(WARM + ms(1_500), Shock::Swallow(dead))
            .group(Group { begins: WARM + s(2), apart: ms(100), rounds: 1, patience, ..Group::of(10) })
            .bounds(Bounds { wait: Some(wait), ..Bounds::calm() })
    };
    let hung = Scenario::warm("4 of 8 killed, connects hang, gets of 400 ms each 1.5 s, min_idle 8", 8, 8)
        .config(|config| config.min_idle = 8)
        .at(WARM + ms(1_500), Shock::Kill(4))
        .at(WARM + ms(1_500), Shock::Connects(Connects::Silent))
        .group(Group { begins: WARM + s(2), pause: (ms(1_500), ms(1_500)), patience: ms(400), ..Group::of(1) })
        .until(WARM + s(120))
        .bounds(Bounds { wait: Some(ms(50)), ..Bounds::calm() });
    let table = [
        some_dead("5 of 10 lines dead, 1 borrower each 100 ms", 10, 5, s(30), ms(60)),
        some_dead("9 of 10 lines dead, 1 borrower each 100 ms, gets of 400 ms", 10, 9, ms(400), ms(120)),
        some_dead("99 of 100 lines dead, 1 borrower each 100 ms, gets of 400 ms", 100, 99, ms(400), ms(220)),
        hung,
    ];
    play("idle first", table);
}

#[test]
fn goodbyes_that_nobody_answers_cost_one_patience_and_two_openings() {
    let mut table = Vec::new();
    for (trip, most) in [(ms(1), ms(45)), (ms(120), ms(2_600))] {
        for borrowers in [1, 10] {
            for cause in ["evict_all", "the reaper", "mass expiry"] {
                table.push(goodbyes(cause, trip, borrowers, most));
            }
        }
    }
    play("unanswered goodbyes, 10 idle", table);
}

/// All ten connections say goodbye at one moment, and then a borrower asks for one.
fn goodbyes(cause: &str, trip: Duration, borrowers: usize, most: Duration) -> Scenario {
    let name = format!("{cause}, round trip {} ms, {borrowers} borrowers", trip.as_millis());
    let scenario = Scenario::warm(name, 10, 10)
        .server(Latency::Constant(trip), ms(0))
        .at(WARM + ms(500), Shock::Swallow(10))
        .bounds(Bounds { wait: Some(most), attempts: Some(20), ..Bounds::calm() });
    let (scenario, begins) = match cause {
        "evict_all" => (scenario.at(WARM + s(2), Shock::EvictAll), WARM + s(2) + us(1)),
        "the reaper" => (scenario.config(|config| config.idle_timeout = s(2)), WARM + ms(2_002)),
        _ => {
            let lifetime = |config: &mut crate::config::Config| {
                (config.max_lifetime, config.lifetime_jitter) = (WARM + s(2), 0.0);
            };
            (scenario.config(lifetime), WARM + s(2) + trip * 30)
        }
    };
    scenario.group(Group { begins, rounds: 1, patience: s(5), ..Group::of(borrowers) })
}

#[test]
fn keepalive_is_in_nobodys_way() {
    let keepalive = Scenario::warm("keepalive 2 s, no other checks, 40 ms, 10 idle, a thread each 90 ms", 10, 10)
        .server(Latency::Constant(ms(40)), ms(0))
        .config(|config| (config.keepalive, config.check_after) = (s(2), Duration::MAX))
        .group(Group { begins: WARM + ms(1), pause: (ms(90), ms(90)), ..Group::of(1) })
        .bounds(Bounds { wait: Some(ms(1)), ..Bounds::calm() });
    play("keepalive", [keepalive]);
}

#[test]
fn a_restart_costs_each_get_little_more_than_an_opening() {
    let restart = Scenario::warm("all sessions end, log-in 5 ms, 8 threads", 10, 10)
        .server(Latency::Constant(us(500)), us(1_500))
        .at(WARM + ms(500), Shock::Kill(10))
        .group(Group { begins: WARM + ms(600), ..Group::of(8) })
        .until(WARM + s(1))
        .bounds(Bounds { wait: Some(ms(20)), attempts: Some(22), ..Bounds::calm() });
    let outage = Scenario::warm("refused for 2 s under load, 16 threads", 10, 10)
        .at(WARM + s(1), Shock::Kill(10))
        .at(WARM + s(1), Shock::Connects(Connects::Refused))
        .at(WARM + s(3), Shock::Connects(Connects::Well))
        .group(Group { begins: WARM + ms(500), loan: (ms(1), ms(20)), ..Group::of(16) })
        .until(WARM + s(5))
        .bounds(Bounds { wait: Some(ms(2_980)), attempts: Some(44), ..Bounds::calm() });
    let silence = Scenario::warm("silent for 5 s under load, 16 threads", 10, 10)
        .at(WARM + s(1), Shock::Swallow(10))
        .at(WARM + s(1), Shock::Connects(Connects::Silent))
        .at(WARM + s(6), Shock::Connects(Connects::Well))
        .group(Group { begins: WARM + ms(500), loan: (ms(1), ms(20)), ..Group::of(16) })
        .until(WARM + s(12))
        .bounds(Bounds { wait: Some(s(12)), judged_attempts: Some(20), ..Bounds::calm() });
    let outage = Scenario { seeds: 10, ..outage };
    let attempts = Scenario { judged: (WARM + s(1), WARM + s(3)), ..outage.clone() };
    let attempts = Scenario { name: "the same, attempts in the outage".to_owned(), ..attempts };
    let attempts = attempts.bounds(Bounds { judged_attempts: Some(20), at_once: Some(1), ..Bounds::default() });
    play("sessions end", [restart, outage, attempts, silence]);
}
