//! Injected failures of the manager's calls: the pool goes on, and no session stays at the server.

use crate::fixture::{Server, on_server};
use cabrank_postgres::PostgresManager;
use cabrank_postgres::cabrank::{CloseReason, Pool};
use cabrank_postgres::postgres::Error;
use cabrank_testing::{Faults, Faulty, Injection, Method, assert_closes_clean, assert_no_leaks, eventually};
use std::time::Duration;

/// A pool of one that checks its connection before each loan.
fn pool(server: &Server) -> (Pool<Faulty<PostgresManager>>, Faults<Error>) {
    let (manager, faults) = Faulty::wrap(server.manager());
    let builder = Pool::builder().max_size(1).check_after(Duration::ZERO).acquire_timeout(Duration::from_secs(20));
    (builder.build_lazy(manager).expect("a pool"), faults)
}

/// Lends the connection and returns its process id.
fn lend(pool: &Pool<Faulty<PostgresManager>>, sql: &str) -> i32 {
    let mut conn = pool.get().expect("a connection");
    conn.batch_execute(sql).expect(sql);
    conn.backend_pid().expect("a pid")
}

fn ends(server: &Server, pool: &Pool<Faulty<PostgresManager>>, pids: [i32; 2]) {
    assert_no_leaks(pool);
    assert_closes_clean(pool);
    eventually("neither session is left", || !pids.iter().any(|&pid| server.has_session(pid)));
}

fn a_reset_that_fails_ends_the_session(server: Server) {
    let (pool, faults) = pool(&server);
    let error = server.client().batch_execute("no SQL").expect_err("an error to inject");
    faults.next(Method::Reset, Injection::Fail(error));
    let soiled = lend(&pool, "SET work_mem = '1MB'");
    let next = lend(&pool, "SELECT 1");
    assert_ne!(next, soiled);
    assert_eq!(pool.stats().closed.by(CloseReason::ResetFailed), 1);
    ends(&server, &pool, [soiled, next]);
}

fn a_check_that_hangs_costs_its_connection_and_no_slot(server: Server) {
    let (pool, faults) = pool(&server);
    let checked = lend(&pool, "SELECT 1");
    faults.next(Method::IsValid, Injection::Hang);
    let next = lend(&pool, "SELECT 1");
    assert_ne!(next, checked);
    // On a busy machine the pool may also give up on a check that does not hang.
    assert!(pool.stats().closed.by(CloseReason::Overran) >= 1);
    ends(&server, &pool, [checked, next]);
}

fn a_connect_that_panics_is_tried_again(server: Server) {
    let (pool, faults) = pool(&server);
    faults.next(Method::Connect, Injection::Panic);
    let pid = lend(&pool, "SELECT 1");
    assert_eq!((faults.count(Method::Connect), pool.stats().open_failures), (2, 1));
    ends(&server, &pool, [pid; 2]);
}

cabrank_testing::tests! {
    on_server:
        a_reset_that_fails_ends_the_session,
        a_check_that_hangs_costs_its_connection_and_no_slot,
        a_connect_that_panics_is_tried_again,
}
