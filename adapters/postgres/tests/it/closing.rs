//! Orderly closing and cancelling.

use crate::fixture::{PATIENCE, Server, builder, on_server, taken};
use cabrank_postgres::cabrank::{CloseReason, SessionPolicy};
use cabrank_postgres::postgres::NoTls;
use cabrank_postgres::{Pool, PooledConnection, PostgresManager};
use cabrank_testing::{NetworkFault, Recorder, Way, assert_closes_clean, assert_no_leaks, eventually};
use std::thread;
use std::time::{Duration, Instant};

fn a_statement_that_runs_is_cancelled_at_the_server(server: Server) {
    close_on_a_long_statement(&server, || server.pool(1));
}

/// Closes a pool while a long statement runs, and expects that the server is asked to cancel it.
///
/// The pool allows half a second for that, which can be too short on a busy machine: it then aborts the connection, and this retries.
pub(crate) fn close_on_a_long_statement(server: &Server, pool: impl Fn() -> Pool) {
    for _ in 0..10 {
        let pool = pool();
        let mut conn = pool.get().expect("a connection");
        let pid = conn.backend_pid().expect("a pid");
        let holder = thread::spawn(move || {
            let error = conn.batch_execute("SELECT pg_sleep(120)").expect_err("a cancellation");
            error.code().map(|code| code.code().to_owned())
        });
        server.wait_for_query(pid, "pg_sleep");
        let began = Instant::now();
        let report = pool.close_within(Duration::from_secs(2));
        assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
        let code = holder.join().expect("no panic");
        if report.is_clean() && report.aborted.is_empty() && report.cancelled.len() == 1 {
            assert_eq!(code.as_deref(), Some("57014"));
            assert!(!server.has_session(pid));
            return;
        }
    }
    panic!("it had to be aborted each time");
}

fn a_connection_that_was_cancelled_is_not_lent_again(server: Server) {
    let pool = server.pool(1);
    let mut conn = pool.get().expect("a connection");
    let (pid, token) = (conn.backend_pid().expect("a pid"), conn.cancel_token());
    let canceller = thread::spawn(move || {
        server.wait_for_query(pid, "pg_sleep");
        token.cancel_query(Duration::from_secs(5)).expect("no error");
    });
    conn.batch_execute("SELECT pg_sleep(60)").expect_err("a cancellation");
    canceller.join().expect("no panic");
    drop(conn);
    assert_ne!(pool.get().expect("another connection").backend_pid(), Some(pid));
    assert_no_leaks(&pool);
    assert_closes_clean(&pool);
}

/// Like a time-out on each statement. The pool keeps treating the server as healthy: a single pause would outlast every waiter.
fn a_holder_who_cancels_each_time_is_served(server: Server) {
    for policy in [SessionPolicy::Tracked, SessionPolicy::Always] {
        let (recorder, pause) = (Recorder::new(), Duration::from_secs(600));
        let settings = builder().max_size(2).min_idle(2).backoff(pause, pause).session_policy(policy);
        let pool = settings.event_handler(recorder.clone()).build(server.manager()).expect("a pool");
        for _ in 0..5 {
            let mut conn = pool.get().unwrap_or_else(|error| panic!("{policy:?}: {error:?}"));
            conn.cancel_token().cancel_query(PATIENCE).expect("no error");
            // The cancel may or may not hit this.
            let _ = conn.batch_execute("SELECT 1");
        }
        eventually("all have said goodbye", || recorder.count("closed") == 5);
        let stats = pool.stats();
        let ends = [CloseReason::BeyondReset, CloseReason::Broken].map(|reason| stats.closed.by(reason));
        assert_eq!((ends, stats.open_failures), ([5, 0], 0), "{policy:?}");
        let check = |line: &&String| line.starts_with("checked ") && line.contains(':');
        assert_eq!(recorder.events().iter().find(check), None, "{policy:?}: the others are not in doubt");
        assert_no_leaks(&pool);
    }
}

/// With this policy nothing examines the session on return, so the next examination must find it.
fn a_connection_that_was_cancelled_is_not_lent_again_without_resets_either(server: Server) {
    let pool = builder().max_size(1).session_policy(SessionPolicy::Never).build(server.manager()).expect("a pool");
    let conn = pool.get().expect("a connection");
    let pid = conn.backend_pid().expect("a pid");
    conn.cancel_token().cancel_query(PATIENCE).expect("no error");
    drop(conn);
    assert_ne!(pool.get().expect("another connection").backend_pid(), Some(pid));
    assert_no_leaks(&pool);
}

/// Between two loans it would hit the next holder's statement.
fn a_token_that_outlives_its_loan_cancels_nobody(server: Server) {
    let pool = server.pool(1);
    let token = pool.get().expect("a connection").cancel_token();
    let mut conn = pool.get().expect("a connection");
    let (pid, began) = (conn.backend_pid().expect("a pid"), Instant::now());
    let canceller = thread::spawn(move || {
        server.wait_for_query(pid, "pg_sleep");
        token.cancel_query(Duration::from_secs(5)).expect("no error");
    });
    conn.batch_execute("SELECT pg_sleep(1)").expect("nobody cancels it");
    assert!(began.elapsed() >= Duration::from_secs(1));
    canceller.join().expect("no panic");
    drop(conn);
    assert_eq!(pool.get().expect("the same").backend_pid(), Some(pid));
}

fn closing_waits_until_the_sessions_are_gone(server: Server) {
    let pool = server.pool(4);
    let conns: Vec<_> = (0..4).map(|_| pool.get().expect("a connection")).collect();
    let pids: Vec<_> = conns.iter().map(|conn| conn.backend_pid().expect("a pid")).collect();
    drop(conns);
    let report = pool.close_within(PATIENCE);
    assert!(report.is_clean(), "{report}");
    assert_closes_clean(&pool);
    for pid in pids {
        assert!(!server.has_session(pid));
    }
}

/// After a terminate message that was merely sent, the session may still exist.
fn a_slot_stays_taken_until_the_server_has_closed_its_end(server: Server) {
    let proxy = server.proxy();
    let manager = PostgresManager::new(server.through(&proxy), NoTls);
    let pool = builder().max_size(1).close_timeout(PATIENCE).build(manager).expect("a pool");
    taken(&proxy);
    proxy.set(NetworkFault::Stall(Way::ToClient));
    pool.close();
    eventually("the goodbye is sent", || taken(&proxy) == ["X"]);
    // Long enough for a premature end to show.
    thread::sleep(Duration::from_millis(100));
    assert_eq!(pool.stats().closing, 1);
    proxy.set(NetworkFault::None);
    assert!(pool.close_within(PATIENCE).is_clean());
    assert_closes_clean(&pool);
}

fn a_detached_connection_lives_on(server: Server) {
    let pool = server.pool(1);
    let mut detached = PooledConnection::detach(pool.get().expect("a connection"));
    assert!(pool.close_within(PATIENCE).is_clean());
    assert_eq!(detached.query_one("SELECT 1", &[]).expect("a row").get::<_, i32>(0), 1);
}

/// The driver panics if a connection is dropped in an async context, so workers must drop it.
fn guards_and_pools_may_be_dropped_in_an_async_context(server: Server) {
    let pool = server.pool(2);
    let mut conn = pool.get().expect("a connection");
    conn.batch_execute("BEGIN").expect("no error");
    let discarded = pool.get().expect("a connection");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        drop(conn);
        PooledConnection::discard(discarded);
    });
    assert_no_leaks(&pool);
    runtime.block_on(async { drop(pool) });
}

cabrank_testing::tests! {
    on_server:
        a_statement_that_runs_is_cancelled_at_the_server,
        a_connection_that_was_cancelled_is_not_lent_again,
        a_holder_who_cancels_each_time_is_served,
        a_connection_that_was_cancelled_is_not_lent_again_without_resets_either,
        a_token_that_outlives_its_loan_cancels_nobody,
        closing_waits_until_the_sessions_are_gone,
        a_slot_stays_taken_until_the_server_has_closed_its_end,
        a_detached_connection_lives_on,
        guards_and_pools_may_be_dropped_in_an_async_context,
}
