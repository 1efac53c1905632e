//! Injected failures of the manager's calls: the pool goes on, and no session stays at the server.

use crate::server::{Server, on_each_server};
use cabrank_mysql::cabrank::{CloseReason, Pool};
use cabrank_mysql::mysql::prelude::Queryable;
use cabrank_mysql::{MySqlManager, mysql};
use cabrank_testing::{Faults, Faulty, Injection, Method, assert_closes_clean, assert_no_leaks, eventually};
use std::io::ErrorKind;
use std::time::Duration;

/// A pool of one that checks its connection before each loan.
fn pool(server: &Server) -> (Pool<Faulty<MySqlManager>>, Faults<mysql::Error>) {
    let (manager, faults) = Faulty::wrap(server.manager());
    let builder = Pool::builder().max_size(1).check_after(Duration::ZERO).acquire_timeout(Duration::from_secs(20));
    (builder.build_lazy(manager).expect("a pool"), faults)
}

fn ends(server: &Server, pool: &Pool<Faulty<MySqlManager>>) {
    assert_no_leaks(pool);
    assert_closes_clean(pool);
    eventually("no session is left", || server.sessions() == 0);
}

fn a_reset_that_fails_ends_the_session_and_its_transaction(server: &Server) {
    let (pool, faults) = pool(server);
    faults.next(Method::Reset, Injection::Fail(mysql::Error::IoError(ErrorKind::BrokenPipe.into())));
    let mut conn = pool.get().unwrap();
    let soiled = conn.connection_id();
    conn.query_drop("BEGIN; UPDATE account SET money = 9").unwrap();
    drop(conn);
    assert_ne!(pool.get().unwrap().connection_id(), soiled);
    assert_eq!(pool.stats().closed.by(CloseReason::ResetFailed), 1);
    eventually("the locks are gone", || server.try_run(format!("UPDATE {}.account SET money = 0", server.database)));
    ends(server, &pool);
}

fn a_check_that_hangs_costs_its_connection_and_no_slot(server: &Server) {
    let (pool, faults) = pool(server);
    let checked = pool.get().unwrap().connection_id();
    faults.next(Method::IsValid, Injection::Hang);
    assert_ne!(pool.get().unwrap().connection_id(), checked);
    // On a busy machine the pool may also give up on a check that does not hang.
    assert!(pool.stats().closed.by(CloseReason::Overran) >= 1);
    ends(server, &pool);
}

fn a_connect_that_panics_is_tried_again(server: &Server) {
    let (pool, faults) = pool(server);
    faults.next(Method::Connect, Injection::Panic);
    pool.get().unwrap().query_drop("DO 1").unwrap();
    assert_eq!((faults.count(Method::Connect), pool.stats().open_failures), (2, 1));
    ends(server, &pool);
}

cabrank_testing::tests! {
    on_each_server:
        a_reset_that_fails_ends_the_session_and_its_transaction,
        a_check_that_hangs_costs_its_connection_and_no_slot,
        a_connect_that_panics_is_tried_again,
}
