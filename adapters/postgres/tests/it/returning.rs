//! Nothing that a holder leaves behind reaches the next one.

use crate::fixture::{Server, builder, on_server, session_of};
use cabrank_postgres::Connection;
use cabrank_postgres::cabrank::{SessionPolicy, SetUp};
use cabrank_postgres::postgres::fallible_iterator::FallibleIterator;
use cabrank_testing::{assert_closes_clean, assert_no_leaks, eventually};

type Leave = fn(&mut Connection);

fn run(conn: &mut Connection, sql: &str) {
    conn.batch_execute(sql).expect(sql);
}

/// Each leaves something behind, and the adapter must detect all of them.
const LEAVINGS: &[(&str, Leave)] = &[
    ("an open transaction", |conn| run(conn, "BEGIN; INSERT INTO left_behind VALUES (1)")),
    ("an aborted transaction", |conn| {
        run(conn, "BEGIN");
        conn.batch_execute("SELECT 1/0").expect_err("a division by zero");
    }),
    ("an aborted transaction in one batch", |conn| {
        conn.batch_execute("BEGIN; SELECT 1/0").expect_err("a division by zero");
    }),
    ("a forgotten transaction", |conn| std::mem::forget(conn.transaction().expect("a transaction"))),
    ("a setting", |conn| run(conn, "SET statement_timeout = 1234")),
    ("a setting that is reported", |conn| run(conn, "SET application_name = 'mallory'")),
    ("a setting through a prepared statement", |conn| drop(conn.execute("SET work_mem = '1MB'", &[]))),
    ("a setting after a local one", |conn| {
        run(conn, "BEGIN; SET LOCAL work_mem = '1MB'; COMMIT; SET work_mem = '2MB'")
    }),
    ("another time zone", |conn| run(conn, "SET TIME ZONE 'Asia/Tokyo'")),
    ("a search path", |conn| run(conn, "SET search_path = pg_catalog")),
    ("a role", |conn| run(conn, "SET ROLE pg_read_all_data")),
    ("a session authorization", |conn| run(conn, "SET SESSION AUTHORIZATION cabrank_other")),
    ("the characteristics of transactions", |conn| {
        run(conn, "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY");
    }),
    ("a temporary table", |conn| run(conn, "CREATE TEMP TABLE t (i int)")),
    ("a temporary table from a query", |conn| run(conn, "CREATE TEMP TABLE t AS SELECT 1 AS i")),
    ("a temporary table by SELECT INTO", |conn| run(conn, "SELECT 1 AS i INTO TEMP t")),
    ("a temporary table by a prepared SELECT INTO", |conn| {
        conn.execute("SELECT 1 AS i INTO TEMP t", &[]).expect("a table");
    }),
    ("a temporary table by SELECT INTO after a column named insert", |conn| run(conn, "SELECT 1 insert INTO TEMP t")),
    ("set_config", |conn| drop(conn.query("SELECT set_config('work_mem', '1MB', false)", &[]))),
    ("set_config in a simple query", |conn| run(conn, "SELECT set_config('work_mem', '1MB', false)")),
    ("set_config with types given", |conn| {
        conn.query_typed("SELECT set_config('work_mem', '1MB', false)", &[]).expect("a setting");
    }),
    ("set_config behind a comment and quotes", |conn| {
        run(conn, "SELECT \"pg_catalog\" . \"set_config\" /* ( */ ('work_mem', '1MB', false)");
    }),
    ("set_config in a string of escapes", |conn| run(conn, r"SELECT E'\'', set_config('work_mem', '1MB', false)")),
    ("a custom setting", |conn| drop(conn.query("SELECT set_config('my.tenant', 'mallory', false)", &[]))),
    ("a custom setting with a keyword's name", |conn| run(conn, "SET local.tenant = 'mallory'")),
    ("an advisory lock", |conn| drop(conn.query("SELECT pg_advisory_lock(42)", &[]))),
    ("an advisory lock before an error", |conn| {
        conn.batch_execute("SELECT pg_advisory_lock(42), 1/0").expect_err("a division by zero");
    }),
    ("a setting inside a function", |conn| drop(conn.query("SELECT cabrank_sets()", &[]))),
    ("an advisory lock inside a function", |conn| drop(conn.query("SELECT cabrank_locks()", &[]))),
    ("an update of pg_settings", |conn| {
        conn.execute("UPDATE pg_settings SET setting = '2048' WHERE name = 'work_mem'", &[]).expect("a row");
    }),
    ("a block of code", |conn| run(conn, "DO $$ BEGIN PERFORM set_config('work_mem', '1MB', false); END $$")),
    ("a channel", |conn| run(conn, "LISTEN rumours")),
    ("a cursor", |conn| run(conn, "BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT 1; COMMIT")),
    ("a statement prepared by SQL", |conn| run(conn, "PREPARE \"my \"\"plan\" AS SELECT 1")),
    ("a statement prepared by SQL in a block of code", |conn| {
        run(conn, "DO $$ BEGIN EXECUTE 'PREPARE plan AS SELECT 1'; END $$");
    }),
    ("what a statement prepared by SQL does", |conn| {
        run(conn, "PREPARE p AS SELECT set_config('work_mem', '1MB', false); EXECUTE p; DEALLOCATE p");
    }),
    ("the position of a sequence", |conn| drop(conn.query("SELECT nextval('cabrank_sequence')", &[]))),
    ("unread rows", |conn| {
        let none: [i32; 0] = [];
        let mut rows = conn.query_raw("SELECT * FROM generate_series(1, 100000)", none).expect("rows");
        rows.next().expect("a row");
    }),
];

/// Under both policies, to test the reset and the detection separately.
fn nothing_left_behind_reaches_the_next_holder(server: Server) {
    set_up(&server);
    for policy in [SessionPolicy::Always, SessionPolicy::Tracked] {
        let pool = builder().max_size(1).session_policy(policy).build(server.manager()).expect("a pool");
        let mut first = pool.get().expect("a connection");
        let (fresh, pid) = (session_of(&mut first), first.backend_pid());
        drop(first);
        for (what, leave) in LEAVINGS {
            leave(&mut pool.get().expect("a connection"));
            let mut next = pool.get().expect("a connection");
            assert_eq!(session_of(&mut next), fresh, "{what} was left behind, {policy:?}");
            assert_eq!(
                next.backend_pid(),
                pid,
                "{what} should not cost the connection, {policy:?}: {:?}",
                pool.stats().closed
            );
        }
        let stats = pool.stats();
        assert_eq!((stats.resets_failed, stats.opened), (0, 1));
        assert_no_leaks(&pool);
        assert_closes_clean(&pool);
    }
    assert_eq!(server.client().query("SELECT 1 FROM left_behind", &[]).expect("rows").len(), 0);
}

fn set_up(server: &Server) {
    server.table("left_behind", "i int");
    let mut client = server.client();
    let _ = client.batch_execute("CREATE ROLE cabrank_other");
    client
        .batch_execute(
            "CREATE SEQUENCE IF NOT EXISTS cabrank_sequence;
            CREATE OR REPLACE FUNCTION cabrank_sets() RETURNS text LANGUAGE sql AS
                $$ SELECT set_config('work_mem', '1MB', false) $$;
            CREATE OR REPLACE FUNCTION cabrank_locks() RETURNS void LANGUAGE sql AS
                $$ SELECT pg_advisory_lock(43) $$",
        )
        .expect("functions");
}

fn a_cached_statement_is_noticed_on_every_loan(server: Server) {
    let pool = server.pool(1);
    for sql in ["SELECT set_config('work_mem', '1MB', false)", "SELECT pg_advisory_lock(44)::text"] {
        let fresh = session_of(&mut pool.get().expect("a connection"));
        for loan in 0..3 {
            let mut conn = pool.get().expect("a connection");
            let statement = conn.prepare_cached(sql).expect("a statement");
            conn.query(&statement, &[]).expect("a row");
            drop(conn);
            assert_eq!(session_of(&mut pool.get().expect("a connection")), fresh, "{sql}, loan {loan}");
        }
    }
}

fn notifications_do_not_reach_the_next_holder(server: Server) {
    let pool = server.pool(1);
    let mut conn = pool.get().expect("a connection");
    run(&mut conn, "LISTEN rumours_of_old");
    server.client().batch_execute("NOTIFY rumours_of_old, 'a secret'").expect("a notification");
    run(&mut conn, "SELECT 1");
    drop(conn);
    let mut conn = pool.get().expect("a connection");
    run(&mut conn, "SELECT 1");
    assert_eq!(conn.notifications().len(), 0);
}

/// All holders share one channel from the start: each receives only what arrives in its own loan.
fn notifications_on_a_channel_of_on_open_do_not_reach_the_next_holder(server: Server) {
    let listen = |conn: &mut Connection, _: &SetUp<'_>| conn.batch_execute("LISTEN rumours_for_all");
    let pool = builder().max_size(1).on_open(listen).build(server.manager()).expect("a pool");
    for secret in ["of the first", "of the second"] {
        let mut conn = pool.get().expect("a connection");
        run(&mut conn, "SELECT 1");
        assert_eq!(conn.notifications().len(), 0, "before {secret}");
        server.client().batch_execute(&format!("NOTIFY rumours_for_all, '{secret}'")).expect("a notification");
        eventually("it has come", || {
            run(&mut conn, "SELECT 1");
            conn.notifications().len() == 1
        });
        drop(conn);
        // On a busy machine a request that waits for a reset may time out.
        eventually("it is clean", || pool.stats().idle == 1);
    }
    assert_eq!((pool.stats().opened, pool.stats().resets_failed), (1, 0));
}

fn what_on_open_prepares_is_prepared_again_after_a_reset(server: Server) {
    let set_up = |conn: &mut Connection, _: &SetUp<'_>| conn.batch_execute("PREPARE mine AS SELECT 7");
    let pool = builder().max_size(1).on_open(set_up).build(server.manager()).expect("a pool");
    for _ in 0..3 {
        let mut conn = pool.get().expect("a connection");
        run(&mut conn, "EXECUTE mine; SET work_mem = '1MB'");
    }
    drop(pool.get().expect("a connection"));
    assert_eq!((pool.stats().opened, pool.stats().resets_done), (1, 3));
}

fn what_on_open_sets_is_no_trace_of_a_holder(server: Server) {
    let pool = builder()
        .max_size(1)
        .on_open(|conn, _| conn.batch_execute("SET statement_timeout = 4321; SET application_name = 'set up'"))
        .build(server.manager())
        .expect("a pool");
    for _ in 0..3 {
        let mut conn = pool.get().expect("a connection");
        let row = conn.query_one("SELECT current_setting('statement_timeout')", &[]).expect("a row");
        assert_eq!(row.get::<_, &str>(0), "4321ms");
    }
    assert_eq!(pool.stats().resets_skipped, 3);
    run(&mut pool.get().expect("a connection"), "SET statement_timeout = 1");
    let mut conn = pool.get().expect("a connection");
    let row = conn.query_one("SHOW statement_timeout", &[]).expect("a row");
    assert_eq!(row.get::<_, &str>(0), "4321ms", "on_open ran again after the reset");
}

cabrank_testing::tests! {
    on_server:
        nothing_left_behind_reaches_the_next_holder,
        a_cached_statement_is_noticed_on_every_loan,
        notifications_do_not_reach_the_next_holder,
        notifications_on_a_channel_of_on_open_do_not_reach_the_next_holder,
        what_on_open_prepares_is_prepared_again_after_a_reset,
        what_on_open_sets_is_no_trace_of_a_holder,
}
