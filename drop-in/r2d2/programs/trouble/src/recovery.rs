//! A failing server, as the application sees it.

use crate::application::{End, ask, count, first_success, load, longest_gap, longest_wait, millis, pool, yes};
use crate::server::Server;
use crate::{Failure, Measured};
use cabrank_testing::{NetworkFault, timed};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// All sessions are killed at once, under the load of 16 threads on 8 connections.
pub(crate) fn killed(server: &Server) -> Result<Measured, Failure> {
    let pool = pool(&server.url(), 8, Duration::from_secs(3))?;
    let mut watch = server.watch()?;
    let begun = Instant::now();
    let (loans, moment) = thread::scope(|scope| {
        let killer = scope.spawn(|| -> Result<_, Failure> {
            thread::sleep(Duration::from_millis(700));
            let moment = begun.elapsed();
            watch.kill_all()?;
            Ok(moment)
        });
        let loans = load(&pool, 16, begun, Duration::from_secs(2), ask);
        killer.join().expect("it does not panic").map(|moment| (loans, moment))
    })?;
    Ok(vec![
        ("failed_gets", count(&loans, End::FailedGet)),
        ("failed_queries", count(&loans, End::FailedQuery)),
        ("longest_gap_ms", longest_gap(&loans, moment, Duration::from_secs(2))),
    ])
}

/// The server is away for two seconds, under the same load: connections end, and new ones are refused.
pub(crate) fn away(server: &Server) -> Result<Measured, Failure> {
    let (proxy, url) = server.behind_proxy()?;
    let pool = pool(&url, 8, Duration::from_secs(3))?;
    let (begun, span) = (Instant::now(), Duration::from_secs(5));
    let (loans, back) = thread::scope(|scope| {
        let absence = scope.spawn(|| {
            thread::sleep(Duration::from_millis(700));
            proxy.set(NetworkFault::Refuse);
            proxy.close_all();
            thread::sleep(Duration::from_secs(2));
            proxy.set(NetworkFault::None);
            begun.elapsed()
        });
        let loans = load(&pool, 16, begun, span, ask);
        (loans, absence.join().expect("it does not panic"))
    });
    Ok(vec![
        ("failed_gets", count(&loans, End::FailedGet)),
        ("failed_queries", count(&loans, End::FailedQuery)),
        ("first_success_ms", first_success(&loans, back, span)),
    ])
}

/// No server listens: which error does a request get, and when?
pub(crate) fn refused(server: &Server) -> Result<Measured, Failure> {
    let (proxy, url) = server.behind_proxy()?;
    let pool = pool(&url, 8, Duration::from_secs(1))?;
    proxy.set(NetworkFault::Refuse);
    let begun = Instant::now();
    let error = pool.get().err().map(|error| error.to_string()).unwrap_or_default();
    let waited = begun.elapsed();
    Ok(vec![("longest_wait_ms", millis(waited)), ("error_names_the_cause", yes(error.contains("refused")))])
}

/// Four idle connections of a pool of eight become silent, as behind a firewall that has dropped their state. New ones work.
pub(crate) fn silent_flows(server: &Server) -> Result<Measured, Failure> {
    let (proxy, url) = server.behind_proxy()?;
    let pool = pool(&url, 8, Duration::from_secs(2))?;
    drop((0..4).map(|_| pool.get()).collect::<Result<Vec<_>, _>>()?);
    // After this long without a loan, connections must be checked.
    thread::sleep(Duration::from_millis(1200));
    proxy.swallow();
    let begun = Instant::now();
    let loans = thread::scope(|scope| {
        scope.spawn(|| {
            // Ends the calls that hang.
            thread::sleep(PATIENCE);
            proxy.close_all();
        });
        load(&pool, 4, begun, Duration::from_secs(1), ask)
    });
    let beyond = loans.iter().flatten().filter(|loan| loan.waited > Duration::from_millis(2500)).count();
    Ok(vec![
        ("failed_gets", count(&loans, End::FailedGet)),
        ("longest_wait_ms", longest_wait(&loans)),
        ("gets_beyond_their_time_out", beyond as f64),
    ])
}

/// The server accepts connections and sends nothing.
pub(crate) fn silent_log_in(server: &Server) -> Result<Measured, Failure> {
    let (proxy, url) = server.behind_proxy()?;
    let pool = pool(&url, 2, Duration::from_secs(1))?;
    proxy.set(NetworkFault::Silence);
    let begun = Instant::now();
    let is_refused = pool.get().is_err();
    let waited = begun.elapsed();
    // The server works again, but calls that hang have not ended.
    proxy.set(NetworkFault::None);
    let begun = Instant::now();
    let is_served = pool.get().is_ok();
    Ok(vec![
        ("failed_gets", yes(is_refused)),
        ("longest_wait_ms", millis(waited)),
        ("served_afterwards", yes(is_served)),
        ("afterwards_ms", millis(begun.elapsed())),
    ])
}

/// All connections stall while one is lent. It is returned, and another thread requests one; then they continue. They stall again, and
/// the pool is dropped.
pub(crate) fn stalled(server: &Server) -> Result<Measured, Failure> {
    let (proxy, url) = server.behind_proxy()?;
    let mut watch = server.watch()?;
    let pool = pool(&url, 2, Duration::from_secs(1))?;
    let held = pool.get()?;
    drop(pool.get()?);
    proxy.set(NetworkFault::StallBoth);
    let (_, returning) = timed(|| drop(held));
    // After this long without a loan, connections must be checked.
    thread::sleep(Duration::from_millis(1200));
    let (_, asking) = thread::scope(|scope| {
        let ((answered, is_answered), proxy) = (mpsc::channel::<()>(), &proxy);
        scope.spawn(move || {
            // Ends the call that hangs.
            let _ = is_answered.recv_timeout(PATIENCE);
            proxy.set(NetworkFault::None);
        });
        let asked = timed(|| pool.get().is_ok());
        drop(answered);
        asked
    });
    let served = pool.get().is_ok_and(|mut conn| ask(&mut conn).is_ok());
    proxy.set(NetworkFault::StallBoth);
    let (_, dropping) = timed(|| drop(pool));
    proxy.set(NetworkFault::None);
    let begun = Instant::now();
    while watch.sessions()? > 0 && begun.elapsed() < PATIENCE {}
    Ok(vec![
        ("return_ms", millis(returning)),
        ("longest_wait_ms", millis(asking)),
        ("served_afterwards", yes(served)),
        ("drop_pool_ms", millis(dropping)),
        ("sessions_left", watch.sessions()? as f64),
    ])
}

/// The time until connections with hanging calls are ended.
const PATIENCE: Duration = Duration::from_secs(6);
