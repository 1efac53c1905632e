//! Many processes that start at once, more than their server has sessions for, each with a pool of one: like the instances of a function,
//! or a deployment that is restarted as a whole.

use crate::cases::add;
use crate::frozen::recipe;
use crate::postgres::Postgres;
use crate::subject::{Remote, Subject};
use cabrank_testing::{Proxy, eventually};
use integration_tests::harness::{leave_server, takes_longer};
use integration_tests::launch::{For, Launch};
use integration_tests::running::{PATIENCE, Running};
use integration_tests::{Borrower, Case, Engine, Needs, figure};
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};
use url::Url;

pub(crate) fn cases<S: Remote>(cases: &mut Vec<Case>) {
    add!(cases, S, Server, sixty_processes_on_twenty_sessions_are_all_served);
}

pub(crate) fn longer_cases(cases: &mut Vec<Case>) {
    if takes_longer() {
        cases.push(Case {
            engine: Postgres::ENGINE,
            name: "storm::three_hundred_processes_on_a_hundred_sessions_are_all_served",
            needs: Needs::Control,
            run: three_hundred_processes_on_a_hundred_sessions_are_all_served,
        });
    }
}

fn sixty_processes_on_twenty_sessions_are_all_served<S: Remote>() {
    let subject = S::new();
    subject.database().limit_sessions(20).unwrap();
    // For a moment MySQL and MariaDB list sessions that they are about to refuse.
    subject.watch().expect("it has a server").allow(if S::ENGINE == Engine::Postgres { 20 } else { 60 });
    let proxy = subject.database().proxy().unwrap();
    let storm = Storm::of(60, &subject.database().url_through(&proxy), S::SOME_SECONDS, None, &proxy);
    storm.is_bounded(60, DEFAULT);
    eventually("no session is left", || subject.sessions() == 0);
    figure(storm.in_words(60, 20));
}

/// With the default pauses, and with those for a pool in a fleet.
fn three_hundred_processes_on_a_hundred_sessions_are_all_served() {
    leave_server();
    let mut launch = Launch::of(Engine::Postgres, For::Suite);
    launch.arguments[0] = "-cmax_connections=100";
    let running = Running::launch(Engine::Postgres, &launch).expect("a server");
    running.wait_until_ready(PATIENCE, || false).expect("a server that accepts logins");
    let (host, port) = running.container().expect("a container").address();
    let proxy = Proxy::start((host, port)).expect("a proxy");
    let mut url = running.url().clone();
    url.set_port(Some(proxy.address().port())).expect("it takes a port");
    for (pauses, bound) in [(None, DEFAULT), (Some("500ms..5s"), FLEET)] {
        let storm = Storm::of(300, &url, Postgres::SOME_SECONDS, pauses, &proxy);
        storm.is_bounded(300, bound);
        let text = storm.in_words(300, 100);
        figure(format!("{text}, backoff {}", pauses.unwrap_or("as usual")));
    }
    let mut admin = running.log_in().expect("a login");
    eventually("no session is left", || {
        let others =
            "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
        admin.number(others).expect("a count") == 0
    });
    running.container().expect("a container").remove().expect("it goes");
}

/// The result of a storm.
struct Storm {
    /// Until the last was served.
    took: Duration,
    /// The time of each attempt to connect, since the beginning.
    attempts: Vec<Duration>,
}

/// The number of attempts that a process's pauses allow in a second: before they have grown, and afterwards.
#[derive(Clone, Copy)]
struct Bound {
    grown_after: usize,
    before: f64,
    then: f64,
}

impl Storm {
    /// Each process borrows once, for three seconds, and ends. All begin together, and each waits for up to a minute.
    fn of(processes: usize, url: &Url, sql: &str, backoff: Option<&str>, proxy: &Proxy) -> Self {
        let mut recipe = recipe(url.clone(), 1);
        recipe.variables.push(("DB_POOL_ACQUIRE_TIMEOUT", "60s".into()));
        recipe.variables.extend(backoff.map(|pauses| ("DB_POOL_BACKOFF", pauses.to_owned())));
        let before = proxy.counts().attempts.len();
        let all_are_there = Barrier::new(processes + 1);
        let (begun, ended) = thread::scope(|scope| {
            let process = || {
                let mut borrower = Borrower::start(&recipe).expect("a process");
                all_are_there.wait();
                borrower.tell(&format!("once {sql}"));
                borrower.finish().expect("a good end")
            };
            let threads: Vec<_> = (0..processes).map(|_| scope.spawn(process)).collect();
            all_are_there.wait();
            let begun = Instant::now();
            for thread in threads {
                let loans = thread.join().expect("a process that was served");
                assert!(loans.len() == 1 && loans[0].is_served(), "{loans:?}");
            }
            (begun, Instant::now())
        });
        let attempts =
            proxy.counts().attempts.iter().skip(before).map(|&at| at.saturating_duration_since(begun)).collect();
        Self { took: ended - begun, attempts }
    }

    /// The attempts in each second.
    fn rates(&self) -> Vec<usize> {
        let mut rates = vec![0; self.took.as_secs() as usize + 1];
        for at in &self.attempts {
            let second = (at.as_secs() as usize).min(rates.len() - 1);
            rates[second] += 1;
        }
        rates
    }

    fn is_bounded(&self, processes: usize, bound: Bound) {
        let rates = self.rates();
        for (second, &rate) in rates.iter().enumerate() {
            let each = if second < bound.grown_after { bound.before } else { bound.then };
            let most = each * processes as f64;
            assert!(rate as f64 <= most, "{rates:?} attempts by the second, in this one at most {most}: {second}");
        }
    }

    fn in_words(&self, processes: usize, sessions: usize) -> String {
        let rates = self.rates();
        format!(
            "{processes} processes on {sessions} sessions, three seconds each: failed gets 0, all served and gone in {:.1?}, \
             {} attempts, by the second {rates:?}",
            self.took,
            self.attempts.len(),
        )
    }
}

/// Pauses of up to 50 ms, then 100, and so on up to 500: after a second they have grown, and on a busy machine after three. Seven
/// attempts fit into the first second, then four into each; one more allows for chance.
const DEFAULT: Bound = Bound { grown_after: 3, before: 8.0, then: 5.0 };
/// Pauses of up to 500 ms, then 1 s, and so on up to 5: three attempts fit into the first second, and then one into 2.5 s.
const FLEET: Bound = Bound { grown_after: 6, before: 4.0, then: 0.6 };
