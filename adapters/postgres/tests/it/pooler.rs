//! Behind a pooler that lends sessions by the transaction: `CABRANK_PGBOUNCER_URL`.

use crate::fixture::{behind_pgbouncer, builder};
use cabrank_postgres::cabrank::CloseReason;
use cabrank_postgres::postgres::{Config, Error, NoTls};
use cabrank_postgres::{Connection, PostgresManager};
use cabrank_testing::eventually;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

/// Prints which of the driver's calls work there, for the table in the README: some depend on the pooler's version.
fn behind_a_transaction_pooler_only_the_transaction_is_ended(config: Config) {
    let manager = PostgresManager::new(config, NoTls).transaction_pooler(true);
    let pool = builder().max_size(8).build(manager).expect("a pool");

    // More loans than sessions, so loans share sessions.
    thread::scope(|scope| {
        for thread in 0..8 {
            let pool = &pool;
            scope.spawn(move || {
                for round in 0..50 {
                    let mut conn = pool.get().expect("a connection");
                    let token = format!("{thread}/{round}");
                    let rows =
                        conn.query_typed("SELECT $1::text", &[(&token, cabrank_postgres::postgres::types::Type::TEXT)]);
                    assert_eq!(rows.expect("a row")[0].get::<_, &str>(0), token);
                    match round % 3 {
                        0 => conn.batch_execute("BEGIN; SELECT 1").expect("no error"),
                        1 => drop(conn.batch_execute("BEGIN; SELECT 1/0")),
                        _ => {}
                    }
                }
            });
        }
    });
    pool.transaction().run(|tx| tx.batch_execute("SET LOCAL work_mem = '1MB'; SELECT 1")).expect("a commit");
    let stats = pool.stats();
    assert_eq!((stats.resets_failed, stats.closed.total()), (0, 0), "{stats:?}");

    type Call = fn(&mut Connection) -> Result<(), Error>;
    let calls: [(&str, Call); 5] = [
        ("batch_execute, simple_query", |conn| conn.batch_execute("SELECT 1")),
        ("query_typed", |conn| conn.query_typed("SELECT 1", &[]).map(drop)),
        ("query with a text", |conn| conn.query("SELECT 1", &[]).map(drop)),
        ("query with a text, in a transaction", |conn| {
            let mut transaction = conn.transaction()?;
            transaction.query("SELECT 1", &[])?;
            transaction.commit()
        }),
        ("a statement kept beyond a transaction", |conn| {
            let statement = conn.prepare("SELECT 1")?;
            (0..3).try_for_each(|_| conn.query(&statement, &[]).map(drop))
        }),
    ];
    for (what, call) in calls {
        let failed = AtomicU32::new(0);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let failure = call(&mut pool.get().expect("a connection")).is_err();
                        failed.fetch_add(u32::from(failure), Ordering::Relaxed);
                    }
                });
            }
        });
        println!("{what}: {failed:?} of 400 failed");
    }
}

/// A cancel there may hit another client's statement, so the connection is not reused. The pool keeps treating the server as healthy: a
/// single pause would outlast every waiter.
fn what_is_left_running_costs_the_connection_and_no_doubt(config: Config) {
    let manager = PostgresManager::new(config, NoTls).transaction_pooler(true);
    let pause = Duration::from_secs(600);
    let pool = builder().max_size(1).backoff(pause, pause).build(manager).expect("a pool");
    for _ in 0..5 {
        let mut conn = pool.get().expect("a connection");
        let none: [(i32, cabrank_postgres::postgres::types::Type); 0] = [];
        drop(conn.query_typed_raw("SELECT repeat('x', 1000) FROM generate_series(1, 100000000)", none).expect("rows"));
    }
    eventually("all are closed", || pool.stats().closed.by(CloseReason::BeyondReset) == 5);
    assert_eq!((pool.stats().resets_failed, pool.stats().open_failures), (0, 0));
}

cabrank_testing::tests! {
    behind_pgbouncer:
        what_is_left_running_costs_the_connection_and_no_doubt,
        behind_a_transaction_pooler_only_the_transaction_is_ended,
}
