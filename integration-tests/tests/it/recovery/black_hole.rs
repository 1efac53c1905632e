//! Established flows are silently swallowed while new ones work, as by a firewall that forgets idle flows. The connections go straight to
//! the server's container, and its packet filter drops the traffic.

use super::slack::Slack;
use super::whole::is_whole;
use crate::cases::add;
use crate::subject::{Guard, Remote, SubjectPool};
use cabrank_testing::eventually;
use integration_tests::{BlackHole, Case, figure, skip};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

pub(crate) fn cases<S: Remote>(cases: &mut Vec<Case>) {
    add!(cases, S, Server, swallowed_while_idle_they_cost_each_get_half_a_second_at_most);
    add!(cases, S, Server, swallowed_while_idle_they_cost_ten_threads_half_a_second_at_most);
    add!(cases, S, Server, swallowed_before_an_eviction_their_goodbyes_make_room);
    add!(cases, S, Server, swallowed_under_a_query_it_ends_with_the_pool);
}

fn swallowed_while_idle_they_cost_each_get_half_a_second_at_most<S: Remote>() {
    let slack = Slack::begin();
    let subject = S::new();
    let pool = pool_of_ten(&subject, CHECK_AFTER, MOST);
    let (hole, dead) = swallow::<S>(&subject, &pool);
    // One after the other, and none is returned, so each might meet a dead one.
    let mut waits = Vec::new();
    let mut all: Vec<Guard<S>> = (0..10).map(|_| get::<S>(&pool, &mut waits)).collect();
    for conn in &mut all {
        assert_eq!(S::number(conn, "SELECT 7").unwrap(), 7);
    }
    drop(all);
    are_short::<S>(&pool, &mut waits, &slack);
    ends(&subject, &pool, hole, &dead);
    figure(format!(
        "10 idle flows black-holed: failed gets 0, failed queries 0, each get {:.0?} (median), {:.0?} (longest), 0 sessions left",
        waits[waits.len() / 2],
        waits[waits.len() - 1],
    ));
}

fn swallowed_while_idle_they_cost_ten_threads_half_a_second_at_most<S: Remote>() {
    let slack = Slack::begin();
    let subject = S::new();
    let pool = pool_of_ten(&subject, CHECK_AFTER, MOST);
    let (hole, dead) = swallow::<S>(&subject, &pool);
    let mut waits: Vec<Duration> = thread::scope(|scope| {
        let threads: Vec<_> = (0..10)
            .map(|_| {
                scope.spawn(|| {
                    let mut waits = Vec::new();
                    let mut conn = get::<S>(&pool, &mut waits);
                    assert_eq!(S::number(&mut conn, "SELECT 7").unwrap(), 7);
                    waits[0]
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    are_short::<S>(&pool, &mut waits, &slack);
    ends(&subject, &pool, hole, &dead);
    figure(format!(
        "10 idle flows black-holed, 10 threads at once: failed gets 0, failed queries 0, \
         each get {:.0?} (median), {:.0?} (longest), 0 sessions left",
        waits[waits.len() / 2],
        waits[waits.len() - 1],
    ));
}

/// No goodbye is answered, and all together hold every slot: they are given up for waiters, long before their limit.
fn swallowed_before_an_eviction_their_goodbyes_make_room<S: Remote>() {
    let slack = Slack::begin();
    let subject = S::new();
    let pool = pool_of_ten(&subject, CHECK_AFTER, Duration::from_secs(60));
    let (hole, dead) = swallow::<S>(&subject, &pool);
    // The server cannot notice that the old sessions were given up.
    subject.watch().expect("it has a server").allow(10);
    pool.evict_all();
    let mut waits = Vec::new();
    let all: Vec<Guard<S>> = (0..10).map(|_| get::<S>(&pool, &mut waits)).collect();
    drop(all);
    are_short::<S>(&pool, &mut waits, &slack);
    ends(&subject, &pool, hole, &dead);
    figure(format!(
        "10 black-holed flows evicted: failed gets 0, each get {:.0?} (median), {:.0?} (longest), 0 sessions left",
        waits[waits.len() / 2],
        waits[waits.len() - 1],
    ));
}

/// Only the system's own patience with the flow limits the query itself; `close_within` ends it.
fn swallowed_under_a_query_it_ends_with_the_pool<S: Remote>() {
    let slack = Slack::begin();
    let subject = S::new();
    let pool = pool_of_ten(&subject, Duration::from_secs(3600), MOST);
    let (hole, dead) = swallow::<S>(&subject, &pool);
    thread::scope(|scope| {
        let mut waits = Vec::new();
        // Fresh, as far as the pool can determine.
        let mut conn = get::<S>(&pool, &mut waits);
        assert!(waits[0] < slack.get(), "{waits:?}");
        let query = scope.spawn(move || S::number(&mut conn, "SELECT 7"));
        let begun = Instant::now();
        let report = pool.close_within(CLOSING);
        let took = begun.elapsed();
        assert!(query.join().unwrap().is_err());
        assert!(took < CLOSING + slack.get(), "{took:?}");
        assert_eq!((report.aborted.len(), report.left.len()), (1, 0), "{report}");
        let (connections, threads) = (report.connections_left, report.threads_left);
        figure(format!(
            "a query in a black-holed flow: aborted by close_within({CLOSING:?}) after {took:.0?}, \
             {connections} connections and {threads} threads left"
        ));
    });
    drop(hole);
    subject.kill(&dead);
    eventually("no session is left", || subject.sessions() == 0);
}

/// A pool of ten, all idle, by the container's own address.
fn pool_of_ten<S: Remote>(subject: &S, check_after: Duration, close_timeout: Duration) -> SubjectPool<S> {
    let server = subject.database().server();
    let Ok(address) = server.inner_address() else { skip("the server is not in a container of ours") };
    if TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_err() {
        skip("the container's own address cannot be reached from here");
    }
    let pool = subject.pool_by(subject.database().url_at(address), |builder| {
        builder.max_size(10).check_after(check_after).close_timeout(close_timeout)
    });
    drop((0..10).map(|_| pool.get().unwrap()).collect::<Vec<Guard<S>>>());
    pool
}

/// Swallows all of the pool's flows, and waits until the pool would check its connections.
fn swallow<S: Remote>(subject: &S, pool: &SubjectPool<S>) -> (BlackHole, Vec<i64>) {
    let ports = subject.database().client_ports().unwrap();
    assert_eq!((ports.len(), pool.stats().idle), (10, 10));
    let container = subject.database().server().container().expect("it has an address of its own");
    let hole = BlackHole::swallow(container, &ports).unwrap_or_else(|lacking| skip(format!("{lacking:#}")));
    thread::sleep(CHECK_AFTER * 2);
    (hole, subject.database().sessions().unwrap())
}

fn get<S: Remote>(pool: &SubjectPool<S>, waits: &mut Vec<Duration>) -> Guard<S> {
    let begun = Instant::now();
    let conn = pool.get().expect("new flows are fine");
    waits.push(begun.elapsed());
    conn
}

/// Half a second, unless the machine is so busy that opening a connection takes that long.
fn are_short<S: Remote>(pool: &SubjectPool<S>, waits: &mut [Duration], slack: &Slack) {
    let stats = pool.stats();
    let most = MOST.max(PATIENCE + stats.open_time.max());
    assert!(waits.iter().all(|&wait| wait < most + slack.get()), "{waits:?}, slack {:?}, {stats:?}", slack.get());
    waits.sort();
}

/// The server still has the sessions that the pool has given up, so an administrator ends them. They end before the flows work again;
/// otherwise a check answered only then would bring back a connection that is about to end.
fn ends<S: Remote>(subject: &S, pool: &SubjectPool<S>, hole: BlackHole, dead: &[i64]) {
    subject.kill(dead);
    let left = || subject.database().sessions().unwrap();
    eventually("the server has ended them", || left().iter().all(|session| !dead.contains(session)));
    drop(hole);
    is_whole(subject, pool);
}

/// Half a second of it is left when the connection is aborted.
const CLOSING: Duration = Duration::from_secs(2);
const CHECK_AFTER: Duration = Duration::from_millis(200);
/// The time after which the pool no longer relies on a check.
const PATIENCE: Duration = Duration::from_millis(250);
const MOST: Duration = Duration::from_millis(500);
