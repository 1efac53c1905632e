//! The server stops sending what a holder has requested and not read, and nobody waits for it.

use crate::fixture::{Server, builder, on_server};
use cabrank_postgres::cabrank::{CloseReason, PooledConnection, TransactionError};
use cabrank_postgres::postgres::fallible_iterator::FallibleIterator;
use cabrank_postgres::postgres::{Error, NoTls};
use cabrank_postgres::{Connection, PostgresManager, Transaction};
use cabrank_testing::{NetworkFault, assert_closes_clean, assert_no_leaks, eventually, timed};
use std::io::{Read, Write};
use std::thread;
use std::time::Duration;

const NONE: [i32; 0] = [];

/// Gigabytes, more than can be read in any test.
const ENDLESS: &str = "SELECT generate_series(1, 1000000000000), repeat('x', 200)";

/// The first rows come at once, and then none for a day.
const SLEEPY: &str =
    "SELECT i, CASE WHEN i > 100 THEN pg_sleep(100000)::text ELSE repeat('x', 200) END FROM generate_series(1, 200) i";

type Leave = fn(&mut Connection);

/// Three million rows of more than 200 bytes each.
const LONG: &str = "SELECT generate_series(1, 3000000), repeat('x', 200)";
const LENGTH: u64 = 3_000_000 * 200;

fn little_of_it_is_read_after_the_return_and_one_who_waits_is_served_soon(server: Server) {
    let leaves: [(&str, Leave); 2] = [
        ("rows", |conn| drop(conn.query_raw(LONG, NONE).expect("rows").next().expect("a row"))),
        ("a COPY", |conn| {
            let mut reader = conn.copy_out(&*format!("COPY ({LONG}) TO STDOUT")).expect("a reader");
            reader.read_exact(&mut [0]).expect("a byte");
        }),
    ];
    for delay in [Duration::ZERO, Duration::from_millis(120)] {
        for (what, leave) in leaves {
            let proxy = server.proxy();
            proxy.set(NetworkFault::Delay(delay));
            let manager = PostgresManager::new(server.through(&proxy), NoTls);
            let pool = builder().max_size(1).reset_timeout(Duration::MAX).build(manager).expect("a pool");
            let mut conn = pool.get().expect("a connection");
            leave(&mut conn);
            let began = proxy.counts().to_client.bytes;
            thread::scope(|scope| {
                let waiter = scope.spawn(|| pool.get_timeout(SOON).map(drop));
                eventually("somebody waits", || pool.stats().waiting == 1);
                let (served, took) = timed(|| {
                    drop(conn);
                    waiter.join().expect("no panic")
                });
                served.unwrap_or_else(|error| panic!("{what}, {delay:?}: {error}"));
                println!("{what}, {delay:?}: served after {took:?}");
            });
            assert_no_leaks(&pool);
            let read = proxy.counts().to_client.bytes - began;
            println!("{what}, {delay:?}: {read} bytes");
            assert!(read < LENGTH / 12, "{what}, {delay:?}: {read} bytes");
        }
    }
}

/// At the longer distance a log-in takes more than a second.
const SOON: Duration = Duration::from_secs(10);

const UNREAD: &[(&str, Leave)] = &[
    ("no row of many", |conn| drop(conn.query_raw(ENDLESS, NONE).expect("rows"))),
    ("one row of many", |conn| drop(conn.query_raw(ENDLESS, NONE).expect("rows").next().expect("a row"))),
    ("rows of a typed query", |conn| {
        let none: [(String, cabrank_postgres::postgres::types::Type); 0] = [];
        conn.query_typed_raw(ENDLESS, none).expect("rows").next().expect("a row");
    }),
    ("rows in an open transaction", |conn| {
        conn.batch_execute("BEGIN").expect("no error");
        conn.query_raw(ENDLESS, NONE).expect("rows").next().expect("a row");
    }),
    ("rows of a portal", |conn| {
        let mut transaction = conn.transaction().expect("a transaction");
        let portal = transaction.bind(ENDLESS, &[]).expect("a portal");
        transaction.query_portal_raw(&portal, 0).expect("rows").next().expect("a row");
        std::mem::forget(transaction);
    }),
    ("no row of a portal", |conn| {
        let mut transaction = conn.transaction().expect("a transaction");
        let portal = transaction.bind(ENDLESS, &[]).expect("a portal");
        drop(transaction.query_portal_raw(&portal, 0).expect("rows"));
        std::mem::forget(transaction);
    }),
    ("a COPY", |conn| {
        let mut byte = [0];
        conn.copy_out(&*format!("COPY ({ENDLESS}) TO STDOUT"))
            .expect("a reader")
            .read_exact(&mut byte)
            .expect("a byte");
    }),
    ("a statement that sleeps", |conn| drop(conn.query_raw(SLEEPY, NONE).expect("rows"))),
];

fn what_is_not_read_is_given_up_and_the_session_kept(server: Server) {
    // The limit is never reached: without a cancel the reset would last forever.
    let pool = builder().max_size(1).reset_timeout(Duration::MAX).build(server.manager()).expect("a pool");
    for (what, leave) in UNREAD {
        let mut conn = pool.get().expect("a connection");
        let pid = conn.backend_pid().expect("a pid");
        leave(&mut conn);
        drop(conn);
        // On a busy machine a waiter may get another connection.
        eventually(what, || pool.stats().idle == 1);
        let mut conn = pool.get().unwrap_or_else(|error| panic!("{what}: {error:?}"));
        assert_eq!(conn.query_one("SELECT 5", &[]).expect("a row").get::<_, i32>(0), 5, "{what}");
        assert_eq!(conn.backend_pid(), Some(pid), "{what}");
    }
    assert_no_leaks(&pool);
    assert_closes_clean(&pool);
}

/// An unfinished COPY into the server needs no cancel: the driver ends it.
fn a_copy_into_the_server_is_ended_with_its_session_kept(server: Server) {
    server.table("unread_copy", "i int");
    let pool = server.pool(1);
    let mut conn = pool.get().expect("a connection");
    conn.copy_in("COPY unread_copy FROM STDIN").expect("a writer").write_all(b"1\n").expect("room");
    drop(conn);
    assert!(pool.get().expect("a connection").query("SELECT * FROM unread_copy", &[]).expect("rows").is_empty());
    assert_eq!(pool.stats().opened, 1);
}

fn a_goodbye_does_not_read_to_the_end(server: Server) {
    let pool = builder().max_size(1).close_timeout(Duration::MAX).build(server.manager()).expect("a pool");
    for (what, leave) in UNREAD {
        let mut conn = pool.get().expect("a connection");
        let pid = conn.backend_pid().expect("a pid");
        leave(&mut conn);
        PooledConnection::discard(conn);
        eventually(what, || pool.stats().closing == 0 && !server.has_session(pid));
    }
}

fn what_a_panicking_holder_left_running_ends(server: Server) {
    let pool = server.pool(1);
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let holder = scope.spawn(|| {
            let mut conn = pool.get().expect("a connection");
            let pid = conn.backend_pid().expect("a pid");
            drop(conn.query_raw(SLEEPY, NONE).expect("rows"));
            server.wait_for_sleep(pid);
            tell.send(pid).expect("somebody listens");
            panic!("in the middle of it");
        });
        holder.join().expect_err("a panic");
    });
    let pid = told.recv().expect("a pid");
    eventually("the session ends", || !server.has_session(pid));
    assert_no_leaks(&pool);
}

fn leave_rows(tx: &mut Transaction<'_>, sql: &str) {
    tx.query_raw(sql, NONE).expect("rows").next().expect("a row");
}

fn a_rollback_reads_little_of_what_was_left(server: Server) {
    server.table("rolled_back", "i int");
    let pool = server.pool(1);
    let pid = pool.get().expect("a connection").backend_pid();
    let failed = pool.transaction().run(|tx| -> Result<(), Box<dyn std::error::Error>> {
        tx.execute("INSERT INTO rolled_back VALUES (1)", &[])?;
        leave_rows(tx, ENDLESS);
        Err("changed my mind".into())
    });
    assert!(matches!(failed, Err(TransactionError::User(_))), "{failed:?}");
    // The nested transaction alone is undone.
    let committed = pool.transaction().run(|tx| -> Result<(), Error> {
        tx.execute("INSERT INTO rolled_back VALUES (2)", &[])?;
        let nested = tx.nested(|tx| -> Result<(), Box<dyn std::error::Error>> {
            tx.execute("INSERT INTO rolled_back VALUES (3)", &[])?;
            leave_rows(tx, ENDLESS);
            Err("changed my mind".into())
        });
        assert_eq!(nested.expect_err("a failure").to_string(), "changed my mind");
        tx.execute("INSERT INTO rolled_back VALUES (4)", &[])?;
        Ok(())
    });
    committed.expect("a commit");
    let panicking = pool.clone();
    let panicked = thread::spawn(move || {
        let _ = panicking.transaction().run(|tx| -> Result<(), Error> {
            leave_rows(tx, ENDLESS);
            panic!("on purpose");
        });
    });
    assert!(panicked.join().is_err());
    let mut conn = pool.get().expect("a connection");
    assert_ne!(conn.backend_pid(), pid, "the panic cost it");
    let rows = conn.query("SELECT i FROM rolled_back ORDER BY i", &[]).expect("rows");
    assert_eq!(rows.iter().map(|row| row.get(0)).collect::<Vec<i32>>(), [2, 4]);
    assert_eq!((pool.stats().opened, pool.stats().closed.by(CloseReason::Panicked)), (2, 1));
}

/// A cancel would abort the transaction.
fn a_commit_reads_what_was_left_to_its_end(server: Server) {
    server.table("committed", "i int");
    let pool = server.pool(1);
    let committed = pool.transaction().run(|tx| -> Result<(), Error> {
        tx.execute("INSERT INTO committed VALUES (1)", &[])?;
        leave_rows(tx, "SELECT i, repeat('x', 200) FROM generate_series(1, 300000) i");
        Ok(())
    });
    committed.expect("a commit");
    assert_eq!(server.client().query("SELECT * FROM committed", &[]).expect("rows").len(), 1);
}

/// The leaked reader takes no data, so the driver would wait forever.
fn a_rollback_behind_forgotten_rows_costs_the_connection(server: Server) {
    let pool = server.pool(1);
    let failed = pool.transaction().run(|tx| -> Result<(), Box<dyn std::error::Error>> {
        std::mem::forget(tx.query_raw(ENDLESS, NONE)?);
        Err("changed my mind".into())
    });
    assert!(matches!(failed, Err(TransactionError::User(_))), "{failed:?}");
    pool.get().expect("another connection").batch_execute("SELECT 1").expect("an answer");
    assert_eq!(pool.stats().opened, 2);
}

cabrank_testing::tests! {
    on_server:
        little_of_it_is_read_after_the_return_and_one_who_waits_is_served_soon,
        what_is_not_read_is_given_up_and_the_session_kept,
        a_copy_into_the_server_is_ended_with_its_session_kept,
        a_goodbye_does_not_read_to_the_end,
        what_a_panicking_holder_left_running_ends,
        a_rollback_reads_little_of_what_was_left,
        a_commit_reads_what_was_left_to_its_end,
        a_rollback_behind_forgotten_rows_costs_the_connection,
}
