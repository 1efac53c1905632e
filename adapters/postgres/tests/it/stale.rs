//! Statements outdated by a schema change, and errors that only resemble such a case.

use crate::fixture::{PATIENCE, Server, builder, on_server};
use cabrank_postgres::cabrank::{Fault, Manager};
use cabrank_postgres::postgres::error::SqlState;
use cabrank_postgres::postgres::types::Type;
use cabrank_postgres::postgres::{Config, Error, NoTls};
use cabrank_postgres::{Connection, PostgresManager};
use std::cell::Cell;

const RETRY: Option<(&str, Fault)> = Some(("0A000", Fault::Retry));

/// One connection meets the error, and all connections drop their prepared statements, because a migration affects all of them. The
/// README lists what each code means.
fn a_migration_costs_one_error_at_most(server: Server) {
    for (what, migration, sql, expected) in [
        ("a column more", "ALTER TABLE migrated ADD COLUMN b int", "SELECT * FROM migrated", RETRY),
        ("another type of a column", "ALTER TABLE migrated ALTER COLUMN a TYPE text", "SELECT a FROM migrated", RETRY),
        (
            "another type of a parameter",
            "ALTER TABLE migrated ALTER COLUMN a TYPE text",
            "SELECT id FROM migrated WHERE a = $1",
            Some(("42883", Fault::Statement)),
        ),
        (
            "another type of a value",
            "ALTER TABLE migrated ALTER COLUMN a TYPE text",
            "INSERT INTO migrated (a) VALUES ($1)",
            None,
        ),
        (
            "another type of a value, to which there is no way",
            "ALTER TABLE migrated ALTER COLUMN a TYPE boolean USING true",
            "INSERT INTO migrated (a) VALUES ($1)",
            Some(("42804", Fault::Statement)),
        ),
        (
            "a type made anew",
            "ALTER TABLE migrated DROP COLUMN mood; DROP TYPE migrated_mood; \
                CREATE TYPE migrated_mood AS ENUM ('sad', 'glad'); ALTER TABLE migrated ADD COLUMN mood migrated_mood",
            "SELECT mood FROM migrated",
            RETRY,
        ),
        (
            "a parameter of a type made anew",
            "ALTER TABLE migrated DROP COLUMN mood; DROP TYPE migrated_mood; \
                CREATE TYPE migrated_mood AS ENUM ('sad', 'glad'); ALTER TABLE migrated ADD COLUMN mood migrated_mood",
            "SELECT $1::int, null::migrated_mood",
            Some(("XX000", Fault::Retry)),
        ),
        (
            "a table made anew",
            "DROP TABLE migrated; CREATE TABLE migrated (a text, id int, mood int)",
            "SELECT * FROM migrated",
            RETRY,
        ),
        (
            "a function made anew",
            "DROP FUNCTION migrated_f(int); CREATE FUNCTION migrated_f(int) RETURNS int LANGUAGE sql AS 'SELECT 2'",
            "SELECT migrated_f(1)",
            None,
        ),
        (
            "a function made anew, of another type",
            "DROP FUNCTION migrated_f(int); CREATE FUNCTION migrated_f(text) RETURNS text LANGUAGE sql AS 'SELECT $1'",
            "SELECT migrated_f($1)",
            Some(("42883", Fault::Statement)),
        ),
    ] {
        let mut admin = server.client();
        let clear =
            "DROP TABLE IF EXISTS migrated; DROP TYPE IF EXISTS migrated_mood; DROP FUNCTION IF EXISTS migrated_f";
        admin.batch_execute(clear).expect("nothing there");
        let create = "CREATE TYPE migrated_mood AS ENUM ('sad'); CREATE TABLE migrated (id int, a int, mood migrated_mood); \
                CREATE FUNCTION migrated_f(int) RETURNS int LANGUAGE sql AS 'SELECT 1'";
        admin.batch_execute(create).expect("a table");
        let pool = server.pool(3);
        let ask = |conn: &mut Connection| -> Result<(), Error> {
            let statement = conn.prepare_cached(sql)?;
            match statement.params() {
                [] => conn.query(&statement, &[]),
                [int] if *int == Type::INT4 => conn.query(&statement, &[&1]),
                [boolean] if *boolean == Type::BOOL => conn.query(&statement, &[&true]),
                _ => conn.query(&statement, &[&"1"]),
            }
            .map(drop)
        };
        let mut all: Vec<_> = (0..3).map(|_| pool.get().expect("a connection")).collect();
        all.iter_mut().for_each(|conn| ask(conn).expect("no error"));
        admin.batch_execute(migration).expect("a migration");
        let errors: Vec<_> =
            (0..2).flat_map(|_| all.iter_mut().filter_map(|conn| ask(conn).err()).collect::<Vec<_>>()).collect();
        assert!(errors.len() <= 1, "{what}: {errors:?}");
        let error =
            errors.first().map(|error| (error.code().map_or("", SqlState::code), server.manager().fault(error)));
        assert_eq!(error, expected, "{what}");
        drop(all);
        let stats = pool.stats();
        assert_eq!((stats.opened, stats.resets_failed), (3, 0), "{what}");
    }
}

/// Each use fails while something is missing, and none fails afterwards.
fn what_is_missing_for_a_while_leaves_nothing_stale(server: Server) {
    for (sql, take, back) in [
        ("SELECT * FROM away", "ALTER TABLE away RENAME TO hidden", "ALTER TABLE hidden RENAME TO away"),
        ("SELECT a FROM away", "ALTER TABLE away RENAME a TO b", "ALTER TABLE away RENAME b TO a"),
        ("SELECT away_f(1)", "ALTER FUNCTION away_f RENAME TO hidden_f", "ALTER FUNCTION hidden_f RENAME TO away_f"),
    ] {
        let mut admin = server.client();
        let create = "DROP TABLE IF EXISTS away, hidden; CREATE TABLE away (a int); DROP FUNCTION IF EXISTS away_f, hidden_f; \
            CREATE FUNCTION away_f(int) RETURNS int LANGUAGE sql AS 'SELECT 1'";
        admin.batch_execute(create).expect("a table");
        let pool = server.pool(2);
        let ask = |conn: &mut Connection| -> Result<(), Error> {
            let statement = conn.prepare_cached(sql)?;
            conn.query(&statement, &[]).map(drop)
        };
        let mut both = [0, 1].map(|_| pool.get().expect("a connection"));
        both.iter_mut().for_each(|conn| ask(conn).expect("no error"));
        admin.batch_execute(take).expect(take);
        for conn in &mut both {
            let error = ask(conn).expect_err("it is missing");
            assert_eq!(server.manager().fault(&error), Fault::Statement, "{error:?}");
        }
        admin.batch_execute(back).expect(back);
        both.iter_mut().for_each(|conn| ask(conn).unwrap_or_else(|error| panic!("{sql}: {error:?}")));
    }
}

fn a_slip_of_the_pen_is_an_error_of_its_statement(server: Server) {
    let pool = server.pool(1);
    for (sql, code) in [
        ("SELECT * FROM no_such_table", "42P01"),
        ("SELECT no_such_column", "42703"),
        ("SELECT no_such_function(1)", "42883"),
        ("SELECT CASE WHEN 1 THEN 2 END", "42804"),
        ("SELECT null::no_such_type", "42704"),
    ] {
        let error = pool.get().expect("a connection").prepare_cached(sql).expect_err(sql);
        assert_eq!(error.code().map(SqlState::code), Some(code), "{sql}");
        assert_eq!(server.manager().fault(&error), Fault::Statement, "{sql}");
    }
    assert_eq!(pool.stats().opened, 1);
}

/// Without tracking of the wire, only the errors that reach the pool show it.
#[cfg(unix)]
fn over_a_unix_socket_a_migration_costs_one_error_at_most(server: Server) {
    server.table("migrated_behind", "id int");
    let (_door, folder) = server.unix_door("statements");
    let mut config = Config::new();
    config.host_path(&folder).user(server.config.get_user().expect("a user"));
    server.config.get_password().map(|password| config.password(password));
    server.config.get_dbname().map(|name| config.dbname(name));
    server.config.get_ports().first().map(|&port| config.port(port));
    let manager = PostgresManager::new(config, NoTls);
    let settings = || builder().max_size(1);
    // The user's own classification of the error does not hide it.
    for (column, settings) in [("a", settings()), ("b", settings().classify(|_| Some(Fault::Statement)))] {
        let pool = settings.build(manager.clone()).expect("a pool");
        let ask = || {
            pool.run(|conn| -> Result<(), Error> {
                let statement = conn.prepare_cached("SELECT * FROM migrated_behind")?;
                conn.query(&statement, &[]).map(drop)
            })
        };
        ask().expect("rows");
        let migration = format!("ALTER TABLE migrated_behind ADD COLUMN {column} int");
        server.client().batch_execute(&migration).expect("a migration");
        assert_eq!((0..3).filter(|_| ask().is_err()).count(), 1, "{column}");
        assert!(pool.close_within(PATIENCE).is_clean());
    }
    std::fs::remove_dir_all(folder).expect("a folder of ours");
}

/// A stale statement means that the transaction may run again.
fn a_transaction_that_meets_a_stale_statement_is_run_again(server: Server) {
    for (what, spoil) in [
        ("another result", "ALTER TABLE retried ADD COLUMN a int"),
        ("forgotten", "DO $$ BEGIN DEALLOCATE ALL; END $$"),
    ] {
        server.table("retried", "id int");
        let pool = server.pool(1);
        let sql = "SELECT * FROM retried";
        let stale = pool.get().expect("a connection").prepare_cached(sql).expect("a statement");
        let attempts = Cell::new(0);
        let outcome = pool.transaction().retries(3).run(|tx| -> Result<(), Error> {
            attempts.set(attempts.get() + 1);
            if attempts.get() > 1 {
                return tx.query(sql, &[]).map(drop);
            }
            tx.batch_execute(spoil)?;
            tx.query(&stale, &[]).map(drop)
        });
        outcome.unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(attempts.get(), 2, "{what}");
    }
}

cabrank_testing::tests! {
    on_server:
        a_migration_costs_one_error_at_most,
        what_is_missing_for_a_while_leaves_nothing_stale,
        a_slip_of_the_pen_is_an_error_of_its_statement,
        #[cfg(unix)]
        over_a_unix_socket_a_migration_costs_one_error_at_most,
        a_transaction_that_meets_a_stale_statement_is_run_again,
}
