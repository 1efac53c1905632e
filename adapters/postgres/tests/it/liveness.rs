//! Dead connections, and calls that hang.

use crate::fixture::{PATIENCE, Server, builder, on_server};
use cabrank_postgres::cabrank::{CloseReason, Fault, GetError};
use cabrank_postgres::postgres::{Config, NoTls};
use cabrank_postgres::{Pool, PooledConnection, PostgresManager};
use cabrank_testing::harness::alone;
use cabrank_testing::{NetworkFault, Way, assert_closes_clean, assert_no_leaks, eventually};
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

fn a_session_killed_while_idle_is_found_by_the_check(server: Server) {
    let pool = builder().max_size(1).check_after(Duration::ZERO).build(server.manager()).expect("a pool");
    // Usually the check finds it; on a busy machine the check's time-out may come first.
    let found = || [CloseReason::CheckFailed, CloseReason::Overran].map(|reason| pool.stats().closed.by(reason));
    let mut conn = pool.get().expect("a connection");
    let (pid, before) = (conn.backend_pid().expect("a pid"), found());
    conn.batch_execute("SELECT 1").expect("an answer");
    drop(conn);
    server.kill(pid);
    let mut conn = pool.get().expect("another connection");
    assert_eq!(conn.query_one("SELECT 1", &[]).expect("a row").get::<_, i32>(0), 1);
    assert_ne!(conn.backend_pid(), Some(pid));
    assert!(found() > before, "{:?}", pool.stats().closed);
    drop(conn);
    assert_no_leaks(&pool);
    assert_closes_clean(&pool);
}

fn a_session_killed_while_lent_is_not_lent_again_though_nobody_noted_the_error(server: Server) {
    let pool = builder().max_size(1).check_after(Duration::MAX).build(server.manager()).expect("a pool");
    let mut conn = pool.get().expect("a connection");
    let pid = conn.backend_pid().expect("a pid");
    server.kill(pid);
    conn.query_one("SELECT 1", &[]).expect_err("a dead connection");
    assert_eq!(conn.fatal().as_deref(), Some("57P01"), "seen by the stream, not reported by the driver");
    drop(conn);
    pool.get().expect("another connection").query_one("SELECT 1", &[]).expect("a row");
    assert_eq!(pool.stats().closed.by(CloseReason::Broken), 1);
    assert_no_leaks(&pool);
    assert_closes_clean(&pool);
}

fn the_servers_own_time_limit_is_noticed(server: Server) {
    let pool = builder().max_size(1).check_after(Duration::MAX).build(server.manager()).expect("a pool");
    let mut conn = pool.get().expect("a connection");
    let pid = conn.backend_pid().expect("a pid");
    conn.batch_execute("SET idle_in_transaction_session_timeout = '1s'; BEGIN").expect("no error");
    eventually("the session ends", || !server.has_session(pid));
    let error = conn.batch_execute("SELECT 1").expect_err("a dead connection");
    assert_eq!(PooledConnection::report_error(&mut conn, &error), Fault::Fatal);
    drop(conn);
    pool.get().expect("another connection").query_one("SELECT 1", &[]).expect("a row");
}

fn aborting_ends_a_call_that_runs(server: Server) {
    abort_a_deaf_statement(&server, || server.pool(1));
}

/// A statement that ignores cancels can only be aborted: this function continues after one.
///
/// After the abort the pool waits for half a second, which can be too short on a busy machine; this then retries.
pub(crate) fn abort_a_deaf_statement(server: &Server, pool: impl Fn() -> Pool) {
    for _ in 0..10 {
        let pool = pool();
        let mut conn = pool.get().expect("a connection");
        let pid = conn.backend_pid().expect("a pid");
        let deaf = format!("cabrank_deaf_{pid}");
        server.client().batch_execute(&DEAF.replace("DEAF", &deaf)).expect("a function");
        let call = format!("SELECT {deaf}()");
        let holder = thread::spawn(move || (conn.batch_execute(&call).is_err(), conn.is_closed()));
        server.wait_for_sleep(pid);
        let began = Instant::now();
        let report = pool.close_within(Duration::from_secs(2));
        assert_eq!(report.aborted.len(), 1, "{report}");
        assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
        assert_eq!(holder.join().expect("no panic"), (true, true));
        server.kill(pid);
        server.client().batch_execute(&format!("DROP FUNCTION {deaf}")).expect("no error");
        if report.is_clean() {
            return;
        }
    }
    panic!("something was left each time");
}

const DEAF: &str = "CREATE FUNCTION DEAF() RETURNS void LANGUAGE plpgsql AS $$ BEGIN
    FOR i IN 1..6 LOOP
        BEGIN PERFORM pg_sleep(10); EXCEPTION WHEN query_canceled THEN NULL; END;
    END LOOP; END $$";

fn an_overrun_check_is_aborted(server: Server) {
    let proxy = server.proxy();
    let manager = PostgresManager::new(server.through(&proxy), NoTls);
    let pool = builder()
        .max_size(1)
        .check_after(Duration::ZERO)
        .check_timeout(Duration::from_millis(200))
        .build(manager)
        .expect("a pool");
    pool.get().expect("a connection").batch_execute("SELECT 1").expect("an answer");
    proxy.set(NetworkFault::Stall(Way::ToClient));
    let before = pool.stats().closed.total();
    let outcome = pool.get_timeout(Duration::from_millis(600));
    assert!(matches!(outcome, Err(GetError::Timeout(_))), "{outcome:?}");
    // Usually the pool ends it; on a busy machine the driver's own time-out may come first.
    eventually("the check is over", || pool.stats().closed.total() > before);
    proxy.set(NetworkFault::None);
    pool.get().expect("a connection").batch_execute("SELECT 1").expect("an answer");
    assert_no_leaks(&pool);
    assert_closes_clean(&pool);
}

fn a_listener_that_says_nothing_holds_nobody_up() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let mut config = Config::new();
    config.host("127.0.0.1").port(listener.local_addr().expect("its number").port()).user("nobody");
    let pool = builder()
        .max_size(1)
        .connect_timeout(Duration::from_millis(200))
        .build_lazy(PostgresManager::new(config, NoTls))
        .expect("a pool");
    let began = Instant::now();
    let outcome = pool.get_timeout(Duration::from_millis(500));
    assert!(matches!(outcome, Err(GetError::Timeout(_))), "{outcome:?}");
    assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
    let report = pool.close_within(PATIENCE);
    assert!(report.is_clean(), "{report}");
}

cabrank_testing::tests! {
    on_server:
        a_session_killed_while_idle_is_found_by_the_check,
        a_session_killed_while_lent_is_not_lent_again_though_nobody_noted_the_error,
        the_servers_own_time_limit_is_noticed,
        aborting_ends_a_call_that_runs,
        an_overrun_check_is_aborted;
    alone:
        a_listener_that_says_nothing_holds_nobody_up,
}
