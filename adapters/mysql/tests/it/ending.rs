//! The end: statements are cancelled, lines are cut, and no session is left at the server.

use crate::server::{Server, on_each_server, until};
use cabrank_mysql::MySqlManager;
use cabrank_mysql::mysql::prelude::Queryable;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

fn closing_leaves_no_session(server: &Server) {
    let pool = server.builder(4).min_idle(4).build(server.manager()).unwrap();
    until("four are open", || pool.stats().idle == 4);
    assert_eq!(server.sessions(), 4);
    assert!(pool.close_within(Duration::from_secs(2)).is_clean());
    // Not until: each slot was kept until the server had hung up.
    assert_eq!(server.sessions(), 0);
}

/// Runs a statement of a minute on a pool of `manager`'s and closes the pool within a second.
fn close_on_a_long_statement(server: &Server, manager: MySqlManager) -> cabrank_mysql::cabrank::CloseReport {
    let pool = server.builder(2).build(manager).unwrap();
    let (running, is_running) = mpsc::channel();
    let holder = thread::spawn({
        let pool = pool.clone();
        move || {
            let mut conn = pool.get().unwrap();
            running.send(conn.connection_id()).unwrap();
            let begin = Instant::now();
            let _ = conn.query_drop("SELECT SLEEP(60)");
            begin.elapsed()
        }
    });
    let id = is_running.recv().unwrap();
    let sql = format!("SELECT COUNT(*) FROM information_schema.processlist WHERE id = {id} AND info LIKE '%SLEEP%'");
    until("the statement runs", || server.ask::<u32>(&sql) == Some(1));
    let report = pool.close_within(Duration::from_secs(1));
    assert!(holder.join().unwrap() < Duration::from_secs(5));
    assert!(report.is_clean(), "{report}");
    report
}

fn closing_cancels_what_a_holder_still_runs(server: &Server) {
    let report = close_on_a_long_statement(server, server.manager());
    assert_eq!((report.cancelled.len(), report.severed.len()), (1, 0), "KILL QUERY was enough");
    assert_eq!(server.sessions(), 0);
}

fn an_expired_connection_is_said_goodbye_to(server: &Server) {
    let lifetime = Duration::from_millis(300);
    let pool = server.builder(1).max_lifetime(lifetime).build(server.manager()).unwrap();
    let first = pool.get().unwrap().connection_id();
    thread::sleep(lifetime * 2);
    assert_ne!(pool.get().unwrap().connection_id(), first);
    until("one session is left", || server.sessions() <= 1);
}

fn a_detached_connection_lives_on(server: &Server) {
    let pool = server.pool(1);
    let conn = cabrank_mysql::PooledConnection::detach(pool.get().unwrap());
    pool.close_within(Duration::from_secs(1));
    let mut conn = conn.into_raw();
    assert_eq!(conn.query_first("SELECT 'alive'").unwrap(), Some("alive".to_owned()));
    drop(conn);
    until("no session is left", || server.sessions() == 0);
}

on_each_server!(
    closing_leaves_no_session,
    closing_cancels_what_a_holder_still_runs,
    an_expired_connection_is_said_goodbye_to,
    a_detached_connection_lives_on,
);
