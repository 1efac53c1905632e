//! A transaction that `on_open` or `init` leaves open without a text that shows it.

use crate::server::{PATIENCE, Server, on_each_server};
use cabrank_mysql::cabrank::{BuildError, Cause, SessionPolicy, SetUp, TransactionError};
use cabrank_mysql::mysql::prelude::Queryable;
use cabrank_mysql::mysql::{Result, TxOpts};
use cabrank_mysql::{Connection, MySqlManager};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Leaves a transaction open in a way that no single text shows.
type Road = (&'static str, fn(&mut Connection) -> Result<()>);

const ROADS: [Road; 12] = [
    ("among other statements", |conn| conn.query_drop("SET @a = 1; BEGIN")),
    ("before other statements", |conn| conn.query_drop("BEGIN; SET @a = 1")),
    ("with a comment to the end of the line", |conn| conn.query_drop("BEGIN -- work")),
    ("with a comment of another kind", |conn| conn.query_drop("BEGIN # work")),
    ("in a comment for the server", |conn| conn.query_drop("/*!50000 BEGIN */")),
    ("by a procedure", |conn| conn.query_drop("CALL begins()")),
    ("by the driver's connection", |conn| conn.raw().query_drop("BEGIN")),
    ("by a chain", |conn| conn.query_drop("BEGIN; COMMIT AND CHAIN")),
    ("by the completion type", |conn| {
        conn.query_drop("SET completion_type = 'CHAIN'")?;
        conn.query_drop("BEGIN")?;
        conn.query_drop("COMMIT")
    }),
    ("by a write with autocommit off", |conn| {
        conn.query_drop("SET autocommit = 0")?;
        conn.query_drop("UPDATE account SET money = money WHERE id = 1")
    }),
    ("by a read with autocommit off", |conn| conn.query_drop("SET autocommit = 0; SELECT money FROM account")),
    ("by this crate's transaction", |conn| {
        std::mem::forget(conn.start_transaction(TxOpts::default())?);
        Ok(())
    }),
];

fn refused_by_the_set_up(server: &Server, name: &str, road: fn(&mut Connection) -> Result<()>) {
    for policy in [SessionPolicy::Tracked, SessionPolicy::Always, SessionPolicy::Never] {
        let opened = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&opened);
        let hook = move |conn: &mut Connection, _: &SetUp<'_>| {
            counted.fetch_add(1, Ordering::Relaxed);
            road(conn)
        };
        let outcome = server.builder(1).session_policy(policy).on_open(hook).build(server.manager());
        assert!(matches!(outcome, Err(BuildError::Connect(Cause::InTransaction))), "{name}, {policy:?}: {outcome:?}");
        assert_eq!(opened.load(Ordering::Relaxed), 1, "{name}, {policy:?}");
    }
}

fn a_transaction_that_no_text_shows_is_refused_all_the_same(server: &Server) {
    server.run(format!("CREATE PROCEDURE {}.begins() START TRANSACTION", server.database));
    for (name, road) in ROADS {
        refused_by_the_set_up(server, name, road);
    }
    // MySQL cannot prepare BEGIN.
    if server.ask::<String>("SELECT VERSION()").is_some_and(|version| version.contains("MariaDB")) {
        refused_by_the_set_up(server, "by a prepared statement", |conn| conn.exec_drop("BEGIN", ()));
    }
    for init in ["SET @a = 1; BEGIN", "BEGIN -- work", "/*!50000 BEGIN */", "CALL begins()"] {
        let outcome = server.builder(1).build(MySqlManager::new(server.opts().init(vec![init])));
        assert!(matches!(outcome, Err(BuildError::Connect(Cause::InTransaction))), "{init}: {outcome:?}");
    }
    let writes = vec!["SET autocommit = 0", "UPDATE account SET money = money WHERE id = 1"];
    let outcome = server.builder(1).build(MySqlManager::new(server.opts().init(writes)));
    assert!(matches!(outcome, Err(BuildError::Connect(Cause::InTransaction))), "{outcome:?}");
}

/// START TRANSACTION would commit the earlier holder's changes.
fn a_transaction_that_an_earlier_holder_left_unseen_is_not_committed(server: &Server) {
    server.run(format!("CREATE PROCEDURE {}.begins() START TRANSACTION", server.database));
    let prepared: Road = ("by a statement prepared by text", |conn| {
        conn.query_drop("PREPARE work FROM 'CALL begins()'")?;
        conn.query_drop("EXECUTE work")
    });
    for (name, road) in ROADS.into_iter().chain([prepared]) {
        let pool = server.builder(1).session_policy(SessionPolicy::Never).build(server.manager()).unwrap();
        let mut conn = pool.get().unwrap();
        road(&mut conn).unwrap();
        let update = conn.query_drop("UPDATE account SET money = 9 WHERE id = 3");
        update.unwrap_or_else(|error| panic!("{name}: {error}"));
        drop(conn);
        let outcome = pool.transaction().run(|tx| tx.query_drop("UPDATE account SET money = 1 WHERE id = 4"));
        assert!(matches!(outcome, Err(TransactionError::InTransaction)), "{name}: {outcome:?}");
        assert_eq!((server.money(3), server.money(4)), (0, 0), "{name}");
        // That connection is closed, and the next one is sound.
        pool.transaction().run(|tx| tx.query_drop("DO 1")).unwrap_or_else(|error| panic!("{name}: {error:?}"));
        pool.close_within(PATIENCE);
    }
}

/// An open transaction is refused, and otherwise the cost is one query.
fn where_no_transaction_is_open_one_begins_after_any_text(server: &Server) {
    server.run(format!("CREATE PROCEDURE {}.ends() BEGIN START TRANSACTION; COMMIT; END", server.database));
    let pool = server.builder(1).session_policy(SessionPolicy::Never).build(server.manager()).unwrap();
    pool.get().unwrap().query_drop("CALL ends()").unwrap();
    pool.transaction().run(|tx| tx.query_drop("UPDATE account SET money = 1 WHERE id = 4")).unwrap();
    let mut conn = pool.get().unwrap();
    conn.query_drop("SET autocommit = 0").unwrap();
    let transaction = conn.start_transaction(TxOpts::default()).unwrap();
    transaction.commit().unwrap();
    assert_eq!((server.money(4), pool.stats().opened), (1, 1));
}

/// The query leaves the session unchanged, and a session without an open transaction is lent.
fn a_set_up_that_ends_what_it_begins_is_sound_however_it_is_written(server: &Server) {
    server.run(format!("CREATE PROCEDURE {}.ends() BEGIN START TRANSACTION; COMMIT; END", server.database));
    for set_up in [
        "SET @a = 1; BEGIN; COMMIT",
        "CALL ends()",
        "SET autocommit = 0",
        "SET autocommit = 0; UPDATE account SET money = money WHERE id = 1; COMMIT",
        "SET SESSION TRANSACTION READ ONLY; DO 1",
        "SET NAMES utf8mb4",
    ] {
        let hook = move |conn: &mut Connection, _: &SetUp<'_>| conn.query_drop(set_up);
        let by_hook = server.builder(1).on_open(hook).build(server.manager());
        let by_init = server.builder(1).build(MySqlManager::new(server.opts().init(vec![set_up])));
        for pool in [by_hook, by_init] {
            let pool = pool.unwrap_or_else(|error| panic!("{set_up}: {error:?}"));
            for _ in 0..2 {
                let mut conn = pool.get().unwrap();
                conn.query_drop("SET SESSION TRANSACTION READ WRITE; SET autocommit = 1").unwrap();
                conn.query_drop("UPDATE account SET money = money + 1 WHERE id = 2").expect("the holder's own setting");
            }
            assert_eq!(pool.stats().opened, 1, "{set_up}");
        }
    }
    assert_eq!(server.money(2), 24);
}

cabrank_testing::tests! {
    on_each_server:
        a_transaction_that_no_text_shows_is_refused_all_the_same,
        a_transaction_that_an_earlier_holder_left_unseen_is_not_committed,
        where_no_transaction_is_open_one_begins_after_any_text,
        a_set_up_that_ends_what_it_begins_is_sound_however_it_is_written,
}
