//! COPY in both directions, finished and unfinished.

use crate::fixture::{Server, builder, on_server, taken};
use cabrank_postgres::PostgresManager;
use cabrank_postgres::postgres::NoTls;
use std::io::{Read, Write};

fn a_finished_copy_costs_no_reset_and_leaves_the_counts_right(server: Server) {
    server.table("copied", "i int, t text");
    let proxy = server.proxy();
    let pool = builder().max_size(1).build(PostgresManager::new(server.through(&proxy), NoTls)).expect("a pool");
    for round in 1..=3 {
        let mut conn = pool.get().expect("a connection");
        let mut writer = conn.copy_in("COPY copied (i, t) FROM STDIN").expect("a writer");
        writer.write_all(b"1\tone\n2\ttwo\n").expect("room");
        assert_eq!(writer.finish().expect("rows"), 2);
        drop(conn);

        let mut conn = pool.get().expect("a connection");
        let mut text = String::new();
        conn.copy_out("COPY (SELECT i, upper(t) FROM copied) TO STDOUT")
            .expect("a reader")
            .read_to_string(&mut text)
            .expect("rows");
        assert_eq!(text.lines().count(), 2 * round);
        drop(conn);

        taken(&proxy);
        pool.get().expect("a connection").batch_execute("SELECT 1").expect("an answer");
        // The driver closes the statement of the last COPY when the connection is next used.
        let messages = taken(&proxy);
        assert!(!messages.iter().any(|message| message.contains("BEGIN")), "{messages:?}");
    }
    let stats = pool.stats();
    assert_eq!((stats.opened, stats.resets_done, stats.resets_failed), (1, 0, 0));
}

fn a_copy_left_in_the_middle_is_cleared_away(server: Server) {
    server.table("half_copied", "i int");
    let pool = server.pool(1);
    let mut conn = pool.get().expect("a connection");
    let mut writer = conn.copy_in("COPY half_copied FROM STDIN").expect("a writer");
    writer.write_all(b"1\n").expect("room");
    writer.flush().expect("room");
    drop(writer);
    drop(conn);
    assert_eq!(pool.get().expect("a connection").query("SELECT * FROM half_copied", &[]).expect("rows").len(), 0);

    let mut conn = pool.get().expect("a connection");
    let mut byte = [0];
    conn.copy_out("COPY (SELECT * FROM generate_series(1, 100000)) TO STDOUT")
        .expect("a reader")
        .read_exact(&mut byte)
        .expect("a byte");
    drop(conn);
    assert_eq!(pool.get().expect("a connection").query_one("SELECT 5", &[]).expect("a row").get::<_, i32>(0), 5);

    let mut conn = pool.get().expect("a connection");
    let mut writer = conn.copy_in("COPY half_copied FROM STDIN").expect("a writer");
    writer.write_all(b"no number\n").expect("room");
    writer.finish().expect_err("no number");
    drop(conn);
    assert_eq!(pool.get().expect("a connection").query_one("SELECT 6", &[]).expect("a row").get::<_, i32>(0), 6);
    assert_eq!((pool.stats().opened, pool.stats().resets_failed), (1, 0));
}

/// The driver cannot end a COPY that a simple query began, and the connection is lost.
fn a_copy_begun_by_a_batch_costs_the_connection_but_not_the_next_holder(server: Server) {
    server.table("stray_copied", "i int");
    let pool = server.pool(1);
    pool.get().expect("a connection").batch_execute("COPY stray_copied FROM STDIN").expect_err("no writer");
    assert_eq!(pool.get().expect("a connection").query_one("SELECT 7", &[]).expect("a row").get::<_, i32>(0), 7);
    pool.get().expect("a connection").batch_execute("COPY stray_copied TO STDOUT").expect_err("no reader");
    assert_eq!(pool.get().expect("a connection").query_one("SELECT 8", &[]).expect("a row").get::<_, i32>(0), 8);
    assert_eq!(pool.stats().opened, 2);
}

cabrank_testing::tests! {
    on_server:
        a_finished_copy_costs_no_reset_and_leaves_the_counts_right,
        a_copy_left_in_the_middle_is_cleared_away,
        a_copy_begun_by_a_batch_costs_the_connection_but_not_the_next_holder,
}
