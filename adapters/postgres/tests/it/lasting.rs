//! Effects that no reset undoes cost the connection, and never reach the next holder.

use crate::fixture::{Server, builder, on_server};
use cabrank_postgres::cabrank::CloseReason;
use cabrank_postgres::postgres::Client;
use cabrank_testing::{Recorder, assert_closes_clean, assert_no_leaks, eventually};
use std::time::Duration;

fn run(client: &mut Client, sql: &str) {
    client.batch_execute(sql).expect(sql);
}

/// The number of rows that a query of the session returns.
fn rows(client: &mut Client, sql: &str) -> usize {
    client.query(sql, &[]).expect(sql).len()
}

/// Each action, and the query that finds its effect in the session, if there is one.
const LASTING: &[(&str, &str)] = &[
    (
        "SELECT dblink_connect('other', 'dbname=' || current_database())",
        "SELECT 1 WHERE dblink_get_connections() IS NOT NULL",
    ),
    ("DO $$ BEGIN PERFORM dblink_connect('dbname=' || current_database()); END $$", ""),
    (
        "SELECT pg_create_physical_replication_slot('cabrank_slot', true, true)",
        "SELECT 1 FROM pg_replication_slots WHERE active_pid = pg_backend_pid()",
    ),
    (
        "SELECT pg_replication_origin_session_setup('cabrank_origin')",
        "SELECT 1 WHERE pg_replication_origin_session_is_setup()",
    ),
    ("SELECT pg_backup_start('cabrank', true)", ""),
    ("SELECT U&\"dblink\\005fconnect\"('dbname=' || current_database())", ""),
    ("DO $$ BEGIN LOAD 'auto_explain'; END $$", ""),
    ("DO $$ BEGIN EXECUTE 'LOAD ''auto_explain'''; END $$", ""),
    ("LOAD 'auto_explain'", "SELECT 1 FROM pg_settings WHERE name = 'auto_explain.log_nested_statements'"),
];

fn set_up(server: &Server) {
    let mut admin = server.client();
    // Two tests at once would interfere with each other.
    run(&mut admin, "SELECT pg_advisory_lock(hashtext('dblink'))");
    run(&mut admin, "CREATE EXTENSION IF NOT EXISTS dblink");
    let create = "SELECT pg_replication_origin_create('cabrank_origin') \
        WHERE NOT EXISTS (SELECT FROM pg_replication_origin WHERE roname = 'cabrank_origin')";
    run(&mut admin, create);
}

fn what_no_reset_undoes_costs_the_connection(server: Server) {
    set_up(&server);
    let pool = server.pool(1);
    for prepared in [false, true] {
        for &(sql, trace) in LASTING {
            let mut conn = pool.get().expect("a connection");
            let pid = conn.backend_pid();
            if prepared {
                conn.query(sql, &[]).expect(sql);
            } else {
                run(&mut conn, sql);
            }
            assert!(trace.is_empty() || rows(&mut conn, trace) == 1, "{sql}: {trace}");
            drop(conn);
            let mut next = pool.get().expect("a connection");
            assert_ne!(next.backend_pid(), pid, "{sql}");
            assert!(trace.is_empty() || rows(&mut next, trace) == 0, "{sql}: {trace}");
        }
    }
    assert_eq!(pool.stats().closed.by(CloseReason::BeyondReset), 2 * LASTING.len() as u64);
    assert_no_leaks(&pool);
    assert_closes_clean(&pool);
}

/// The reset reseeds `random`, by whichever call it was seeded.
fn what_random_returns_is_not_sown_for_the_next_holder(server: Server) {
    let mut admin = server.client();
    run(&mut admin, "SELECT setseed(0.5)");
    let sown: f64 = admin.query_one("SELECT random()", &[]).expect("a number").get(0);
    let pool = server.pool(1);
    for sql in [
        "SELECT setseed(0.5)",
        "SET seed = 0.5",
        "/* c */ SET /* x */ SESSION /* y */ seed = 0.5",
        "SET LOCAL seed = 0.5",
        "BEGIN; SET LOCAL seed = 0.5; COMMIT",
        "BEGIN; SET LOCAL \"seed\" = 0.5; ROLLBACK",
        "SELECT set_config('se' || 'ed', '0.5', false)",
        "SELECT set_config(name, '0.5', true) FROM (VALUES ('seed')) AS v (name)",
        "DO $$BEGIN SET seed = 0.5; END$$",
        "DO $$ BEGIN EXECUTE 'SET seed = 0.5'; END $$",
    ] {
        let mut conn = pool.get().expect("a connection");
        let pid = conn.backend_pid();
        run(&mut conn, sql);
        drop(conn);
        let mut next = pool.get().expect("a connection");
        assert_eq!(next.backend_pid(), pid, "{sql}");
        let drawn: f64 = next.query_one("SELECT random()", &[]).expect("a number").get(0);
        assert!(drawn != sown, "{sql}");
    }
    assert_closes_clean(&pool);
}

/// Like an application that does so in each loan. The pool keeps treating the server as healthy: a single pause would outlast every
/// waiter.
fn a_holder_who_does_so_each_time_is_served(server: Server) {
    set_up(&server);
    for (what, sql) in [
        ("seen at once", LASTING[0].0),
        ("in a transaction that is left open", "BEGIN; LOAD 'auto_explain'"),
        ("found by the reset", "DO $$ BEGIN DEALLOCATE ALL; END $$"),
        ("the driver's statements", "DISCARD ALL"),
    ] {
        let recorder = Recorder::new();
        let pause = Duration::from_secs(600);
        let settings = builder().max_size(1).backoff(pause, pause).event_handler(recorder.clone());
        let pool = settings.build(server.manager()).expect("a pool");
        for _ in 0..50 {
            let mut conn = pool.get().unwrap_or_else(|error| panic!("{what}: {error:?}"));
            drop(conn.prepare_cached("SELECT 1").expect("a statement"));
            run(&mut conn, sql);
        }
        eventually("all have said goodbye", || recorder.count("closed") == 50);
        let stats = pool.stats();
        assert_eq!(
            (stats.closed.by(CloseReason::BeyondReset), stats.resets_failed, stats.open_failures),
            (50, 0, 0),
            "{what}"
        );
        let failed = |line: &&String| line.starts_with("reset") && !line.ends_with(": ok");
        assert_eq!(recorder.events().iter().find(failed), None, "{what}");
    }
}

/// Only uncertain texts are searched.
fn a_name_in_a_harmless_text_costs_nothing(server: Server) {
    server.table("named", "seed float8, word text");
    let pool = server.pool(1);
    for sql in [
        "INSERT INTO named VALUES (0.5, 'set_user(0.5)')",
        "UPDATE named SET seed = random() WHERE word = 'dblink_connect'",
        "SELECT 'LOAD', seed FROM named -- pg_backup_start",
    ] {
        run(&mut pool.get().expect("a connection"), sql);
    }
    drop(pool.get().expect("a connection"));
    let stats = pool.stats();
    assert_eq!((stats.opened, stats.resets_done, stats.resets_failed), (1, 0, 0));
}

cabrank_testing::tests! {
    on_server:
        what_no_reset_undoes_costs_the_connection,
        a_holder_who_does_so_each_time_is_served,
        what_random_returns_is_not_sown_for_the_next_holder,
        a_name_in_a_harmless_text_costs_nothing,
}
