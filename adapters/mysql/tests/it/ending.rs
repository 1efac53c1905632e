//! Endings: statements are cancelled, connections are aborted, and no session stays at the server.

use crate::server::{PATIENCE, Server, close_on_a_long_statement, on_each_server};
use cabrank_mysql::cabrank::{CancelOutcome, CloseReason};
use cabrank_mysql::mysql::prelude::Queryable;
use cabrank_mysql::{MySqlManager, PooledConnection};
use cabrank_testing::{NetworkFault, Way, assert_closes_clean, eventually};
use std::thread;
use std::time::{Duration, Instant};

fn closing_leaves_no_session(server: &Server) {
    let pool = server.builder(4).min_idle(4).build(server.manager()).unwrap();
    eventually("four are open", || pool.stats().idle == 4);
    assert_eq!(server.sessions(), 4);
    assert!(pool.close_within(PATIENCE).is_clean());
    assert_closes_clean(&pool);
    // The server removes a session from its list shortly after it has closed the connection.
    eventually("no session is left", || server.sessions() == 0);
}

fn a_slot_stays_taken_until_the_server_has_hung_up(server: &Server) {
    let proxy = server.proxy();
    let manager = MySqlManager::new(server.through(&proxy));
    let pool = server.builder(1).close_timeout(PATIENCE).build(manager).unwrap();
    proxy.set(NetworkFault::Stall(Way::ToClient));
    pool.close();
    eventually("the goodbye arrived", || proxy.counts().to_client.ends > 0);
    // Long enough for a premature end to show.
    thread::sleep(Duration::from_millis(100));
    assert_eq!(pool.stats().closing, 1);
    proxy.set(NetworkFault::None);
    assert!(pool.close_within(PATIENCE).is_clean());
    assert_closes_clean(&pool);
}

fn closing_cancels_what_a_holder_still_runs(server: &Server) {
    close_on_a_long_statement(server, || server.pool(2));
}

/// Whether the server stays silent, or each step is in time but all together are not.
fn a_cancel_that_is_not_heard_in_time_ends_at_its_limit_and_hits_nothing(server: &Server) {
    const LIMIT: Duration = Duration::from_millis(400);
    let lock = &server.database;
    for fault in [NetworkFault::Silence, NetworkFault::Delay(LIMIT / 3)] {
        let proxy = server.proxy();
        let pool = server.builder(1).build(MySqlManager::new(server.through(&proxy))).unwrap();
        let mut loan = pool.get().unwrap();
        let (id, canceller) = (loan.connection_id(), PooledConnection::canceller(&loan).unwrap());
        assert_eq!(server.ask(format!("SELECT GET_LOCK('{lock}', 0)")), Some(1));
        thread::scope(|scope| {
            let running = scope.spawn(|| loan.query_first(format!("SELECT GET_LOCK('{lock}', 600)")));
            eventually("it waits for the lock", || server.runs(id, "GET_LOCK"));
            proxy.set(fault);
            let began = Instant::now();
            assert_eq!(canceller.cancel(LIMIT), CancelOutcome::NotAsked);
            eventually("nobody asks any more", || proxy.counts().open == 1);
            assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
            proxy.set(NetworkFault::None);
            server.run(format!("DO RELEASE_LOCK('{lock}')"));
            assert_eq!(running.join().unwrap().expect("nothing has cancelled it"), Some(1));
        });
        drop(loan);
        assert_ne!(pool.get().unwrap().connection_id(), id);
        assert_eq!(pool.stats().closed.by(CloseReason::Cancelled), 1);
        assert_closes_clean(&pool);
    }
}

/// When its rows are dropped, the driver reads the rest in the holder's thread.
fn more_rows_than_anybody_reads_are_given_up_by_a_canceller(server: &Server) {
    let pool = server.pool(1);
    let mut conn = pool.get().unwrap();
    let (id, canceller) = (conn.connection_id(), PooledConnection::canceller(&conn).unwrap());
    // 6 GB.
    let sql = "SELECT REPEAT('x', 1000) FROM account a, account b, account c, account d";
    let mut rows = conn.query_iter(sql).unwrap();
    assert!(rows.by_ref().take(3).all(|row| row.is_ok()));
    assert_eq!(canceller.cancel(PATIENCE), CancelOutcome::Asked);
    drop(rows);
    drop(conn);
    assert_ne!(pool.get().unwrap().connection_id(), id);
    assert_eq!(pool.stats().closed.by(CloseReason::Cancelled), 1);
    assert_closes_clean(&pool);
}

fn an_expired_connection_is_said_goodbye_to(server: &Server) {
    let lifetime = Duration::from_millis(300);
    let pool = server.builder(1).max_lifetime(lifetime).build(server.manager()).unwrap();
    let first = pool.get().unwrap().connection_id();
    thread::sleep(lifetime * 2);
    assert_ne!(pool.get().unwrap().connection_id(), first);
    eventually("one session is left", || server.sessions() <= 1);
}

fn a_detached_connection_lives_on(server: &Server) {
    let pool = server.pool(1);
    let conn = PooledConnection::detach(pool.get().unwrap());
    pool.close_within(PATIENCE);
    let mut conn = conn.into_raw();
    assert_eq!(conn.query_first("SELECT 'alive'").unwrap(), Some("alive".to_owned()));
    drop(conn);
    eventually("no session is left", || server.sessions() == 0);
    assert_closes_clean(&pool);
}

cabrank_testing::tests! {
    on_each_server:
        closing_leaves_no_session,
        a_slot_stays_taken_until_the_server_has_hung_up,
        closing_cancels_what_a_holder_still_runs,
        a_cancel_that_is_not_heard_in_time_ends_at_its_limit_and_hits_nothing,
        more_rows_than_anybody_reads_are_given_up_by_a_canceller,
        an_expired_connection_is_said_goodbye_to,
        a_detached_connection_lives_on,
}
