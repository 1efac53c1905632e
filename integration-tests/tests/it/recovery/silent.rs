//! A silent server, which is worse than an error: frozen, or behind a host that accepts connections for it.

use super::load::Load;
use super::slack::Slack;
use super::whole::is_whole;
use crate::cases::add;
use crate::subject::Remote;
use cabrank_testing::{NetworkFault, eventually};
use integration_tests::{Case, figure};
use std::thread;
use std::time::{Duration, Instant};

pub(crate) fn cases<S: Remote>(cases: &mut Vec<Case>) {
    add!(cases, S, Control, a_frozen_server_holds_no_get_beyond_its_deadline);
    add!(cases, S, Server, a_server_that_accepts_and_is_silent_gets_one_attempt_at_a_time);
}

/// Each connection is checked before its loan, so there are no loans while nothing answers.
fn a_frozen_server_holds_no_get_beyond_its_deadline<S: Remote>() {
    let slack = Slack::begin();
    let subject = S::new();
    let server = subject.database().server();
    let pool = subject.pool(|builder| {
        builder.max_size(4).check_after(Duration::ZERO).check_timeout(ATTEMPT).connect_timeout(ATTEMPT)
    });
    let load = Load::with_limit::<S>(&pool, 8, LIMIT);
    load.warm_up();
    let frozen = Instant::now();
    let back = thread::scope(|scope| {
        let query = scope.spawn(|| S::number(&mut pool.get().unwrap(), S::SOME_SECONDS));
        server.pause().unwrap();
        // At most four threads are in a query, and wait with the server; the others retry.
        eventually("gets have failed", || load.record().failed_gets.len() >= 12);
        server.unpause().unwrap();
        let back = Instant::now();
        assert_eq!(query.join().unwrap().expect("a query outlives the frost"), 7);
        back
    });
    load.go_on_from(back);
    let record = load.stop();
    let recovery = record.first_success_after(back);
    assert!(record.longest_get < LIMIT + slack.get(), "{:?}", record.longest_get);
    assert!(record.failed_queries.len() <= 4, "{} queries failed", record.failed_queries.len());
    assert!(recovery < CAP + ATTEMPT + slack.get(), "{recovery:?}");
    is_whole(&subject, &pool);
    figure(format!(
        "frozen for {:.1?}: longest get {:.0?} (limit {LIMIT:?}), failed queries {}, \
         first success {recovery:.0?} after it was back, 0 sessions left",
        back - frozen,
        record.longest_get,
        record.failed_queries.len(),
    ));
}

fn a_server_that_accepts_and_is_silent_gets_one_attempt_at_a_time<S: Remote>() {
    let slack = Slack::begin();
    let subject = S::new();
    let proxy = subject.database().proxy().unwrap();
    let pool =
        subject.pool_by(subject.database().url_through(&proxy), |builder| builder.max_size(4).connect_timeout(ATTEMPT));
    let load = Load::with_limit::<S>(&pool, 8, LIMIT);
    load.warm_up();
    let (before, opening) = (proxy.counts().attempts.len(), pool.stats().open_time.max());
    proxy.set(NetworkFault::Silence);
    proxy.reset();
    let begun = Instant::now();
    // Long enough for the attempts that began before the outage was known, and for three after that.
    eventually("three attempts were made one by one", || {
        proxy.counts().attempts.iter().skip(before).filter(|&&at| at > begun + ATTEMPT).count() >= 3
    });
    proxy.set(NetworkFault::None);
    let back = Instant::now();
    load.go_on_from(back);
    let record = load.stop();
    let recovery = record.first_success_after(back);
    let attempts: Vec<Instant> = proxy.counts().attempts.drain(before..).filter(|&at| at < back).collect();
    let (first, probes): (Vec<_>, Vec<_>) = attempts.into_iter().partition(|&at| at < begun + ATTEMPT);
    assert!(first.len() <= 4, "{} attempts before anything was known", first.len());
    for pair in probes.windows(2) {
        // Each lasts for a second; the proxy may notice one late.
        assert!(pair[1] - pair[0] > ATTEMPT / 2, "one began before the other had ended");
    }
    assert!(record.longest_get < LIMIT + slack.get(), "{:?}", record.longest_get);
    assert!(record.failed_queries.len() <= 4, "{} queries failed", record.failed_queries.len());
    // A silent connection stays silent: the attempt under way fails.
    assert!(recovery < ATTEMPT + CAP + opening + slack.get(), "{recovery:?}, an opening {opening:?}");
    is_whole(&subject, &pool);
    figure(format!(
        "accepted and silent for {:.1?}: {} attempts at once, then {} one by one, \
         longest get {:.0?} (limit {LIMIT:?}), failed queries {} (in flight 4), \
         first success {recovery:.0?} after it spoke, 0 sessions left",
        back - begun,
        first.len(),
        probes.len(),
        record.longest_get,
        record.failed_queries.len(),
    ));
}

const LIMIT: Duration = Duration::from_millis(400);
const ATTEMPT: Duration = Duration::from_secs(1);
const CAP: Duration = Duration::from_millis(500);
