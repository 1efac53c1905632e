//! What a holder has asked for and not read is given up by the server, and holds nobody up.

use crate::fixture::{Server, builder, on_server};
use cabrank_postgres::Connection;
use cabrank_postgres::cabrank::PooledConnection;
use cabrank_postgres::postgres::fallible_iterator::FallibleIterator;
use cabrank_testing::{assert_closes_clean, assert_no_leaks, eventually};
use std::io::{Read, Write};
use std::time::Duration;

const NONE: [i32; 0] = [];

/// Gigabytes, and more than can be read in anybody's lifetime.
const ENDLESS: &str = "SELECT generate_series(1, 1000000000000), repeat('x', 200)";

/// The first rows come at once, and then none for a day.
const SLEEPY: &str =
    "SELECT i, CASE WHEN i > 100 THEN pg_sleep(100000)::text ELSE repeat('x', 200) END FROM generate_series(1, 200) i";

type Leave = fn(&mut Connection);

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
    // A limit that nobody reaches: without a cancel the reset would last for ever.
    let pool = builder().max_size(1).reset_timeout(Duration::MAX).build(server.manager()).expect("a pool");
    for (what, leave) in UNREAD {
        let mut conn = pool.get().expect("a connection");
        let pid = conn.backend_pid().expect("a pid");
        leave(&mut conn);
        drop(conn);
        // Somebody who waits on a busy machine may be given another connection.
        eventually(what, || pool.stats().idle == 1);
        let mut conn = pool.get().unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(conn.query_one("SELECT 5", &[]).expect("a row").get::<_, i32>(0), 5, "{what}");
        assert_eq!(conn.backend_pid(), Some(pid), "{what}");
    }
    assert_no_leaks(&pool);
    assert_closes_clean(&pool);
}

/// A COPY into the server that nobody ended is none of its business: the driver ends it.
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

cabrank_testing::tests! {
    on_server:
        what_is_not_read_is_given_up_and_the_session_kept,
        a_copy_into_the_server_is_ended_with_its_session_kept,
        a_goodbye_does_not_read_to_the_end,
        what_a_panicking_holder_left_running_ends,
}
