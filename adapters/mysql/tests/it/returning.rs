//! Whatever a holder leaves behind, the next one finds a session as good as new, on the same connection.

use crate::server::{Server, on_each_server, settle};
use cabrank_mysql::cabrank::{CloseReason, SessionPolicy};
use cabrank_mysql::mysql::prelude::Queryable;
use cabrank_mysql::mysql::{ChangeUserOpts, OptsBuilder};
use cabrank_mysql::{Connection, MySqlManager, PooledConnection};
use cabrank_testing::{assert_closes_clean, assert_no_leaks};
use std::collections::BTreeMap;

/// All session variables except those that change by themselves.
fn settings(conn: &mut Connection) -> BTreeMap<String, String> {
    let all: Vec<(String, String)> = conn.query("SHOW SESSION VARIABLES").expect("settings");
    let moving = ["timestamp", "rand_seed", "insert_id", "identity", "gtid", "_count", "pseudo", "statement_id"];
    let moves = |name: &str| moving.iter().any(|part| name.contains(part));
    all.into_iter().filter(|(name, _)| !moves(name)).collect()
}

/// Lends a pool's only connection to `soil`, and then again to `look`.
fn soil_and_look(server: &Server, soil: impl FnOnce(&mut Connection), look: impl FnOnce(&mut Connection)) {
    let pool = server.pool(1);
    let mut conn = pool.get().unwrap();
    let (id, before) = (conn.connection_id(), settings(&mut conn));
    drop(conn);
    // In a separate loan, because a query of all settings would itself cost a reset.
    settle(&pool);
    soil(&mut pool.get().unwrap());
    settle(&pool);
    let mut conn = pool.get().unwrap();
    assert_eq!(conn.connection_id(), id, "reset, not replaced: {:?}", pool.stats().closed);
    let mut changed = settings(&mut conn);
    changed.retain(|name, value| before.get(name) != Some(value));
    assert_eq!(changed, BTreeMap::new());
    look(&mut conn);
    drop(conn);
    assert_no_leaks(&pool);
    assert_closes_clean(&pool);
}

fn an_open_transaction_is_rolled_back(server: &Server) {
    soil_and_look(
        server,
        |conn| {
            conn.query_drop("START TRANSACTION").unwrap();
            conn.query_drop("UPDATE account SET money = 7").unwrap();
        },
        |_| assert_eq!(server.money(1), 0),
    );
    // Its locks are gone, too.
    server.run(format!("UPDATE {}.account SET money = 1", server.database));
}

fn a_transaction_without_autocommit_is_rolled_back(server: &Server) {
    soil_and_look(
        server,
        |conn| {
            conn.query_drop("SET autocommit = 0").unwrap();
            conn.query_drop("UPDATE account SET money = 7").unwrap();
        },
        |_| assert_eq!(server.money(1), 0),
    );
}

fn a_forgotten_transaction_is_rolled_back(server: &Server) {
    soil_and_look(
        server,
        |conn| {
            let mut tx = conn.start_transaction(Default::default()).unwrap();
            tx.query_drop("UPDATE account SET money = 7").unwrap();
            std::mem::forget(tx);
        },
        |_| assert_eq!(server.money(1), 0),
    );
}

fn settings_are_put_back(server: &Server) {
    soil_and_look(
        server,
        |conn| {
            for sql in [
                "SET SESSION sql_mode = 'ANSI_QUOTES'",
                "SET SESSION time_zone = '+05:00'",
                "SET SESSION wait_timeout = 777",
                "SET SESSION group_concat_max_len = 77",
                "SET NAMES latin1",
                "SET SESSION TRANSACTION ISOLATION LEVEL READ UNCOMMITTED",
                "SET SESSION TRANSACTION READ ONLY",
                "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",
                "SET foreign_key_checks = 0, unique_checks = 0, sql_safe_updates = 1",
                "SET lc_time_names = 'de_DE'",
            ] {
                conn.query_drop(sql).expect(sql);
            }
        },
        |conn| conn.query_drop("UPDATE account SET money = 1").expect("not read-only"),
    );
}

/// MySQL's `COM_RESET_CONNECTION` takes the character sets from the server's defaults: here one that misreads UTF-8.
fn letters_are_read_alike_before_and_after_a_reset(server: &Server) {
    let defaults: (String, String) =
        server.ask("SELECT @@GLOBAL.character_set_client, @@GLOBAL.collation_connection").unwrap();
    let set = |client: &str, collation: &str| {
        server.run(format!("SET GLOBAL character_set_client = {client}, GLOBAL collation_connection = {collation}"));
    };
    let pool = server.pool(1);
    let ask = || -> Option<(String, u32)> {
        settle(&pool);
        pool.get().unwrap().query_first("SELECT 'Zürich €', CHAR_LENGTH('Zürich €')").unwrap()
    };
    set("latin1", "latin1_swedish_ci");
    let seen = [ask(), ask(), ask()];
    set(&defaults.0, &defaults.1);
    assert_eq!(seen, [(); 3].map(|()| Some(("Zürich €".to_owned(), 8))));
    assert_eq!(pool.stats().opened, 1);
}

fn user_variables_are_gone(server: &Server) {
    soil_and_look(
        server,
        |conn| conn.query_drop("SET @mine = 'secret'").unwrap(),
        |conn| assert_eq!(conn.query_first("SELECT @mine").unwrap(), Some(None::<String>)),
    );
}

fn temporary_tables_are_gone(server: &Server) {
    soil_and_look(
        server,
        |conn| {
            conn.query_drop("CREATE TEMPORARY TABLE mine (a INT)").unwrap();
            conn.query_drop("CREATE TEMPORARY TABLE account (a INT)").unwrap();
        },
        |conn| {
            conn.query_drop("SELECT * FROM mine").unwrap_err();
            assert_eq!(conn.query_first("SELECT COUNT(money) FROM account").unwrap(), Some(50));
        },
    );
}

fn what_functions_remember_is_forgotten(server: &Server) {
    soil_and_look(
        server,
        |conn| {
            conn.query_drop("CREATE TEMPORARY TABLE mine (id INT AUTO_INCREMENT PRIMARY KEY)").unwrap();
            conn.query_drop("INSERT INTO mine VALUES (NULL), (NULL)").unwrap();
            conn.query_drop("SELECT SQL_CALC_FOUND_ROWS id FROM account LIMIT 1").unwrap();
        },
        |conn| {
            assert_eq!(conn.query_first("SELECT LAST_INSERT_ID(), FOUND_ROWS() = 50").unwrap(), Some((0, false)));
        },
    );
}

fn named_locks_are_released(server: &Server) {
    let name = server.database.clone();
    let free = format!("SELECT IS_FREE_LOCK('{name}')");
    soil_and_look(
        server,
        |conn| {
            assert_eq!(conn.query_first(format!("SELECT GET_LOCK('{name}', 0)")).unwrap(), Some(1));
            assert_eq!(server.ask(&free), Some(0));
        },
        |_| assert_eq!(server.ask(&free), Some(1)),
    );
}

fn table_locks_are_released(server: &Server) {
    soil_and_look(
        server,
        |conn| conn.query_drop("LOCK TABLES account WRITE").unwrap(),
        |_| server.run(format!("UPDATE {}.account SET money = 1", server.database)),
    );
}

fn a_statement_prepared_by_text_is_gone(server: &Server) {
    soil_and_look(
        server,
        |conn| conn.query_drop("PREPARE mine FROM 'SELECT 1'").unwrap(),
        |conn| conn.query_drop("EXECUTE mine").unwrap_err().to_string().contains("1243").then_some(()).unwrap(),
    );
}

fn an_open_handler_is_closed(server: &Server) {
    soil_and_look(
        server,
        |conn| conn.query_drop("HANDLER account OPEN AS mine").unwrap(),
        |conn| {
            conn.query_drop("HANDLER mine READ FIRST").unwrap_err().to_string().contains("1109").then_some(()).unwrap()
        },
    );
}

fn a_cached_statement_is_prepared_anew(server: &Server) {
    soil_and_look(
        server,
        |conn| assert_eq!(conn.exec_first("SELECT ? + 1", (1,)).unwrap(), Some(2)),
        |conn| assert_eq!(conn.exec_first("SELECT ? + 1", (2,)).unwrap(), Some(3)),
    );
}

fn the_current_database_is_selected_back(server: &Server) {
    let current = |conn: &mut Connection| conn.query_first::<String, _>("SELECT DATABASE()").unwrap();
    soil_and_look(
        server,
        |conn| conn.query_drop("USE information_schema").unwrap(),
        |conn| assert_eq!(current(conn).as_ref(), Some(&server.database)),
    );
    soil_and_look(
        server,
        |conn| conn.select_db("information_schema").unwrap(),
        |conn| assert_eq!(current(conn).as_ref(), Some(&server.database)),
    );
}

fn no_database_is_selected_back_too(server: &Server) {
    let opts = server.opts().db_name(None::<String>).init(vec!["SET @greeting = 'hello'"]);
    let pool = server.builder(1).build(MySqlManager::new(opts)).unwrap();
    let look = |conn: &mut PooledConnection| {
        let seen = conn.query_first::<(Option<String>, Option<String>), _>("SELECT DATABASE(), @greeting").unwrap();
        (conn.connection_id(), seen.unwrap())
    };
    let before = look(&mut pool.get().unwrap());
    assert_eq!(before.1, (None, Some("hello".to_owned())));
    settle(&pool);
    pool.get().unwrap().query_drop(format!("USE {}", server.database)).unwrap();
    settle(&pool);
    assert_eq!(look(&mut pool.get().unwrap()), before);
}

fn init_statements_run_again_after_each_reset(server: &Server) {
    let opts = server.opts().init(vec!["SET @greeting = 'hello'", "USE information_schema"]);
    let pool = server.builder(1).build(MySqlManager::new(opts)).unwrap();
    for _ in 0..3 {
        let mut conn = pool.get().unwrap();
        let seen: Option<(String, String)> = conn.query_first("SELECT @greeting, DATABASE()").unwrap();
        assert_eq!(seen, Some(("hello".into(), "information_schema".into())));
        conn.query_drop(format!("SET @greeting = 'bye'; USE {}", server.database)).unwrap();
        drop(conn);
        settle(&pool);
    }
    assert_eq!(pool.stats().opened, 1);
}

fn a_role_is_left(server: &Server) {
    let role = format!("r{}", server.database);
    server.run(format!("CREATE ROLE {role}"));
    let me: String = server.ask("SELECT CURRENT_USER()").unwrap();
    let me = me.split('@').map(|part| format!("'{part}'")).collect::<Vec<_>>().join("@");
    server.run(format!("GRANT {role} TO {me}"));
    let pool = server.pool(1);
    let before: Option<Option<String>> = pool.get().unwrap().query_first("SELECT CURRENT_ROLE()").unwrap();
    pool.get().unwrap().query_drop(format!("SET ROLE {role}")).unwrap();
    settle(&pool);
    let after: Option<Option<String>> = pool.get().unwrap().query_first("SELECT CURRENT_ROLE()").unwrap();
    server.run(format!("DROP ROLE {role}"));
    assert_eq!(after, before);
}

fn another_user_does_not_come_back(server: &Server) {
    let user = format!("u{}", server.database.trim_start_matches("cabrank_test"));
    server.run(format!("CREATE USER '{user}'@'%' IDENTIFIED BY 'pw'"));
    server.run(format!("GRANT ALL ON {}.* TO '{user}'@'%'", server.database));
    let pool = server.pool(1);
    let mut conn = pool.get().unwrap();
    let before: Option<String> = conn.query_first("SELECT CURRENT_USER()").unwrap();
    conn.raw()
        .change_user(ChangeUserOpts::new().with_user(Some(user.clone())).with_pass(Some("pw".into())))
        .expect("another user");
    drop(conn);
    settle(&pool);
    let after: Option<String> = pool.get().unwrap().query_first("SELECT CURRENT_USER()").unwrap();
    server.run(format!("DROP USER '{user}'@'%'"));
    assert_eq!(after, before);
    assert_eq!(pool.stats().closed.by(CloseReason::BeyondReset), 1);
}

fn a_loan_that_touches_nothing_costs_no_reset(server: &Server) {
    let pool = server.pool(1);
    for _ in 0..10 {
        drop(pool.get().unwrap());
    }
    assert_eq!(pool.stats().resets_done, 0);
}

fn unread_rows_are_read_by_the_driver(server: &Server) {
    soil_and_look(
        server,
        |conn| {
            let mut rows = conn.query_iter("SELECT id FROM account; SELECT id FROM account").unwrap();
            rows.next().unwrap().unwrap();
        },
        |conn| assert_eq!(conn.query_first("SELECT 'mine'").unwrap(), Some("mine".to_owned())),
    );
}

fn a_holder_that_panics_leaves_nothing(server: &Server) {
    let pool = server.pool(1);
    let result = std::thread::scope(|scope| {
        scope
            .spawn(|| {
                let mut conn = pool.get().unwrap();
                let mut tx = conn.start_transaction(Default::default()).unwrap();
                tx.query_drop("UPDATE account SET money = 7").unwrap();
                panic!("on purpose");
            })
            .join()
    });
    result.unwrap_err();
    assert_eq!(pool.get().unwrap().query_first("SELECT money FROM account").unwrap(), Some(0));
    assert_eq!(pool.stats().closed.by(CloseReason::Panicked), 1);
}

fn the_policy_never_leaves_all_as_it_is(server: &Server) {
    let opts: OptsBuilder = server.opts();
    let builder = server.builder(1).session_policy(SessionPolicy::Never);
    let pool = builder.build(MySqlManager::new(opts)).unwrap();
    pool.get().unwrap().query_drop("SET @mine = 'left'").unwrap();
    assert_eq!(pool.get().unwrap().query_first("SELECT @mine").unwrap(), Some("left".to_owned()));
}

cabrank_testing::tests! {
    on_each_server:
        an_open_transaction_is_rolled_back,
        a_transaction_without_autocommit_is_rolled_back,
        a_forgotten_transaction_is_rolled_back,
        settings_are_put_back,
        letters_are_read_alike_before_and_after_a_reset,
        user_variables_are_gone,
        temporary_tables_are_gone,
        what_functions_remember_is_forgotten,
        named_locks_are_released,
        table_locks_are_released,
        a_statement_prepared_by_text_is_gone,
        an_open_handler_is_closed,
        a_cached_statement_is_prepared_anew,
        the_current_database_is_selected_back,
        no_database_is_selected_back_too,
        init_statements_run_again_after_each_reset,
        a_role_is_left,
        another_user_does_not_come_back,
        a_loan_that_touches_nothing_costs_no_reset,
        unread_rows_are_read_by_the_driver,
        a_holder_that_panics_leaves_nothing,
        the_policy_never_leaves_all_as_it_is,
}
