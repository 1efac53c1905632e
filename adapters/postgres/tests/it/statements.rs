//! The cache of prepared statements.

use crate::fixture::{Server, builder, on_server, taken};
use cabrank_postgres::postgres::{Error, NoTls, SimpleQueryMessage, SimpleQueryRow};
use cabrank_postgres::{Connection, PostgresManager};

fn a_cached_statement_is_prepared_once_and_survives_a_reset(server: Server) {
    let proxy = server.proxy();
    let pool = builder().max_size(1).build(PostgresManager::new(server.through(&proxy), NoTls)).expect("a pool");
    taken(&proxy);
    for round in 0..4 {
        let mut conn = pool.get().expect("a connection");
        let statement = conn.prepare_cached("SELECT $1::int + 1").expect("a statement");
        assert_eq!(conn.query_one(&statement, &[&round]).expect("a row").get::<_, i32>(0), round + 1);
        if round == 1 {
            conn.batch_execute("SET work_mem = '1MB'").expect("no error");
        }
    }
    let messages = taken(&proxy);
    assert_eq!(messages.iter().filter(|message| *message == "P").count(), 1, "{messages:?}");
    assert_eq!((pool.stats().resets_done, pool.stats().opened), (1, 1));
}

fn a_cached_statement_is_used_in_transactions_and_those_nested_in_them(server: Server) {
    let proxy = server.proxy();
    let pool = builder().max_size(1).build(PostgresManager::new(server.through(&proxy), NoTls)).expect("a pool");
    taken(&proxy);
    for n in 0..3 {
        let next = pool.transaction().run(|tx| -> Result<i32, Error> {
            let statement = tx.prepare_cached("SELECT $1::int + 2")?;
            let next: i32 = tx.query_one(&statement, &[&n])?.get(0);
            tx.nested(|tx| {
                let statement = tx.prepare_cached("SELECT $1::int + 2")?;
                tx.query_one(&statement, &[&next]).map(|row| row.get(0))
            })
        });
        assert_eq!(next.expect("a row"), n + 4);
    }
    pool.get().expect("a connection").prepare_cached("SELECT $1::int + 2").expect("a statement");
    let messages = taken(&proxy);
    assert_eq!(messages.iter().filter(|message| *message == "P").count(), 1, "{messages:?}");
    // BEGIN, SAVEPOINT, RELEASE, COMMIT. Each query is bound, executed and synced.
    let simple = messages.iter().filter(|message| message.starts_with("Q ")).count();
    assert_eq!((simple, messages.iter().filter(|message| *message == "B").count()), (3 * 4, 3 * 2), "{messages:?}");
    assert_eq!((pool.stats().resets_done, pool.stats().opened), (0, 1));
}

/// A statement whose meaning depends on `SET LOCAL` is not cached, within a transaction or outside.
fn a_statement_prepared_after_set_local_is_not_kept(server: Server) {
    let pool = server.pool(1);
    let outcome = pool.transaction().run(|tx| -> Result<(), Error> {
        tx.prepare_cached("SELECT 10")?;
        tx.batch_execute("SET LOCAL search_path = pg_catalog")?;
        tx.nested(|tx| tx.prepare_cached("SELECT 20").map(drop))
    });
    outcome.expect("a commit");
    let at_the_server = "SELECT statement FROM pg_prepared_statements WHERE statement ~ '^SELECT \\d+$' ORDER BY 1";
    let mut conn = pool.get().expect("a connection");
    let kept = conn.simple_query(at_the_server).expect("rows").iter().filter_map(text).collect::<Vec<_>>();
    assert_eq!(kept, ["SELECT 10"]);
}

fn the_cache_holds_as_many_as_it_was_told(server: Server) {
    let pool = builder().max_size(1).build(server.manager().statement_cache(2)).expect("a pool");
    let mut conn = pool.get().expect("a connection");
    for sql in ["SELECT 1", "SELECT 2", "SELECT 1", "SELECT 3"] {
        conn.prepare_cached(sql).expect("a statement");
    }
    let at_the_server = "SELECT statement FROM pg_prepared_statements WHERE statement ~ '^SELECT \\d$' ORDER BY 1";
    let kept = conn.simple_query(at_the_server).expect("rows").iter().filter_map(text).collect::<Vec<_>>();
    assert_eq!(kept, ["SELECT 1", "SELECT 3"], "the one not used for longest has gone");
    conn.clear_statement_cache();
    let kept = conn.simple_query(at_the_server).expect("rows").iter().filter_map(text).collect::<Vec<_>>();
    assert!(kept.is_empty(), "{kept:?}");
}

fn text(message: &cabrank_postgres::postgres::SimpleQueryMessage) -> Option<String> {
    match message {
        cabrank_postgres::postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    }
}

/// The reset must keep the statements that the driver has prepared to look up types.
fn types_of_ones_own_are_found_after_a_reset(server: Server) {
    let types = "DROP TYPE IF EXISTS cached_mood, cached_taste; \
        CREATE TYPE cached_mood AS ENUM ('sad'); CREATE TYPE cached_taste AS ENUM ('sour')";
    server.client().batch_execute(types).expect("types");
    let pool = server.pool(1);
    for sql in ["SELECT 'sad'::cached_mood", "SELECT 'sour'::cached_taste"] {
        let mut conn = pool.get().expect("a connection");
        conn.query_one(sql, &[]).expect("a row");
        conn.batch_execute("SET work_mem = '1MB'").expect("no error");
    }
    drop(pool.get().expect("a connection"));
    assert_eq!((pool.stats().resets_done, pool.stats().opened), (2, 1));
}

/// The driver identifies its statements by names in the session: if a holder gives such a name to another statement, the driver would
/// run that one.
fn what_stands_in_place_of_a_cached_statement_is_not_run(server: Server) {
    let pool = server.pool(1);
    let five = |sql: &str| -> i32 {
        let mut conn = pool.get().expect("a connection");
        let statement = conn.prepare_cached(sql).expect("a statement");
        conn.query_one(&statement, &[]).expect("a row").get(0)
    };
    assert_eq!(five("SELECT 5"), 5);
    let mut conn = pool.get().expect("a connection");
    let sql = "SELECT name FROM pg_prepared_statements WHERE statement = 'SELECT 5'";
    let name = conn.simple_query(sql).expect("rows").iter().find_map(text).expect("a name");
    let replace = format!("EXECUTE 'DEALLOCATE {name}'; EXECUTE 'PREPARE {name} AS SELECT 666';");
    conn.batch_execute(&format!("DO $$ BEGIN {replace} END $$")).expect("no error");
    drop(conn);
    assert_eq!(five("SELECT 5"), 5);
}

fn statements_that_the_server_has_forgotten_cost_the_connection_but_not_the_next_holder(server: Server) {
    for (forget, errors) in [("DEALLOCATE ALL", 0), ("DISCARD ALL", 0), ("DO $$ BEGIN DEALLOCATE ALL; END $$", 0)] {
        let pool = server.pool(1);
        let ask = || {
            let mut conn = pool.get().expect("a connection");
            let statement = conn.prepare_cached("SELECT 5").expect("a statement");
            conn.query_one(&statement, &[]).map(drop)
        };
        ask().expect("a row");
        pool.get().expect("a connection").batch_execute(forget).expect(forget);
        let failed = (0..4).filter(|_| ask().is_err()).count();
        assert_eq!((failed, pool.stats().opened), (errors, 2), "{forget}");
    }
}

/// The driver's own statements for type look-ups can be removed too.
fn types_are_found_though_a_block_of_code_took_away_the_drivers_statements(server: Server) {
    let types = "DROP TYPE IF EXISTS lost_mood, lost_taste; \
        CREATE TYPE lost_mood AS ENUM ('sad'); CREATE TYPE lost_taste AS ENUM ('sour')";
    server.client().batch_execute(types).expect("types");
    let pool = server.pool(1);
    let mut conn = pool.get().expect("a connection");
    conn.query_one("SELECT 'sad'::lost_mood", &[]).expect("a row");
    conn.batch_execute("DO $$ BEGIN DEALLOCATE ALL; END $$").expect("no error");
    drop(conn);
    pool.get().expect("a connection").query_one("SELECT 'sour'::lost_taste", &[]).expect("a row");
    assert_eq!(pool.stats().opened, 2);
}

/// Generated lists of values would fill the server's memory.
fn long_texts_are_not_kept(server: Server) {
    let pool = server.pool(1);
    let mut conn = pool.get().expect("a connection");
    let kept = |conn: &mut Connection| -> (usize, usize) {
        let sql = "SELECT count(*), coalesce(sum(length(statement)), 0) FROM pg_prepared_statements WHERE statement LIKE 'SELECT 0%'";
        let rows = conn.simple_query(sql).expect("a row");
        let number = |row: &SimpleQueryRow, column| row.get(column).expect("a number").parse().expect("a number");
        let found = rows.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some((number(row, 0), number(row, 1))),
            _ => None,
        });
        found.expect("a row")
    };
    let prepare = |conn: &mut Connection, n: usize, length: usize| {
        let sql = format!("SELECT 0, {n} WHERE 1 IN (1{})", " ".repeat(length));
        drop(conn.prepare_cached(&sql).expect("a statement"));
    };
    (0..5).for_each(|n| prepare(&mut conn, n, 40_000));
    assert_eq!(kept(&mut conn), (0, 0));
    (0..60).for_each(|n| prepare(&mut conn, n, 30_000));
    let (count, length) = kept(&mut conn);
    assert!(count >= 30 && length <= 1024 * 1024, "{count} statements of {length} bytes");
}

/// Its names may have been resolved by a search path or a temporary table that the next holder does not have.
fn what_is_prepared_in_a_soiled_session_is_not_kept(server: Server) {
    server.table("resolved", "id int, a int");
    let soils = [
        "CREATE TEMP TABLE resolved (id int, a text); INSERT INTO resolved VALUES (1, 'x')",
        "BEGIN; CREATE SCHEMA IF NOT EXISTS elsewhere; CREATE TABLE elsewhere.resolved (id int, a text); \
            INSERT INTO elsewhere.resolved VALUES (1, 'x'); SET LOCAL search_path TO elsewhere",
    ];
    for soil in soils {
        let pool = server.pool(1);
        let sql = "SELECT a FROM resolved WHERE id = $1";
        let mut conn = pool.get().expect("a connection");
        conn.batch_execute(soil).expect(soil);
        let statement = conn.prepare_cached(sql).expect("a statement");
        assert_eq!(conn.query_one(&statement, &[&1]).expect("a row").get::<_, &str>(0), "x");
        drop((statement, conn));
        let mut conn = pool.get().expect("a connection");
        let statement = conn.prepare_cached(sql).expect("a statement");
        assert!(conn.query(&statement, &[&1]).expect("no rows").is_empty(), "{soil}");
    }
}

cabrank_testing::tests! {
    on_server:
        a_cached_statement_is_prepared_once_and_survives_a_reset,
        a_cached_statement_is_used_in_transactions_and_those_nested_in_them,
        a_statement_prepared_after_set_local_is_not_kept,
        the_cache_holds_as_many_as_it_was_told,
        types_of_ones_own_are_found_after_a_reset,
        what_stands_in_place_of_a_cached_statement_is_not_run,
        types_are_found_though_a_block_of_code_took_away_the_drivers_statements,
        long_texts_are_not_kept,
        statements_that_the_server_has_forgotten_cost_the_connection_but_not_the_next_holder,
        what_is_prepared_in_a_soiled_session_is_not_kept,
}
