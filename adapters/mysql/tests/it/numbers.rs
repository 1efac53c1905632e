//! The number that an AUTO_INCREMENT column gave a row belongs to its holder: it costs no reset, and no later holder can query it.

use crate::server::{Server, on_each_server, settle};
use cabrank_mysql::cabrank::SessionPolicy;
use cabrank_mysql::mysql::TxOpts;
use cabrank_mysql::mysql::prelude::Queryable;
use cabrank_mysql::{Connection, MySqlManager, Pool, PooledConnection};
use std::time::Duration;

type Look = fn(&mut Connection) -> Option<u64>;

/// A table whose column counts from 4711.
fn with_table(server: &Server) {
    let database = &server.database;
    server.run(format!(
        "CREATE TABLE {database}.numbered (id INT AUTO_INCREMENT PRIMARY KEY, x INT) AUTO_INCREMENT = 4711"
    ));
}

fn insert(pool: &Pool) -> u64 {
    let mut conn = pool.get().unwrap();
    conn.exec_drop("INSERT INTO numbered (x) VALUES (?)", (7,)).unwrap();
    assert!(conn.last_insert_id() >= 4711);
    conn.last_insert_id()
}

/// Each way to query the number, as the first command of a loan.
fn looks_find_nothing(server: &Server, looks: &[(&str, Look)]) {
    with_table(server);
    let pool = server.pool(1);
    for (way, look) in looks {
        insert(&pool);
        assert_eq!(pool.stats().resetting, 0, "{way}: the number costs no reset");
        assert_eq!(look(&mut pool.get().unwrap()).unwrap_or(0), 0, "{way}");
        settle(&pool);
    }
    assert_eq!(pool.stats().opened, 1);
}

fn no_text_finds_the_number_of_an_earlier_holder(server: &Server) {
    let database = &server.database;
    server.run(format!(
        "CREATE FUNCTION {database}.last_number() RETURNS BIGINT NOT DETERMINISTIC RETURN LAST_INSERT_ID()"
    ));
    server.run(format!("CREATE PROCEDURE {database}.last_row() SELECT LAST_INSERT_ID()"));
    looks_find_nothing(
        server,
        &[
            ("a text", |conn| conn.query_first("SELECT LAST_INSERT_ID()").unwrap()),
            ("a statement", |conn| conn.exec_first("SELECT LAST_INSERT_ID()", ()).unwrap()),
            ("a statement, prepared long ago", |conn| conn.exec_first("SELECT LAST_INSERT_ID()", ()).unwrap()),
            ("the driver's rows", |conn| {
                conn.query_iter("SELECT LAST_INSERT_ID()").unwrap().next().map(|row| row.unwrap().get(0).unwrap())
            }),
            ("several texts", |conn| conn.query_first("SELECT LAST_INSERT_ID(); SELECT 1").unwrap()),
            ("a variable", |conn| conn.query_first("SELECT @@identity").unwrap()),
            ("another variable", |conn| conn.query_first("SELECT @@SESSION.last_insert_id").unwrap()),
            ("a list of variables", |conn| {
                conn.query_first("SHOW VARIABLES LIKE 'last_insert_id'").unwrap().map(second)
            }),
            ("a stored function", |conn| conn.query_first("SELECT last_number()").unwrap()),
            ("a procedure", |conn| conn.query_first("CALL last_row()").unwrap()),
            ("a comment that is executed", |conn| conn.query_first("SELECT /*!50000 LAST_INSERT_ID() */").unwrap()),
            ("a text that is prepared by text", |conn| {
                conn.query_drop("PREPARE a FROM 'SELECT LAST_INSERT_ID()'").unwrap();
                conn.query_first("EXECUTE a").unwrap()
            }),
            ("a transaction", |conn| {
                let mut tx = conn.start_transaction(TxOpts::default()).unwrap();
                tx.query_first("SELECT LAST_INSERT_ID()").unwrap()
            }),
            ("the driver's connection", |conn| conn.raw().query_first("SELECT LAST_INSERT_ID()").unwrap()),
            ("the driver's memory", |conn| Some(conn.raw().last_insert_id())),
            ("the last answer", |conn| Some(conn.last_insert_id() + conn.affected_rows() + u64::from(conn.warnings()))),
            ("the last answer, after a ping", |conn| {
                conn.ping().unwrap();
                Some(conn.last_insert_id())
            }),
        ],
    );
}

/// Texts that are harmless by themselves, on tables that read the number.
fn nor_does_what_stands_behind_a_table(server: &Server) {
    let database = &server.database;
    server.run(format!("CREATE VIEW {database}.seen AS SELECT LAST_INSERT_ID() AS id"));
    server.run(format!("CREATE TABLE {database}.noted (id BIGINT)"));
    server.run(format!("CREATE TABLE {database}.watched (x INT)"));
    for (name, when) in [("before_it", "BEFORE"), ("after_it", "AFTER")] {
        server.run(format!(
            "CREATE TRIGGER {database}.{name} {when} INSERT ON {database}.watched FOR EACH ROW \
             INSERT INTO {database}.noted VALUES (LAST_INSERT_ID())"
        ));
    }
    // MySQL refuses both.
    let defaults =
        server.try_run(format!("CREATE TABLE {database}.by_default (x INT, id BIGINT DEFAULT (LAST_INSERT_ID()))"));
    let computes =
        server.try_run(format!("CREATE TABLE {database}.computed (x INT, id BIGINT AS (LAST_INSERT_ID()) VIRTUAL)"));
    let mut looks: Vec<(&str, Look)> = vec![
        ("a view", |conn| conn.query_first("SELECT id FROM seen").unwrap()),
        ("triggers", |conn| {
            conn.query_drop("INSERT INTO watched VALUES (1)").unwrap();
            conn.query_first("SELECT max(id) FROM noted").unwrap()
        }),
        ("triggers, by a statement", |conn| {
            conn.exec_drop("INSERT INTO watched VALUES (?)", (1,)).unwrap();
            conn.query_first("SELECT max(id) FROM noted").unwrap()
        }),
    ];
    if defaults {
        looks.push(("a default", |conn| {
            conn.query_drop("INSERT INTO by_default (x) VALUES (1)").unwrap();
            conn.query_first("SELECT max(id) FROM by_default").unwrap()
        }));
    }
    if computes {
        looks.push(("a column that is computed", |conn| {
            conn.query_drop("INSERT INTO computed (x) VALUES (1)").unwrap();
            conn.query_first("SELECT max(id) FROM computed").unwrap()
        }));
    }
    looks_find_nothing(server, &looks);
}

/// With `sql_auto_is_null`, an `IS NULL` condition finds the row of the last number.
fn nor_does_a_column_that_is_null(server: &Server) {
    with_table(server);
    let opts = server.opts().init(vec!["SET sql_auto_is_null = 1"]);
    let pool = server.builder(1).build(MySqlManager::new(opts)).unwrap();
    insert(&pool);
    assert_eq!(pool.get().unwrap().query_first::<u64, _>("SELECT id FROM numbered WHERE id IS NULL").unwrap(), None);
    assert_eq!(pool.stats().resets_done, 0);
}

fn nor_does_one_after_a_check(server: &Server) {
    with_table(server);
    let pool = server.builder(1).check_after(Duration::ZERO).build(server.manager()).unwrap();
    insert(&pool);
    let mut conn = pool.get().unwrap();
    assert_eq!(conn.last_insert_id(), 0);
    assert_eq!(conn.query_first("SELECT LAST_INSERT_ID()").unwrap(), Some(0));
}

fn nor_does_one_who_takes_the_connection_out_of_the_pool(server: &Server) {
    with_table(server);
    let pool = server.pool(1);
    insert(&pool);
    let mut conn = PooledConnection::detach(pool.get().unwrap()).into_raw();
    assert_eq!(conn.last_insert_id(), 0);
    assert_eq!(conn.query_first("SELECT LAST_INSERT_ID()").unwrap(), Some(0));
}

fn a_holder_keeps_the_number_to_the_end_of_the_loan(server: &Server) {
    with_table(server);
    let pool = server.pool(1);
    for _ in 0..3 {
        let mut conn = pool.get().unwrap();
        conn.query_drop("INSERT INTO numbered (x) VALUES (7)").unwrap();
        let number = conn.last_insert_id();
        assert!(number >= 4711);
        assert_eq!(conn.query_first("SELECT money FROM account WHERE id = 1").unwrap(), Some(0));
        conn.ping().unwrap();
        conn.start_transaction(TxOpts::default()).unwrap().commit().unwrap();
        conn.exec_drop("UPDATE account SET money = ? WHERE id = 1", (0,)).unwrap();
        assert_eq!(conn.query_first("SELECT LAST_INSERT_ID()").unwrap(), Some(number));
        drop(conn);
        settle(&pool);
        insert(&pool);
    }
}

fn statements_stay_prepared_from_one_insert_to_the_next(server: &Server) {
    with_table(server);
    let pool = server.pool(1);
    let prepared = |conn: &mut Connection| {
        conn.query_first::<(String, u64), _>("SHOW SESSION STATUS LIKE 'Com_stmt_prepare'").unwrap().unwrap().1
    };
    let before = prepared(&mut pool.get().unwrap());
    settle(&pool);
    for _ in 0..10 {
        insert(&pool);
    }
    assert_eq!(prepared(&mut pool.get().unwrap()), before + 1);
}

/// Without resets nothing is cleared.
fn without_a_policy_the_number_stays(server: &Server) {
    with_table(server);
    let pool = server.builder(1).session_policy(SessionPolicy::Never).build(server.manager()).unwrap();
    let number = insert(&pool);
    assert_eq!(pool.get().unwrap().query_first("SELECT LAST_INSERT_ID()").unwrap(), Some(number));
}

fn second((_, value): (String, u64)) -> u64 {
    value
}

cabrank_testing::tests! {
    on_each_server:
        no_text_finds_the_number_of_an_earlier_holder,
        nor_does_what_stands_behind_a_table,
        nor_does_a_column_that_is_null,
        nor_does_one_after_a_check,
        nor_does_one_who_takes_the_connection_out_of_the_pool,
        a_holder_keeps_the_number_to_the_end_of_the_loan,
        statements_stay_prepared_from_one_insert_to_the_next,
        without_a_policy_the_number_stays,
}
