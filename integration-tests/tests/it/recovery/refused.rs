//! A server that cannot be reached, or that accepts only a few sessions.

use super::load::Load;
use super::slack::Slack;
use super::whole::is_whole;
use crate::cases::add;
use crate::subject::Remote;
use cabrank::{GetError, SessionPolicy};
use cabrank_testing::{NetworkFault, eventually};
use integration_tests::{Case, Engine, figure};
use std::thread;
use std::time::{Duration, Instant};

pub(crate) fn cases<S: Remote>(cases: &mut Vec<Case>) {
    add!(cases, S, Server, refused_for_a_while_the_pool_comes_back_by_itself);
    add!(cases, S, Server, four_sessions_serve_thirty_two_threads);
}

/// All connections break, and new ones are refused: first by the system, then by the proxy, which counts them.
fn refused_for_a_while_the_pool_comes_back_by_itself<S: Remote>() {
    let slack = Slack::begin();
    let subject = S::new();
    let proxy = subject.database().proxy().unwrap();
    let pool = subject.pool_by(subject.database().url_through(&proxy), |builder| builder.max_size(8));
    let load = Load::on::<S>(&pool, 16);
    load.warm_up();
    let opening = pool.stats().open_time.max();
    proxy.set(NetworkFault::Refuse);
    proxy.reset();
    let begun = Instant::now();
    let limit = Duration::from_millis(600);
    let Err(GetError::Timeout(report)) = pool.get_timeout(limit) else { panic!("no connection is available") };
    let waited = begun.elapsed();
    assert!(waited >= limit && waited < limit + slack.get(), "{waited:?}");
    assert!(report.last_connect_error.is_some(), "{report}");

    let before = proxy.counts().attempts.len();
    proxy.set(NetworkFault::ResetNew);
    // A while in which to count.
    thread::sleep(COUNTED);
    let attempts = proxy.counts().attempts.len() - before;
    proxy.set(NetworkFault::None);
    let back = Instant::now();
    load.go_on_from(back);
    let record = load.stop();
    let recovery = record.first_success_after(back);
    record.is_within(8);
    // The pauses have grown to their cap by now: 255 ms on average.
    assert!(attempts <= 25, "{attempts} attempts in {COUNTED:?}");
    assert!(recovery < CAP + opening + slack.get(), "{recovery:?}, an opening {opening:?}");
    is_whole(&subject, &pool);
    figure(format!(
        "refused for {:.1?}: failed gets 0, failed queries {} (in flight 8), \
         {attempts} attempts in the last {COUNTED:?}, first success {recovery:.0?} after it was back, \
         0 sessions left",
        back - begun,
        record.failed_queries.len(),
    ));
}

/// The server allows the user four sessions, and the pool wants ten.
fn four_sessions_serve_thirty_two_threads<S: Remote>() {
    let subject = S::new();
    subject.database().limit_sessions(4).unwrap();
    let pool = subject.pool(|builder| {
        // MariaDB no longer counts a session that was reset by its protocol's own command (seen in 11.8.9, with the plain driver): then
        // there would be no limit.
        let forgets = S::ENGINE == Engine::Mariadb;
        builder.max_size(10).session_policy(if forgets { SessionPolicy::Never } else { SessionPolicy::Tracked })
    });
    let load = Load::on::<S>(&pool, 32);
    load.warm_up();
    eventually("openings have failed", || pool.stats().open_failures >= 3);
    let full = Instant::now();
    load.go_on_from(full);
    let peak = subject.watch().expect("it has a server").peak();
    let refused = pool.stats().open_failures;
    // For a moment MySQL and MariaDB list sessions that they are about to refuse.
    let passing = if S::ENGINE == Engine::Postgres { 0 } else { refused as usize };
    assert!(peak <= 4 + passing, "{peak} sessions");
    eventually("the server has four sessions", || subject.sessions() == 4);

    subject.database().limit_sessions(20).unwrap();
    let raised = Instant::now();
    eventually("the server has ten sessions", || subject.sessions() == 10);
    let grown = raised.elapsed();
    let record = load.stop();
    record.is_within(0);
    is_whole(&subject, &pool);
    figure(format!(
        "4 sessions allowed, 32 threads, max_size 10: failed gets 0, failed queries 0, \
         {refused} refused attempts, longest get {:.0?}, grown to 10 {grown:.1?} after the limit was raised, \
         0 sessions left",
        record.longest_get,
    ));
}

const COUNTED: Duration = Duration::from_millis(1_500);
const CAP: Duration = Duration::from_millis(500);
