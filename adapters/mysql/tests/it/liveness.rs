//! Dead connections are detected by looking at the socket, and calls that hang are aborted.

#[cfg(unix)]
use crate::server::close_on_a_long_statement;
use crate::server::{PATIENCE, Server, on_each_server, settle};
use cabrank_mysql::cabrank::{CloseReason, Manager};
use cabrank_mysql::mysql::prelude::Queryable;
use cabrank_mysql::{MySqlManager, Pool};
use cabrank_testing::{assert_closes_clean, assert_no_leaks, eventually};
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

fn a_killed_connection_is_noticed_by_looking(server: &Server) {
    let pool = server.pool(1);
    let old = pool.get().unwrap().connection_id();
    settle(&pool);
    server.kill(old);
    let mut conn = pool.get().unwrap();
    assert_ne!(conn.connection_id(), old);
    conn.query_drop("DO 1").expect("the user never notices");
    assert_eq!(pool.stats().closed.by(CloseReason::Broken), 1);
    drop(conn);
    assert_no_leaks(&pool);
    assert_closes_clean(&pool);
}

fn a_connection_that_was_idle_too_long_for_the_server_is_noticed(server: &Server) {
    let manager = MySqlManager::new(server.opts().init(vec!["SET SESSION wait_timeout = 1"]));
    let pool = server.builder(2).build(manager).unwrap();
    drop((pool.get().unwrap(), pool.get().unwrap()));
    eventually("the server has ended both", || server.sessions() == 0);
    for conn in &mut [pool.get().unwrap(), pool.get().unwrap()] {
        conn.query_drop("DO 1").expect("the user never notices");
    }
    // The first by looking at its socket. Its death makes the pool suspect the other, which a check may find first.
    let closed = pool.stats().closed;
    assert!(closed.by(CloseReason::Broken) >= 1 && closed.total() == 2, "{closed:?}");
}

fn looking_finds_nothing_wrong_with_a_healthy_connection(server: &Server) {
    let manager = server.manager();
    let mut conn = manager.open().unwrap();
    for _ in 0..100 {
        conn.query_drop("SELECT REPEAT('x', 100000); SELECT 1; DO 1").unwrap();
        conn.exec_drop("SELECT ?", (1,)).unwrap();
        conn.query_drop("no such statement").unwrap_err();
        assert!(!manager.has_broken(&mut conn));
    }
}

fn aborting_ends_a_statement_that_runs(server: &Server) {
    let manager = server.manager();
    let mut conn = manager.open().unwrap();
    let (id, handle) = (conn.connection_id(), manager.abort_handle(&conn).expect("a handle"));
    let begin = Instant::now();
    thread::scope(|scope| {
        scope.spawn(|| {
            eventually("the statement runs", || server.runs(id, "SLEEP"));
            handle.abort();
        });
        conn.query_drop("SELECT SLEEP(120)").unwrap_err();
    });
    assert!(begin.elapsed() < Duration::from_secs(60), "{:?}", begin.elapsed());
    assert!(conn.is_broken() && manager.has_broken(&mut conn));
    handle.abort();
    drop(conn);
    handle.abort();
}

fn a_server_that_stays_silent_in_the_handshake_is_given_up_on(server: &Server) {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let opts = server.tcp().ip_or_hostname(Some("127.0.0.1")).tcp_port(silent.local_addr().unwrap().port());
    let limit = Duration::from_millis(300);
    let pool = Pool::builder().max_size(1).connect_timeout(limit).build_lazy(MySqlManager::new(opts)).unwrap();
    let begin = Instant::now();
    let error = pool.get_timeout(Duration::from_secs(2)).unwrap_err();
    assert!(error.is_timeout() && begin.elapsed() < PATIENCE, "{error}");
    assert!(error.report().unwrap().last_connect_error.is_some(), "{error}");
    eventually("nothing is stuck", || pool.stats().stuck == 0);
    assert!(pool.close_within(PATIENCE).is_clean());
    assert_closes_clean(&pool);
}

fn the_time_outs_of_connecting_do_not_outlast_it(server: &Server) {
    let pool = server.builder(1).connect_timeout(Duration::from_secs(2)).build(server.manager()).unwrap();
    let mut conn = pool.get().unwrap();
    conn.query_drop("DO SLEEP(2.5)").expect("no time-out was asked for");
}

fn a_reset_that_hangs_is_aborted(server: &Server) {
    // The reset runs the statements of `init` again, and this one can be slow then.
    let opts = server.opts().init(vec!["DO SLEEP((SELECT money FROM account WHERE id = 1))"]);
    let pool = server.builder(1).reset_timeout(Duration::from_millis(200)).build(MySqlManager::new(opts)).unwrap();
    pool.get().unwrap().query_drop("UPDATE account SET money = 30 WHERE id = 1; SET @soiled = 1").unwrap();
    eventually("the reset is aborted", || pool.stats().closed.by(CloseReason::Overran) == 1);
    server.run(format!("UPDATE {}.account SET money = 0", server.database));
    pool.get().unwrap().query_drop("DO 1").unwrap();
    assert_no_leaks(&pool);
    assert_closes_clean(&pool);
}

#[cfg(unix)]
fn over_a_unix_socket_death_is_seen_and_statements_are_cancelled_or_aborted(server: &Server) {
    let door = server.unix_door();
    let manager = MySqlManager::new(server.opts().socket(door.path().to_str()));
    let pool = server.builder(1).build(manager.clone()).unwrap();
    let mut conn = pool.get().unwrap();
    assert!(!manager.has_broken(&mut conn));
    server.kill(conn.connection_id());
    eventually("its death is seen", || manager.has_broken(&mut conn));
    drop(conn);
    pool.get().unwrap().query_drop("DO 1").expect("another connection");
    assert!(pool.close_within(PATIENCE).is_clean());

    let mut conn = manager.open().unwrap();
    let (id, handle) = (conn.connection_id(), manager.abort_handle(&conn).expect("a handle"));
    let holder = thread::spawn(move || conn.query_drop("SELECT SLEEP(120)").unwrap_err());
    eventually("the statement runs", || server.runs(id, "SLEEP"));
    handle.abort();
    holder.join().unwrap();
    eventually("the server has noticed, too", || server.sessions() == 0);

    close_on_a_long_statement(server, || server.builder(1).build(manager.clone()).unwrap());
}

cabrank_testing::tests! {
    on_each_server:
        a_killed_connection_is_noticed_by_looking,
        a_connection_that_was_idle_too_long_for_the_server_is_noticed,
        looking_finds_nothing_wrong_with_a_healthy_connection,
        aborting_ends_a_statement_that_runs,
        a_server_that_stays_silent_in_the_handshake_is_given_up_on,
        the_time_outs_of_connecting_do_not_outlast_it,
        a_reset_that_hangs_is_aborted,
        #[cfg(unix)]
        over_a_unix_socket_death_is_seen_and_statements_are_cancelled_or_aborted,
}
