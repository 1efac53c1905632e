//! Prepared statements: how many a session has at the server, and what happens to stale ones.

use crate::server::{Server, on_each_server, settle};
use cabrank_mysql::cabrank::{Fault, Manager, SessionPolicy};
use cabrank_mysql::mysql::prelude::Queryable;
use cabrank_mysql::mysql::{Error, Result, Row, Value};
use cabrank_mysql::{Connection, MySqlManager, Pool};
use std::collections::HashMap;

type Turn = fn(&mut Connection, &str) -> Result<()>;

/// How often this session has asked the server to prepare a statement, and how many it has now.
fn prepared(conn: &mut Connection) -> (u64, u64) {
    let counts: HashMap<String, u64> = conn
        .query_fold("SHOW SESSION STATUS LIKE 'Com_stmt%'", HashMap::new(), |mut counts, (name, count)| {
            counts.insert(name, count);
            counts
        })
        .unwrap();
    let count = |name: &str| counts.get(name).copied().unwrap_or_default();
    // MySQL also counts those that it prepared again by itself.
    let asked = count("Com_stmt_prepare") - count("Com_stmt_reprepare");
    (asked, asked - count("Com_stmt_close"))
}

/// A statement with a text of about this many bytes.
fn text(number: u32, length: usize) -> String {
    format!("SELECT {number} + ?, '{}'", "x".repeat(length))
}

fn run(conn: &mut Connection, text: &str) {
    conn.exec_drop(text, (1,)).unwrap();
}

fn pool_keeping(server: &Server, capacity: usize) -> Pool {
    server.builder(1).build(MySqlManager::new(server.opts().stmt_cache_size(capacity))).expect("a pool")
}

/// A text beyond 16 KiB costs a reset, which drops all statements. So this tests one loan, and sessions that are never reset.
fn long_texts_are_not_kept(server: &Server) {
    let never = server.builder(1).session_policy(SessionPolicy::Never).build(server.manager()).unwrap();
    for pool in [server.pool(1), never] {
        let mut conn = pool.get().unwrap();
        (0..10).for_each(|number| run(&mut conn, &text(number, 40 * 1024)));
        run(&mut conn, "SELECT ?");
        run(&mut conn, &text(10, 40 * 1024));
        assert_eq!(prepared(&mut conn), (12, 1));
        drop(conn);
        settle(&pool);
        run(&mut pool.get().unwrap(), &text(11, 40 * 1024));
        settle(&pool);
        assert!(prepared(&mut pool.get().unwrap()).1 <= 1);
        assert_eq!(pool.stats().opened, 1);
    }
}

fn texts_are_kept_up_to_a_mebibyte_together(server: &Server) {
    let pool = pool_keeping(server, 1_000);
    let texts: Vec<_> = (0..100).map(|number| text(number, 15_000)).collect();
    texts.iter().for_each(|text| run(&mut pool.get().unwrap(), text));
    let mut conn = pool.get().unwrap();
    let (opened, now) = prepared(&mut conn);
    assert!((65..=70).contains(&now), "{now} of 15,000 bytes each");
    texts[40..].iter().for_each(|text| run(&mut conn, text));
    assert_eq!(prepared(&mut conn).0, opened, "those that were used last are kept");
    run(&mut conn, &texts[0]);
    assert_eq!(prepared(&mut conn).0, opened + 1);
    assert_eq!(pool.stats().resets_done, 0, "closing them costs no reset");
}

/// Without the adapter the driver leaves each at the server.
fn without_a_cache_none_is_left_at_the_server(server: &Server) {
    let pool = pool_keeping(server, 0);
    for number in 0..20 {
        run(&mut pool.get().unwrap(), &text(number, 10));
        run(&mut pool.get().unwrap(), "SELECT ?");
        drop(pool.get().unwrap().prep("SELECT 1 + ?").unwrap());
        settle(&pool);
    }
    let mut conn = pool.get().unwrap();
    run(&mut conn, "SELECT ?");
    assert_eq!(prepared(&mut conn).1, 0);
}

fn a_statement_in_the_holders_hands_is_not_closed(server: &Server) {
    for capacity in [0, 32] {
        let pool = pool_keeping(server, capacity);
        let mut conn = pool.get().unwrap();
        let texts: Vec<_> = (0..3).map(|number| text(number, 700_000)).collect();
        let statements: Vec<_> = texts.iter().map(|text| conn.prep(text).unwrap()).collect();
        for _ in 0..2 {
            run(&mut conn, &text(7, 40 * 1024));
            run(&mut conn, &texts[0]);
            statements.iter().for_each(|statement| conn.exec_drop(statement, (1,)).unwrap());
        }
        conn.exec_batch(text(8, 40 * 1024), (0..5).map(|number| (number,))).unwrap();
        drop(conn);
        settle(&pool);
        run(&mut pool.get().unwrap(), "SELECT ?");
        settle(&pool);
        assert!(prepared(&mut pool.get().unwrap()).1 <= 1, "in the next loan nobody has them");
    }
}

fn closing_one_leaves_what_it_answered(server: &Server) {
    let pool = server.pool(1);
    let mut conn = pool.get().unwrap();
    let long = "x".repeat(40 * 1024);
    conn.exec_drop(format!("SELECT CONCAT('a', ?) + 0, '{long}'"), (3,)).unwrap();
    assert_eq!(conn.warnings(), 1);
    let shown: Vec<(String, u16, String)> = conn.query("SHOW WARNINGS").unwrap();
    assert_eq!(shown.iter().map(|(_, code, _)| *code).collect::<Vec<_>>(), [1292]);
    conn.exec_drop(format!("UPDATE account SET money = 7 WHERE id <= ? AND '{long}' <> ''"), (3,)).unwrap();
    assert_eq!((conn.affected_rows(), conn.query_first("SELECT ROW_COUNT()").unwrap()), (3, Some(3)));
}

/// A statement that the server calls stale as long as a table says so.
fn stale(server: &Server, code: u16) -> String {
    let name = format!("{}.stale_{code}", server.database);
    server.run(format!(
        "CREATE FUNCTION {name}() RETURNS INT DETERMINISTIC BEGIN \
         IF (SELECT money FROM {}.account WHERE id = 50) = 1 THEN \
             SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = {code}; \
         END IF; RETURN 7; END",
        server.database
    ));
    format!("SELECT {name}() + ?")
}

fn set_stale(server: &Server, stale: bool) {
    server.run(format!("UPDATE {}.account SET money = {} WHERE id = 50", server.database, u8::from(stale)));
}

fn code(error: &Error) -> u16 {
    let Error::MySqlError(error) = error else { panic!("{error}") };
    error.code
}

fn a_stale_statement_fails_once_and_all_connections_prepare_anew(server: &Server) {
    for number in [1615, 1243] {
        let (pool, stale) = (server.pool(2), stale(server, number));
        let [mut one, mut other] = [(); 2].map(|()| pool.get().unwrap());
        run(&mut one, &stale);
        for conn in [&mut one, &mut other] {
            run(conn, "SELECT ?");
        }
        let before = [&mut one, &mut other].map(|conn| prepared(conn).0);

        set_stale(server, true);
        let error = one.exec_drop(&stale, (1,)).unwrap_err();
        set_stale(server, false);
        assert_eq!((code(&error), server.manager().fault(&error)), (number, Fault::Retry));

        run(&mut one, &stale);
        for conn in [&mut one, &mut other] {
            run(conn, "SELECT ?");
            run(conn, "SELECT ?");
        }
        let after = [&mut one, &mut other].map(|conn| prepared(conn).0);
        assert_eq!([after[0] - before[0], after[1] - before[1]], [2, 1], "{number}: each once");
    }
}

fn a_transaction_that_meets_a_stale_statement_runs_anew(server: &Server) {
    let (pool, stale) = (server.pool(1), stale(server, 1615));
    let mut runs = 0;
    let answer = pool.transaction().retries(3).run(|tx| -> Result<Option<u32>> {
        runs += 1;
        set_stale(server, runs == 1);
        tx.exec_first(&stale, (1,))
    });
    assert_eq!((answer.unwrap(), runs), (Some(8), 2));
}

/// A handle stays valid while other connections prepare theirs again.
fn a_statement_in_the_holders_hands_outlives_those_of_others(server: &Server) {
    let (pool, stale) = (server.pool(2), stale(server, 1615));
    let [mut one, mut other] = [(); 2].map(|()| pool.get().unwrap());
    let kept = one.prep("SELECT ?").unwrap();
    set_stale(server, true);
    other.exec_drop(&stale, (1,)).unwrap_err();
    set_stale(server, false);
    run(&mut one, "SELECT ?");
    one.exec_drop(&kept, (1,)).expect("it was not closed");
}

/// The numbers are the same on both.
fn a_statement_of_another_connection_is_refused(server: &Server) {
    let pool = server.pool(2);
    let [mut one, mut other] = [(); 2].map(|()| pool.get().unwrap());
    let kept = one.prep("UPDATE account SET money = 1 WHERE id = ?").unwrap();
    other.prep("DELETE FROM account WHERE id = ?").unwrap();
    for error in [
        other.exec_drop(&kept, (1,)).unwrap_err(),
        other.exec_batch(&kept, [(1,), (2,)]).unwrap_err(),
        other.exec_iter(&kept, (1,)).map(drop).unwrap_err(),
        other.close(kept.clone()).unwrap_err(),
    ] {
        assert!(error.to_string().contains("another connection"), "{error}");
    }
    assert_eq!(server.ask(format!("SELECT COUNT(*), SUM(money) FROM {}.account", server.database)), Some((50, 0)));
    one.exec_drop(&kept, (1,)).unwrap();
    other.exec_drop("DELETE FROM account WHERE id = ?", (1,)).expect("it is well");
}

/// A second database with a table of the same name, as with one database for each tenant.
struct Other<'s>(&'s Server, String);

impl<'s> Other<'s> {
    fn new(server: &'s Server) -> Self {
        let name = format!("{}_other", server.database);
        server.run(format!("CREATE DATABASE {name}"));
        server.run(format!("CREATE TABLE {name}.account AS SELECT 1 id, 7 money"));
        Self(server, name)
    }
}

impl Drop for Other<'_> {
    fn drop(&mut self) {
        self.0.try_run(format!("DROP DATABASE {}", self.1));
    }
}

/// The server keeps the database and the SQL mode in which a statement was prepared, and the driver finds it by its text alone.
fn a_text_means_what_it_would_mean_in_a_new_session(server: &Server) {
    let other = Other::new(server);
    let (money, quoted) =
        ("SELECT CONCAT(money) FROM account WHERE id = ?", "SELECT CONCAT(MAX(\"money\")) FROM account WHERE id = ?");
    let ask = |conn: &mut Connection, text: &str| conn.exec_first::<String, _, _>(text, (1,)).unwrap().unwrap();
    let turns: [(&str, &str, Turn); 6] = [
        ("select_db", money, |conn, other| conn.select_db(other)),
        ("USE", money, |conn, other| conn.query_drop(format!("USE {other}"))),
        ("several texts", money, |conn, other| conn.query_drop(format!("SELECT 1; USE {other}"))),
        ("raw()", money, |conn, other| conn.raw().select_db(other)),
        ("SET sql_mode", quoted, |conn, _| conn.query_drop("SET sql_mode = 'ANSI_QUOTES'")),
        ("SET sql_mode, prepared", quoted, |conn, _| conn.exec_drop("SET SESSION sql_mode = ?", ("ANSI_QUOTES",))),
    ];
    for (how, text, turn) in turns {
        let pool = server.pool(1);
        let before = ask(&mut pool.get().unwrap(), text);
        settle(&pool);
        assert_eq!(pool.stats().resets_done, 0, "it stays prepared");
        let (mut conn, mut fresh) = (pool.get().unwrap(), server.manager().open().unwrap());
        let kept = conn.prep("SELECT ?").unwrap();
        turn(&mut conn, &other.1).expect(how);
        turn(&mut fresh, &other.1).expect(how);
        let expected = ask(&mut fresh, text);
        assert_ne!(before, expected, "{how}");
        assert_eq!(ask(&mut conn, text), expected, "{how}");
        conn.exec_drop(&kept, (1,)).expect("what the holder has is not closed");
    }
}

/// The server itself prepares statements again after a migration; its answer must not be read with the old columns.
fn what_was_prepared_before_a_migration_answers_by_the_new_columns(server: &Server) {
    fn answer(conn: &mut Connection) -> Vec<(String, Value)> {
        let row: Row = conn.exec_first("SELECT * FROM account WHERE id = ?", (1,)).unwrap().expect("an account");
        let names = row.columns_ref().iter().map(|column| column.name_str().into_owned()).collect::<Vec<_>>();
        names.into_iter().zip(row.unwrap()).collect()
    }
    let named = |expected: &[(&str, Value)]| -> Vec<(String, Value)> {
        expected.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
    };
    let (id, note) = (("id", Value::Int(1)), ("note", Value::Int(5)));
    let migrations: [(&[&str], Vec<(String, Value)>); 3] = [
        (
            &["ALTER TABLE {t} ADD COLUMN note INT DEFAULT 5"],
            named(&[id.clone(), ("money", Value::Int(0)), note.clone()]),
        ),
        (
            &["ALTER TABLE {t} MODIFY COLUMN money VARCHAR(40) NOT NULL"],
            named(&[id.clone(), ("money", Value::Bytes(b"0".to_vec())), note]),
        ),
        (
            &[
                "DROP TABLE {t}",
                "CREATE TABLE {t} (name VARCHAR(9), id INT PRIMARY KEY)",
                "INSERT INTO {t} VALUES ('one', 1)",
            ],
            named(&[("name", Value::Bytes(b"one".to_vec())), id]),
        ),
    ];
    let pool = server.pool(1);
    answer(&mut pool.get().unwrap());
    for (migration, expected) in migrations {
        for sql in migration {
            server.run(sql.replace("{t}", &format!("{}.account", server.database)));
        }
        // Between two loans, and within one.
        let mut conn = pool.get().unwrap();
        assert_eq!([(); 2].map(|()| answer(&mut conn)), [expected.clone(), expected], "{migration:?}");
        assert!(!conn.is_broken());
    }
    settle(&pool);
    assert_eq!((pool.stats().opened, pool.stats().resets_done), (1, 0), "all by what was prepared once");
}

cabrank_testing::tests! {
    on_each_server:
        long_texts_are_not_kept,
        texts_are_kept_up_to_a_mebibyte_together,
        without_a_cache_none_is_left_at_the_server,
        a_statement_in_the_holders_hands_is_not_closed,
        closing_one_leaves_what_it_answered,
        a_stale_statement_fails_once_and_all_connections_prepare_anew,
        a_transaction_that_meets_a_stale_statement_runs_anew,
        a_statement_in_the_holders_hands_outlives_those_of_others,
        a_statement_of_another_connection_is_refused,
        a_text_means_what_it_would_mean_in_a_new_session,
        what_was_prepared_before_a_migration_answers_by_the_new_columns,
}
