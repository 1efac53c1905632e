//! A reset is skipped only if the session is known to need none.

use crate::server::{Server, on_each_server, settle};
use cabrank_mysql::cabrank::SessionPolicy;
use cabrank_mysql::mysql;
use cabrank_mysql::mysql::prelude::Queryable;
use cabrank_mysql::mysql::{TxOpts, params};
use cabrank_mysql::{Connection, MySqlManager};

type Work = fn(&mut Connection);

/// Lends a pool's only connection to each of these works, and returns the number of resets that each has cost.
fn resets(server: &Server, works: &[(&str, Work)]) -> Vec<u64> {
    let pool = server.pool(1);
    let cost = |work: Work| {
        let before = pool.stats().resets_done;
        work(&mut pool.get().unwrap());
        settle(&pool);
        pool.stats().resets_done - before
    };
    let costs = works.iter().map(|(_, work)| cost(*work)).collect();
    assert_eq!(pool.stats().opened, 1, "no work costs the connection: {:?}", pool.stats().closed);
    costs
}

fn plain_work_costs_no_reset(server: &Server) {
    server.run(format!("CREATE TABLE {}.numbered (id INT AUTO_INCREMENT PRIMARY KEY, x INT)", server.database));
    let works: &[(&str, Work)] = &[
        ("nothing", |_| {}),
        ("a query", |conn| assert_eq!(conn.query_first("SELECT money FROM account WHERE id = 1").unwrap(), Some(0))),
        ("writing", |conn| conn.query_drop("UPDATE account SET money = money + 0 WHERE id = 2").unwrap()),
        ("inserting and deleting", |conn| {
            conn.exec_drop("INSERT INTO account (id, money) VALUES (?, ?)", (1000, 7)).unwrap();
            conn.exec_drop("DELETE FROM account WHERE id = :id", params! { "id" => 1000 }).unwrap();
        }),
        ("a row that is given a number", |conn| conn.query_drop("INSERT INTO numbered (x) VALUES (7)").unwrap()),
        ("the same by a statement", |conn| conn.exec_drop("INSERT INTO numbered (x) VALUES (?)", (7,)).unwrap()),
        ("a statement", |conn| {
            let statement = conn.prep("SELECT count(*) FROM account WHERE id <= ?").unwrap();
            assert_eq!(conn.exec_first(&statement, (3,)).unwrap(), Some(3));
            assert_eq!(conn.exec_first(&statement, (4,)).unwrap(), Some(4));
        }),
        ("a transaction", |conn| {
            let mut transaction = conn.start_transaction(TxOpts::default()).unwrap();
            transaction.query_drop("UPDATE account SET money = 1 WHERE id = 3").unwrap();
            transaction.rollback().unwrap();
        }),
        ("a transaction that is dropped", |conn| drop(conn.start_transaction(TxOpts::default()).unwrap())),
    ];
    for ((work, _), cost) in works.iter().zip(resets(server, works)) {
        assert_eq!(cost, 0, "{work}");
    }
}

/// Each leaves something behind, by a different call.
fn whatever_could_leave_something_costs_a_reset(server: &Server) {
    server.run(format!("CREATE TABLE {}.numbered (id INT AUTO_INCREMENT PRIMARY KEY, x INT)", server.database));
    server.run(format!(
        "CREATE FUNCTION {}.soil() RETURNS INT DETERMINISTIC BEGIN SET @left_over = 7; RETURN 1; END",
        server.database
    ));
    let works: &[(&str, Work)] = &[
        ("a text", |conn| conn.query_drop("SET @left_over = 7").unwrap()),
        ("a query with rows", |conn| assert_eq!(conn.query_first("SELECT @left_over := 7").unwrap(), Some(7))),
        ("an execution", |conn| conn.exec_drop("SET @left_over = ?", (7,)).unwrap()),
        ("the same again, prepared long ago", |conn| conn.exec_drop("SET @left_over = ?", (7,)).unwrap()),
        ("a batch", |conn| conn.exec_batch("INSERT INTO numbered (x) VALUES (@left_over := ?)", [(1,), (2,)]).unwrap()),
        ("a statement of one's own", |conn| {
            let statement = conn.prep("SET @left_over = 7").unwrap();
            conn.exec_drop(&statement, ()).unwrap();
        }),
        ("rows in the holder's hands", |conn| drop(conn.query_iter("SELECT 1").unwrap())),
        ("the driver in the holder's hands", |conn| conn.raw().query_drop("SET @left_over = 7").unwrap()),
        ("a stored function", |conn| assert_eq!(conn.query_first("SELECT soil()").unwrap(), Some(1))),
        ("another database", |conn| conn.select_db("information_schema").unwrap()),
        ("a transaction by text", |conn| conn.query_drop("BEGIN").unwrap()),
        ("a transaction that is forgotten", |conn| {
            std::mem::forget(conn.start_transaction(TxOpts::default()).unwrap());
        }),
        ("within a transaction", |conn| {
            let mut transaction = conn.start_transaction(TxOpts::default()).unwrap();
            transaction.query_drop("SET @left_over = 7").unwrap();
            transaction.commit().unwrap();
        }),
        ("an error of the server", |conn| {
            conn.query_drop("INSERT INTO account VALUES (1, 0)").unwrap_err();
        }),
        ("a number of one's own", |conn| conn.query_drop("SELECT LAST_INSERT_ID(7)").unwrap()),
    ];
    for ((work, _), cost) in works.iter().zip(resets(server, works)) {
        assert_eq!(cost, 1, "{work}");
    }
}

/// If statements do not commit by themselves, a read opens a transaction, whether a holder or the set-up turned autocommit off.
fn without_autocommit_every_loan_is_reset(server: &Server) {
    for set_up in ["SET autocommit = 0", "SET completion_type = 'CHAIN'", "SET NAMES gbk"] {
        let by_init = server.builder(1).build(MySqlManager::new(server.opts().init(vec![set_up])));
        let by_on_open = server.builder(1).on_open(move |conn, _| conn.query_drop(set_up)).build(server.manager());
        for pool in [by_init.unwrap(), by_on_open.unwrap()] {
            for loans in 1..=3 {
                assert_eq!(pool.get().unwrap().query_first("SELECT 7").unwrap(), Some(7));
                settle(&pool);
                assert_eq!(pool.stats().resets_done, loans, "{set_up}");
            }
        }
    }
}

/// No text shows the effects of a procedure.
fn what_a_procedure_sets_up_costs_a_reset_each_time(server: &Server) {
    server.run(format!("CREATE PROCEDURE {}.sets_up() SET autocommit = 0", server.database));
    let by_init = server.builder(1).build(MySqlManager::new(server.opts().init(vec!["CALL sets_up()"])));
    let by_on_open = server.builder(1).on_open(|conn, _| conn.query_drop("CALL sets_up()")).build(server.manager());
    for pool in [by_init.unwrap(), by_on_open.unwrap()] {
        for loans in 1..=3 {
            pool.get().unwrap().query_drop("UPDATE account SET money = 7 WHERE id = 1").unwrap();
            settle(&pool);
            assert_eq!(pool.stats().resets_done, loans);
        }
        assert_eq!(server.money(1), 0, "rolled back, and not left to the next holder");
    }
}

fn a_resource_group_costs_the_connection(server: &Server) {
    let group = server.database.trim_start_matches("cabrank_");
    if !server.try_run(format!("CREATE RESOURCE GROUP {group} TYPE = USER")) {
        server.lacks("resource groups");
    }
    let pool = server.pool(1);
    let of = "SELECT resource_group FROM performance_schema.threads WHERE processlist_id = CONNECTION_ID()";
    pool.get().unwrap().query_drop(format!("SET RESOURCE GROUP {group}")).unwrap();
    settle(&pool);
    assert_eq!(pool.get().unwrap().query_first::<String, _>(of).unwrap().as_deref(), Some("USR_default"));
    server.run(format!("DROP RESOURCE GROUP {group} FORCE"));
}

/// MariaDB then does not report the row's number, but remembers it.
fn a_row_that_is_returned_costs_a_reset(server: &Server) {
    server.run(format!("CREATE TABLE {}.numbered (id INT AUTO_INCREMENT PRIMARY KEY, x INT)", server.database));
    let pool = server.pool(1);
    let mut conn = pool.get().unwrap();
    let returned = conn.query_first::<u64, _>("INSERT INTO numbered (x) VALUES (7) RETURNING id");
    drop(conn);
    settle(&pool);
    if returned.is_err() {
        server.lacks("RETURNING");
    }
    assert_eq!(pool.get().unwrap().query_first("SELECT LAST_INSERT_ID()").unwrap(), Some(0));
}

fn warnings_of_the_last_holder_are_gone(server: &Server) {
    let pool = server.pool(1);
    let mut conn = pool.get().unwrap();
    conn.query_first::<i64, _>("SELECT CAST('a secret' AS UNSIGNED)").unwrap();
    drop(conn);
    settle(&pool);
    assert_eq!(pool.get().unwrap().query::<mysql::Row, _>("SHOW WARNINGS").unwrap().len(), 0);
}

/// The set-up of a session is no trace of a holder.
fn what_on_open_sets_costs_no_reset(server: &Server) {
    let builder = server.builder(1).on_open(|conn, _| {
        conn.query_drop("SET @set_up = 7")?;
        conn.exec_drop("SET SESSION innodb_lock_wait_timeout = ?", (5,))
    });
    let pool = builder.build(server.manager()).unwrap();
    for _ in 0..3 {
        let mut conn = pool.get().unwrap();
        assert_eq!(conn.query_first("SELECT count(*) FROM account WHERE id = 1").unwrap(), Some(1));
    }
    assert_eq!(pool.stats().resets_done, 0);
    assert_eq!(pool.get().unwrap().query_first("SELECT @set_up").unwrap(), Some(7));
}

fn the_policy_always_resets_after_plain_work_too(server: &Server) {
    let pool = server.builder(1).session_policy(SessionPolicy::Always).build(server.manager()).unwrap();
    assert_eq!(pool.get().unwrap().query_first("SELECT 7").unwrap(), Some(7));
    settle(&pool);
    assert_eq!(pool.stats().resets_done, 1);
}

cabrank_testing::tests! {
    on_each_server:
        plain_work_costs_no_reset,
        whatever_could_leave_something_costs_a_reset,
        without_autocommit_every_loan_is_reset,
        what_a_procedure_sets_up_costs_a_reset_each_time,
        a_resource_group_costs_the_connection,
        a_row_that_is_returned_costs_a_reset,
        warnings_of_the_last_holder_are_gone,
        what_on_open_sets_costs_no_reset,
        the_policy_always_resets_after_plain_work_too,
}
