//! Over a Unix socket, where the adapter cannot track the wire: statements can be cancelled but not aborted.

use crate::fixture::{PATIENCE, Server, builder, on_server};
use cabrank_postgres::cabrank::{Builder, CancelOutcome, CloseReason, PooledConnection};
use cabrank_postgres::postgres::error::SqlState;
use cabrank_postgres::postgres::{Config, NoTls};
use cabrank_postgres::{Pool, PostgresManager};
use cabrank_testing::proxy::UnixDoor;
use cabrank_testing::{assert_closes_clean, assert_no_leaks, eventually};
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

/// A pool that connects through a Unix socket, which exists as long as this value.
pub(crate) struct Behind {
    pub(crate) pool: Pool,
    folder: PathBuf,
    _door: UnixDoor,
}

impl Behind {
    pub(crate) fn of(server: &Server, test: &str, builder: Builder<PostgresManager>) -> Self {
        let (door, folder) = server.unix_door(test);
        let mut config = Config::new();
        config.host_path(&folder).user(server.config.get_user().expect("a user"));
        server.config.get_password().map(|password| config.password(password));
        server.config.get_dbname().map(|name| config.dbname(name));
        server.config.get_ports().first().map(|&port| config.port(port));
        let pool = builder.max_size(1).build(PostgresManager::new(config, NoTls)).expect("a pool");
        Self { pool, folder, _door: door }
    }

    fn lend(&self) -> (cabrank_postgres::PooledConnection, i32) {
        let mut conn = self.pool.get().expect("a connection");
        let pid = conn.query_one("SELECT pg_backend_pid()", &[]).expect("a row").get(0);
        (conn, pid)
    }
}

impl Drop for Behind {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

const SLEEP: &str = "SELECT pg_sleep(600)";

fn a_canceller_ends_what_runs_and_hits_nobody_after_the_loan(server: Server) {
    let behind = Behind::of(&server, "canceller", builder());
    let (mut conn, pid) = behind.lend();
    let canceller = PooledConnection::canceller(&conn).expect("there is one");
    let canceller = &canceller;
    thread::scope(|scope| {
        let cancelling = scope.spawn(|| {
            server.wait_for_query(pid, "pg_sleep");
            canceller.cancel(PATIENCE)
        });
        let error = conn.batch_execute(SLEEP).expect_err("a cancellation");
        assert_eq!(error.code(), Some(&SqlState::QUERY_CANCELED));
        assert_eq!(cancelling.join().expect("no panic"), CancelOutcome::Asked);
    });
    drop(conn);
    let (mut conn, next) = behind.lend();
    assert_ne!(next, pid, "one that was cancelled is not lent again");
    assert_eq!(behind.pool.stats().closed.by(CloseReason::Cancelled), 1);
    thread::scope(|scope| {
        let late = scope.spawn(|| {
            server.wait_for_query(next, "pg_sleep");
            canceller.cancel(PATIENCE)
        });
        conn.batch_execute("SELECT pg_sleep(0.5)").expect("nobody cancels it");
        assert_eq!(late.join().expect("no panic"), CancelOutcome::LoanEnded);
    });
    drop(conn);
    assert_no_leaks(&behind.pool);
    assert_closes_clean(&behind.pool);
}

fn close_within_cancels_what_runs_and_aborts_nothing(server: Server) {
    let behind = Behind::of(&server, "closing", builder());
    let (mut conn, pid) = behind.lend();
    let holder = thread::spawn(move || conn.batch_execute(SLEEP).map_err(|error| error.code().cloned()));
    server.wait_for_query(pid, "pg_sleep");
    let report = behind.pool.close_within(Duration::from_secs(8));
    assert_eq!((report.cancelled.len(), report.aborted.len(), report.is_clean()), (1, 0, true), "{report}");
    assert_eq!(holder.join().expect("no panic"), Err(Some(SqlState::QUERY_CANCELED)));
}

fn what_a_panicking_holder_left_running_ends(server: Server) {
    let behind = Behind::of(&server, "panicking", builder());
    let (mut conn, pid) = behind.lend();
    let holder = thread::spawn(move || {
        let sleepy = "SELECT CASE WHEN i > 100 THEN pg_sleep(600)::text ELSE repeat('x', 200) END FROM generate_series(1, 200) i";
        let none: [i32; 0] = [];
        drop(conn.query_raw(sleepy, none).expect("rows"));
        panic!("in the middle of it");
    });
    holder.join().expect_err("a panic");
    eventually("the session ends", || !server.has_session(pid));
    assert!(behind.pool.get_timeout(Duration::from_secs(10)).is_ok());
    assert_no_leaks(&behind.pool);
}

fn rows_left_in_the_middle_are_cancelled_at_the_limit_of_the_reset(server: Server) {
    let behind = Behind::of(&server, "unread", builder().reset_timeout(Duration::from_millis(200)));
    let (mut conn, pid) = behind.lend();
    let none: [i32; 0] = [];
    drop(conn.query_raw("SELECT generate_series(1, 1000000000000), repeat('x', 200)", none).expect("rows"));
    drop(conn);
    let (_conn, next) = behind.lend();
    assert_ne!(next, pid);
    assert_eq!(behind.pool.stats().closed.by(CloseReason::Overran), 1);
}

cabrank_testing::tests! {
    on_server:
        a_canceller_ends_what_runs_and_hits_nobody_after_the_loan,
        close_within_cancels_what_runs_and_aborts_nothing,
        what_a_panicking_holder_left_running_ends,
        rows_left_in_the_middle_are_cancelled_at_the_limit_of_the_reset,
}
