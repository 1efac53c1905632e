//! The reader of an answer is leaked (`std::mem::forget`): the driver waits forever for its data to be taken.

use crate::fixture::{Server, builder, on_server};
use cabrank_postgres::Connection;
use cabrank_postgres::cabrank::{CloseReason, SessionPolicy};
use cabrank_postgres::postgres::fallible_iterator::FallibleIterator;
use cabrank_testing::{assert_closes_clean, assert_no_leaks, eventually};
use std::io::{Read, Write};
use std::mem::forget;
use std::time::Duration;

const NONE: [i32; 0] = [];
/// The rows arrive at once, whereas a series in `FROM` would be computed first.
const LONG: &str = "SELECT generate_series(1, 3000000), repeat('x', 200)";

fn rows(conn: &mut Connection, sql: &str) {
    let mut rows = conn.query_raw(sql, NONE).expect("rows");
    rows.next().expect("a row");
    forget(rows);
}

fn what_is_forgotten_costs_the_connection_and_no_doubt(server: Server) {
    server.table("forgotten", "i int");
    type Leave = fn(&mut Connection);
    let leaves: [(&str, Leave); 6] = [
        ("rows", |conn| rows(conn, LONG)),
        ("rows, none of which was read", |conn| forget(conn.query_raw(LONG, NONE).expect("rows"))),
        ("rows of a portal", |conn| {
            let mut transaction = conn.transaction().expect("a transaction");
            let portal = transaction.bind(LONG, &[]).expect("a portal");
            forget(transaction.query_portal_raw(&portal, 0).expect("rows"));
            forget(transaction);
        }),
        ("a COPY to here", |conn| {
            let mut reader = conn.copy_out(&*format!("COPY ({LONG}) TO STDOUT")).expect("a reader");
            reader.read_exact(&mut [0]).expect("a byte");
            forget(reader);
        }),
        ("a COPY to the server", |conn| {
            let mut writer = conn.copy_in("COPY forgotten FROM STDIN").expect("a writer");
            writer.write_all(b"1\n").expect("room");
            writer.flush().expect("room");
            forget(writer);
        }),
        ("a COPY to the server that fails", |conn| {
            let mut writer = conn.copy_in("COPY forgotten FROM STDIN").expect("a writer");
            writer.write_all(b"no number\n").expect("room");
            writer.flush().expect("room");
            forget(writer);
        }),
    ];
    // The limit is never reached and nobody waits, so only the adapter can end this.
    let pool = builder().max_size(1).reset_timeout(Duration::MAX).build(server.manager()).expect("a pool");
    for (count, (what, leave)) in (1..).zip(leaves) {
        let mut conn = pool.get().expect("a connection");
        let pid = conn.backend_pid().expect("a pid");
        leave(&mut conn);
        drop(conn);
        eventually(what, || pool.stats().closed.by(CloseReason::BeyondReset) == count);
        eventually(what, || !server.has_session(pid));
        let mut conn = pool.get().expect("another connection");
        assert_eq!(conn.query_one("SELECT 5", &[]).expect("a row").get::<_, i32>(0), 5, "{what}");
    }
    let stats = pool.stats();
    assert_eq!((stats.resets_failed, stats.closed.total()), (0, leaves.len() as u64), "{stats:?}");
    assert_no_leaks(&pool);
    assert_closes_clean(&pool);
}

/// All rows have arrived and the server is done, but the driver still holds some of them.
fn what_is_forgotten_after_all_has_come_holds_up_no_next_holder(server: Server) {
    for policy in [SessionPolicy::Tracked, SessionPolicy::Always] {
        let pool = builder().max_size(1).session_policy(policy).build(server.manager()).expect("a pool");
        for kilobytes in (1..200).step_by(9) {
            let mut conn = pool.get().expect("a connection");
            rows(&mut conn, &format!("SELECT repeat('x', 1000) FROM generate_series(1, {kilobytes})"));
            drop(conn);
            let mut conn = pool.get().expect("a connection");
            assert_eq!(conn.query_one("SELECT 5", &[]).expect("a row").get::<_, i32>(0), 5, "{kilobytes} {policy:?}");
        }
        assert!(pool.stats().closed.total() > 0, "it must have happened");
        assert_no_leaks(&pool);
    }
}

/// Dropping the reader lets the driver continue.
fn what_is_dropped_after_all_has_come_costs_no_connection(server: Server) {
    for policy in [SessionPolicy::Tracked, SessionPolicy::Always] {
        let pool = builder().max_size(1).session_policy(policy).build(server.manager()).expect("a pool");
        for kilobytes in (1..200).step_by(9) {
            let sql = format!("SELECT repeat('x', 1000) FROM generate_series(1, {kilobytes})");
            let mut conn = pool.get().expect("a connection");
            conn.query_raw(&*sql, NONE).expect("rows").next().expect("a row");
            drop(conn);
        }
        eventually("all are back", || pool.stats().idle == 1);
        assert_eq!(pool.stats().opened, 1, "{policy:?}");
    }
}

/// With this policy nothing ends the answer between two loans, but an examination shows that the driver has stopped reading.
fn without_resets_a_driver_that_reads_no_more_is_not_lent_again(server: Server) {
    let pool = builder().max_size(1).session_policy(SessionPolicy::Never).build(server.manager()).expect("a pool");
    let mut conn = pool.get().expect("a connection");
    let pid = conn.backend_pid().expect("a pid");
    rows(&mut conn, LONG);
    drop(conn);
    let mut client = server.client();
    let full = "SELECT 1 FROM pg_stat_activity WHERE pid = $1 AND wait_event = 'ClientWrite'";
    eventually("there is more to read", || client.query_opt(full, &[&pid]).expect("an answer").is_some());
    let mut conn = pool.get().expect("another connection");
    assert_eq!(conn.query_one("SELECT 5", &[]).expect("a row").get::<_, i32>(0), 5);
    assert_eq!(pool.stats().closed.by(CloseReason::Broken), 1);
}

cabrank_testing::tests! {
    on_server:
        what_is_forgotten_costs_the_connection_and_no_doubt,
        what_is_forgotten_after_all_has_come_holds_up_no_next_holder,
        what_is_dropped_after_all_has_come_costs_no_connection,
        without_resets_a_driver_that_reads_no_more_is_not_lent_again,
}
