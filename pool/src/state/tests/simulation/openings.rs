//! Opening connections: cold starts, slow, silent and refusing servers, and growth.

use super::bounds::{Bounds, play};
use super::scenario::{Group, Scenario, Shock, WARM, ms, s, us};
use super::server::{Connects, Latency};
use std::time::Duration;

#[test]
fn a_slow_server_is_not_asked_for_more() {
    let slow = |name: &str, log_in: Duration, borrowers, wait, attempts| {
        Scenario::new(name, 10)
            .server(Latency::Constant(ms(1)), log_in - ms(7))
            .group(Group { loan: (s(1), s(1)), rounds: 1, ..Group::of(borrowers) })
            .until(s(30))
            .bounds(Bounds {
                wait: Some(wait),
                attempts: Some(attempts),
                at_once: Some(borrowers.max(2)),
                ..Bounds::calm()
            })
    };
    let refusal = Scenario::new("log-in 5 s, one refusal first, cold, 1 borrower", 10)
        .server(Latency::Constant(ms(1)), s(5))
        .at(ms(0), Shock::Connects(Connects::Refused))
        .at(ms(5), Shock::Connects(Connects::Well))
        .group(Group { rounds: 1, ..Group::of(1) })
        .bounds(Bounds { wait: Some(ms(6_100)), attempts: Some(3), ..Bounds::calm() });
    let restart = Scenario::warm("log-in 5 s, warm, restart with one refusal, 3 borrowers", 10, 3)
        .server(Latency::Constant(ms(1)), s(5))
        .at(WARM + s(2), Shock::Kill(10))
        .at(WARM + s(2), Shock::Connects(Connects::Refused))
        .at(WARM + s(2) + ms(15), Shock::Connects(Connects::Well))
        .group(Group { begins: WARM + s(2) + ms(10), rounds: 1, ..Group::of(3) })
        .bounds(Bounds { wait: Some(ms(6_100)), judged_attempts: Some(5), ..Bounds::calm() });
    let table = [
        slow("log-in 5 s, cold, 1 borrower", s(5), 1, ms(6_000), 2),
        slow("log-in 800 ms, cold, 5 borrowers", ms(800), 5, ms(2_000), 5),
        slow("log-in 2 s, cold, 5 borrowers", s(2), 5, ms(4_800), 5),
        slow("log-in 8 s, cold, 5 borrowers", s(8), 5, ms(16_800), 5),
        refusal,
        restart,
    ];
    play("slow log-ins", table);
}

#[test]
fn a_silent_server_gets_few_attempts() {
    let cold = |name: &str, borrowers| {
        Scenario::new(name, 10)
            .at(ms(0), Shock::Connects(Connects::Silent))
            .group(Group { patience: s(2), ..Group::of(borrowers) })
            .until(s(10))
            .bounds(Bounds { attempts: Some(5), at_once: Some(2), ..Bounds::default() })
    };
    let warm = |waiters| {
        let lent = Group { begins: WARM + ms(10), rounds: 1, loan: (s(60), s(60)), ..Group::of(10) };
        Scenario::warm(format!("a pool of 50, 10 lent for long, {waiters} waiters of 2 s"), 50, 10)
            .config(|config| config.check_after = Duration::MAX)
            .at(WARM + s(2), Shock::Connects(Connects::Silent))
            .group(lent)
            .group(Group { begins: WARM + s(2) + us(1), patience: s(2), ..Group::of(waiters) })
            .until(WARM + s(12))
            .bounds(Bounds { judged_attempts: Some(8), at_once: Some(5), ..Bounds::default() })
    };
    // A loan ends shortly before, so the server has answered recently.
    let heard = |waiters| {
        let short = Group { begins: WARM + ms(5), rounds: 1, loan: (ms(1_900), ms(1_900)), ..Group::of(1) };
        let scenario = warm(waiters).group(short);
        Scenario { name: format!("{}, recently proved", scenario.name), ..scenario }
    };
    let gone = |borrowers| {
        let waiters = Group { begins: WARM + s(2), patience: s(2), ..Group::of(borrowers) };
        Scenario::warm(format!("10 idle on dead lines, {borrowers} borrowers of 2 s"), 10, 10)
            .at(WARM + ms(1_500), Shock::Swallow(10))
            .at(WARM + ms(1_500), Shock::Connects(Connects::Silent))
            .group(waiters)
            .until(WARM + s(12))
            .bounds(Bounds { judged_attempts: Some(8), at_once: Some(5), ..Bounds::default() })
    };
    let table = [
        gone(1),
        gone(20),
        cold("silent from the start, 1 borrower of 2 s again and again", 1),
        cold("silent from the start, 20 borrowers of 2 s again and again", 20),
        warm(10),
        warm(40),
        heard(10),
        heard(40),
    ];
    play("silent servers", table);
}

#[test]
fn a_server_slower_than_the_limit_of_a_check_serves_those_who_have_time_for_an_opening() {
    let slow = |size: u32, answer: u64, idle: Duration, failed| {
        let name =
            format!("answers take {answer} ms, log-ins twice that, pool of {size}, {} ms idle", idle.as_millis());
        let at_work = Group {
            loan: (ms(answer), ms(answer)),
            pause: (ms(1_200), ms(1_200)),
            patience: s(5),
            ..Group::of(size as usize)
        };
        let scenario = Scenario::warm(name, size, size as usize)
            .at(WARM, Shock::RoundTrip(Latency::Constant(ms(answer))))
            .group(Group { begins: WARM + idle, ends: WARM + s(10), ..at_work })
            .bounds(Bounds { failed: Some(failed), judged_attempts: Some(3 * size as usize), ..Bounds::default() });
        Scenario { server: (Latency::Constant(ms(2)), 2, ms(0)), ..scenario }
    };
    let cases = [(10, 1_100, 0), (10, 1_300, 0), (16, 1_100, 0), (16, 1_300, 3)];
    let table = cases.map(|(size, answer, failed)| [ms(1), ms(1_500)].map(|idle| slow(size, answer, idle, failed)));
    let untouched = |answer, idle| {
        let mut scenario = slow(10, answer, idle, 0).config(|config| config.min_idle = 10);
        scenario.groups.iter_mut().for_each(|group| group.touch = false);
        Scenario { name: format!("{}, untouched, min_idle 10", scenario.name), ..scenario }
    };
    let kept = [(1_100, 1), (1_300, 1), (1_300, 1_500)].map(|(answer, idle)| untouched(answer, ms(idle)));
    play("a server slower than check_timeout for 10 s", table.into_iter().flatten().chain(kept));
}

#[test]
fn a_cold_start_pays_one_opening_more_at_most() {
    let cold = |name: &str, loan, attempts| {
        Scenario::new(name, 50)
            .server(Latency::Constant(ms(1)), ms(143))
            .group(Group { loan: (loan, loan), rounds: 1, ..Group::of(50) })
            .bounds(Bounds { wait: Some(ms(330)), attempts: Some(attempts), ..Bounds::calm() })
    };
    let kept = Scenario::new("min_idle 10, log-in 150 ms, nobody borrows", 10)
        .server(Latency::Constant(ms(1)), ms(143))
        .config(|config| config.min_idle = 10)
        .bounds(Bounds { attempts: Some(10), ..Bounds::calm() });
    let many = |name: &str, log_in: Duration| {
        Scenario::new(name, 100)
            .server(Latency::Constant(us(100)), log_in - us(700))
            .group(Group { loan: (log_in * 3, log_in * 3), rounds: 1, ..Group::of(100) })
            .until(s(60))
            .bounds(Bounds { wait: Some(log_in.mul_f64(2.2) + ms(3)), attempts: Some(100), ..Bounds::calm() })
    };
    let table = [
        many("100 borrowers, log-in 1 ms, loans 3 ms", ms(1)),
        many("100 borrowers, log-in 8 s, loans 24 s", s(8)),
        cold("50 borrowers, log-in 150 ms, loans 2 ms", ms(2), 8),
        cold("50 borrowers, log-in 150 ms, loans 2 s", s(2), 50),
        kept,
    ];
    play("cold starts", table);
}

#[test]
fn a_permanent_fault_is_met_once_and_told_at_once() {
    let soon = |scenario: Scenario, from: Duration, borrowers: usize| {
        let gets = Group { begins: from + ms(1), rounds: 1, ..Group::of(borrowers) };
        let (soon, attempts) = (Some(ms(60)), Some(1));
        let bounds = Bounds { judged_attempts: attempts, wait: soon, told_after: soon, ..Bounds::calm() };
        Scenario { judged: (from, from + ms(950)), ..scenario.group(gets).bounds(bounds) }
    };
    let wrong = Shock::Connects(Connects::WrongPassword);
    let slow = Latency::Constant(ms(1));
    let cold = Scenario::new("wrong password, cold, 20 borrowers, log-in 30 ms", 10).server(slow, ms(23));
    let kept = Scenario::new("wrong password, cold, min_idle 10", 10).config(|config| config.min_idle = 10);
    let rotated = Scenario::warm("password rotated, evict_all, 20 borrowers", 10, 10);
    let lent = Group { begins: ms(0), rounds: 1, loan: (s(60), s(60)), ..Group::of(1) };
    let short = Group { begins: ms(0), ends: s(30), loan: (ms(1), ms(10)), pause: (ms(500), ms(500)), ..Group::of(1) };
    let for_good =
        Scenario::new("one lent for good, wrong password, 5 borrowers", 10).group(lent).group(short).until(s(40));
    let in_use = Scenario::warm("10 in use (loans 0.2 to 1 s), password rotated, 15 threads", 10, 10)
        .at(WARM + s(3), wrong.clone())
        .group(Group { begins: WARM, loan: (ms(200), ms(1000)), ..Group::of(15) })
        .bounds(Bounds { told: Some(0), wait: Some(ms(1_200)), ..Bounds::calm() });
    let table = [
        soon(cold.at(ms(0), wrong.clone()), ms(0), 20),
        soon(kept.at(ms(0), wrong.clone()), ms(0), 0),
        soon(rotated.at(WARM + s(2), wrong.clone()).at(WARM + s(2), Shock::EvictAll), WARM + s(2), 20),
        soon(for_good.at(s(35), wrong.clone()).at(s(35), Shock::EvictAll), s(35), 5),
        in_use,
    ];
    play("permanent faults", table);
}

#[test]
fn sessions_that_die_at_once_are_not_opened_without_end() {
    let dead = |name: &str, how, borrowers| {
        Scenario::new(name, 10)
            .server(Latency::Constant(us(500)), us(1_500))
            .at(ms(0), Shock::Connects(how))
            .group(Group { patience: s(2), rounds: 1, ..Group::of(borrowers) })
            .until(s(2))
            .bounds(Bounds { attempts: Some(17), ..Bounds::default() })
    };
    let checks = Scenario::new("each check fails, check_after 0, log-in 1 ms, 4 threads, 5 s", 4)
        .server(Latency::Constant(us(100)), us(300))
        .config(|config| config.check_after = ms(0))
        .at(ms(0), Shock::ChecksFail)
        .group(Group::of(4))
        .until(s(5))
        .bounds(Bounds { wait: Some(ms(1_950)), attempts: Some(32), failed: Some(0), ..Bounds::default() });
    let for_a_while = |name: &str, how| {
        Scenario::new(name, 10)
            .server(Latency::Constant(us(500)), us(1_500))
            .at(ms(0), Shock::Connects(how))
            .at(s(2), Shock::Connects(Connects::Well))
            .group(Group { loan: (ms(1), ms(20)), ..Group::of(20) })
            .until(s(5))
            .bounds(Bounds { attempts: Some(30), wait: Some(ms(3_200)), ..Bounds::calm() })
    };
    let table = [
        for_a_while("dead on arrival for 2 s, 20 borrowers", Connects::DeadOnArrival),
        for_a_while("dead at the first look for 2 s, 20 borrowers", Connects::ShortLived),
        dead("dead on arrival, log-in 5 ms, 1 borrower of 2 s", Connects::DeadOnArrival, 1),
        dead("dead on arrival, log-in 5 ms, 20 borrowers of 2 s", Connects::DeadOnArrival, 20),
        dead("dead at the first look, log-in 5 ms, 1 borrower of 2 s", Connects::ShortLived, 1),
        dead("dead at the first look, log-in 5 ms, 20 borrowers of 2 s", Connects::ShortLived, 20),
        checks,
    ];
    play("stillborn sessions", table);
}

#[test]
fn growth_follows_how_long_loans_are() {
    let warm = |name: &str, size, idle, log_in: Duration| {
        let scenario = Scenario::warm(name, size, idle).server(Latency::Constant(ms(1)), log_in - ms(7));
        scenario.config(|config| config.check_after = Duration::MAX)
    };
    let burst = |threads, loan, wait, attempts| {
        let name = format!("burst: {threads} threads, 5 open, log-in 150 ms, loans {} ms", ms(loan).as_millis());
        // Earlier loans have been as long.
        let loans = Group { loan: (ms(loan), ms(loan)), ..Group::of(threads) };
        let before = Group { count: 5, begins: WARM + ms(1), ends: WARM + ms(400), ..loans.clone() };
        warm(&name, 50, 5, ms(150))
            .group(before)
            .group(Group { begins: WARM + ms(500), rounds: 1, ..loans })
            .bounds(Bounds { wait: Some(ms(wait)), judged_attempts: Some(attempts), ..Bounds::calm() })
    };
    let long = Group { rounds: 1, loan: (s(10), s(10)), ..Group::of(20) };
    let lent_one = Group { begins: WARM + ms(400), rounds: 1, loan: (s(10), s(10)), ..Group::of(1) };
    let later = Group { begins: WARM + ms(500), ..long.clone() };
    let longest = |wait| Bounds { wait: Some(ms(wait)), ..Bounds::calm() };
    let cold =
        Scenario::new("20 borrowers of 10 s, log-in 2 s, pool of 20, cold", 20).server(Latency::Constant(ms(1)), s(2));
    let without_pause = warm("200 threads without pause, 5 open, log-in 150 ms, loans 2 ms", 50, 5, ms(150))
        .group(Group { begins: WARM + ms(500), loan: (ms(2), ms(2)), ..Group::of(200) })
        .until(WARM + s(2))
        .bounds(longest(97));
    let table = [
        burst(50, 2, 25, 1),
        burst(200, 2, 95, 1),
        burst(20, 20, 75, 1),
        Scenario { seeds: 1, ..without_pause },
        cold.group(long).bounds(longest(5_000)),
        warm("20 borrowers of 10 s, log-in 2 s, pool of 20, one is open", 20, 1, s(2))
            .group(later.clone())
            .bounds(longest(4_200)),
        warm("one lent for 10 s, then 20 of 10 s, log-in 2 s, pool of 21", 21, 1, s(2))
            .group(lent_one)
            .group(later)
            .bounds(longest(4_200)),
    ];
    play("growth", table);
}

#[test]
fn a_full_server_is_asked_now_and_then() {
    let full = Scenario::new("room for 4 of 10, 20 threads, loans 20 ms, 5 s", 10)
        .at(ms(0), Shock::Connects(Connects::Room(4)))
        .group(Group { loan: (ms(20), ms(20)), ..Group::of(20) })
        .until(s(5))
        .bounds(Bounds { wait: Some(ms(140)), attempts: Some(49), ..Bounds::calm() });
    play("full servers", [full]);
}
