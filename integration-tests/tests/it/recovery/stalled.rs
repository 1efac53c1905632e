//! Flows that fall silent in the middle of the pool's own calls: a thread that returns a connection or closes the pool does not notice,
//! and the slot is back when the call's limit has passed.

use super::slack::Slack;
use super::whole::{is_over, is_whole};
use crate::cases::add;
use crate::subject::{Guard, Remote, SubjectPool};
use cabrank::GetError;
use cabrank_testing::{NetworkFault, Proxy, eventually, timed};
use integration_tests::{Case, figure};
use std::thread;
use std::time::{Duration, Instant};

pub(crate) fn cases<S: Remote>(cases: &mut Vec<Case>) {
    add!(cases, S, Server, a_stalled_check_holds_nobody_up_and_its_slot_comes_back);
    add!(cases, S, Server, a_stalled_reset_holds_nobody_up_and_its_slot_comes_back);
    add!(cases, S, Server, a_stalled_close_holds_nobody_up_and_its_slot_comes_back);
    add!(cases, S, Server, a_session_is_gone_before_another_takes_its_place);
    add!(cases, S, Server, a_pool_dropped_while_its_flows_are_stalled_leaves_no_session);
}

fn a_stalled_check_holds_nobody_up_and_its_slot_comes_back<S: Remote>() {
    comes_back::<S>(None, |pool, held| {
        drop(held);
        assert!(pool.get_timeout(Duration::from_millis(1)).is_err());
    });
    holds_nobody_up::<S>("check", |pool, held| {
        thread::scope(|scope| {
            let waiting = scope.spawn(|| pool.get().map(drop));
            eventually("it is checked", || pool.stats().checking == 1);
            let spent = [timed(|| drop(held)).1, timed(|| pool.close()).1];
            assert!(matches!(waiting.join().unwrap(), Err(GetError::Closed)));
            spent
        })
    });
}

fn a_stalled_reset_holds_nobody_up_and_its_slot_comes_back<S: Remote>() {
    comes_back::<S>(Some(S::DIRT[0].0), |_, held| drop(held));
    holds_nobody_up::<S>("reset", |pool, held| {
        let giving_back = timed(|| drop(held)).1;
        eventually("it is reset", || pool.stats().resetting == 1);
        [giving_back, timed(|| pool.close()).1]
    });
}

fn a_stalled_close_holds_nobody_up_and_its_slot_comes_back<S: Remote>() {
    comes_back::<S>(None, |pool, held| {
        pool.evict_all();
        drop(held);
    });
    holds_nobody_up::<S>("close", |pool, held| {
        pool.evict_all();
        eventually("it is being closed", || pool.stats().closing == 1);
        [timed(|| drop(held)).1, timed(|| pool.close()).1]
    });
}

/// During a goodbye its slot is taken, even if a request waits for it: the server is distant, as it was when the session was opened, so
/// the pool is patient. (`black_hole.rs` tests unanswered goodbyes.)
fn a_session_is_gone_before_another_takes_its_place<S: Remote>() {
    let subject = S::new();
    let proxy = subject.database().proxy().unwrap();
    proxy.set(NetworkFault::Delay(DISTANCE));
    let pool = subject.pool_by(subject.database().url_through(&proxy), |builder| builder.max_size(1));
    for _ in 0..3 {
        let held = pool.get().unwrap();
        let attempts = proxy.counts().attempts.len();
        pool.evict_all();
        drop(held);
        let Err(GetError::Timeout(report)) = pool.get_timeout(DISTANCE / 2) else {
            panic!("the session is not over yet")
        };
        assert_eq!((report.stats.closing, report.stats.opening, report.stats.open), (1, 0, 0));
        assert_eq!(proxy.counts().attempts.len(), attempts);
        drop(pool.get().unwrap());
        assert_eq!(proxy.counts().attempts.len(), attempts + 1);
    }
    assert_eq!(pool.stats().aborted, 0);
    proxy.set(NetworkFault::None);
    is_whole(&subject, &pool);
}

fn a_pool_dropped_while_its_flows_are_stalled_leaves_no_session<S: Remote>() {
    let slack = Slack::begin();
    let subject = S::new();
    let proxy = subject.database().proxy().unwrap();
    let mut spent = Vec::new();
    for _ in 0..ROUNDS {
        let pool = pool(&subject, &proxy, 4);
        drop((0..4).map(|_| pool.get().unwrap()).collect::<Vec<Guard<S>>>());
        assert_eq!(subject.sessions(), 4);
        proxy.set(NetworkFault::StallBoth);
        spent.push(timed(|| drop(pool)).1);
        // Everything sent on the flows before their end continues on its way.
        proxy.set(NetworkFault::None);
        eventually("no session and no connection is left", || subject.sessions() == 0 && proxy.counts().open == 0);
    }
    figure(format!("flows stalled: drop(pool) {}, 0 sessions left", short(spent, &slack)));
}

/// A pool of one, whose connection is lent, with a soiled session on request; then all flows fall silent.
fn comes_back<S: Remote>(soil: Option<&str>, act: impl FnOnce(&SubjectPool<S>, Guard<S>)) {
    let slack = Slack::begin();
    let subject = S::new();
    // The session of an aborted connection remains at the server until the proxy passes the end on.
    subject.watch().expect("it has a server").allow(1);
    let proxy = subject.database().proxy().unwrap();
    let pool = pool(&subject, &proxy, 1);
    let mut held = pool.get().unwrap();
    if let Some(soil) = soil {
        S::execute(&mut held, soil).unwrap();
    }
    proxy.set(NetworkFault::StallBoth);
    let begun = Instant::now();
    act(&pool, held);
    eventually("the slot is back", || slots::<S>(&pool) == 0);
    assert!(begun.elapsed() < LIMIT + slack.get(), "{:?}", begun.elapsed());
    proxy.set(NetworkFault::None);
    is_whole(&subject, &pool);
}

/// A pool of two, one idle and one lent; then all flows fall silent. Measures returning and closing, several times.
fn holds_nobody_up<S: Remote>(call: &str, act: impl Fn(&SubjectPool<S>, Guard<S>) -> [Duration; 2]) {
    let slack = Slack::begin();
    let subject = S::new();
    let proxy = subject.database().proxy().unwrap();
    let (mut giving_back, mut closing) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let pool = pool(&subject, &proxy, 2);
        let mut held = pool.get().unwrap();
        S::execute(&mut held, S::DIRT[0].0).unwrap();
        drop(pool.get().unwrap());
        eventually("the other is idle", || pool.stats().idle == 1);
        proxy.set(NetworkFault::StallBoth);
        let spent = act(&pool, held);
        let begun = Instant::now();
        eventually("the slot is back", || slots::<S>(&pool) == 0);
        assert!(begun.elapsed() < LIMIT + slack.get(), "{:?}", begun.elapsed());
        giving_back.push(spent[0]);
        closing.push(spent[1]);
        proxy.set(NetworkFault::None);
        is_over(&subject, &pool);
    }
    figure(format!(
        "{call} stalled: drop(conn) {}, close() {}, slots back after {LIMIT:?}, 0 sessions left",
        short(giving_back, &slack),
        short(closing, &slack)
    ));
}

fn pool<S: Remote>(subject: &S, proxy: &Proxy, max_size: u32) -> SubjectPool<S> {
    subject.pool_by(subject.database().url_through(proxy), |builder| {
        let builder = builder.check_timeout(LIMIT).reset_timeout(LIMIT).close_timeout(LIMIT);
        builder.max_size(max_size).check_after(Duration::ZERO)
    })
}

fn slots<S: Remote>(pool: &SubjectPool<S>) -> u32 {
    let stats = pool.stats();
    stats.open + stats.opening + stats.closing
}

/// Microseconds, unless the machine suspended the thread, which may happen, but not almost every time.
fn short(mut spent: Vec<Duration>, slack: &Slack) -> String {
    spent.sort();
    let median = spent[spent.len() / 2];
    assert!(spent[spent.len() / 4] < Duration::from_millis(1), "{spent:?}");
    assert!(spent.iter().all(|&spent| spent < slack.get()), "{spent:?}");
    format!("{median:.0?} (median)")
}

const ROUNDS: usize = 9;
/// How long a byte takes to a very distant server.
const DISTANCE: Duration = Duration::from_millis(250);
const LIMIT: Duration = Duration::from_millis(300);
