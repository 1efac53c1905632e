//! Single queries: rows as a type of your own, prepared statements, the driver's errors, and a session that the pool resets.
//!
//! Run it with `cargo run --bin queries`, or `cargo run --bin queries -- --url URL`. A pool lends the driver's own connection, so each
//! engine has a function in the style of its driver.

use anyhow::{Result, anyhow};
use cabrank_mysql::mysql::prelude::Queryable;
use cabrank_mysql::{MySqlManager, mysql};
use cabrank_postgres::postgres::NoTls;
use cabrank_postgres::postgres::error::SqlState;
use cabrank_postgres::{PostgresManager, postgres};
use cabrank_sqlite::rusqlite::{OptionalExtension, ffi};
use cabrank_sqlite::{SqliteManager, rusqlite};
use examples::with_causes;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    examples::run(on_sqlite, on_postgres, on_mysql)
}

fn on_sqlite(path: &Path) -> Result<()> {
    let pool = cabrank_sqlite::Pool::builder().from_env("DB_POOL_")?.build(SqliteManager::file(path).create(true))?;
    let conn = pool.get()?; // Derefs to rusqlite::Connection.
    conn.execute_batch(TABLE)?;
    for city in CITIES {
        // Prepared once for each connection, and kept across loans.
        conn.prepare_cached("INSERT INTO city VALUES (?1, ?2)")?.execute(city)?;
    }
    let mut select = conn.prepare_cached("SELECT name, people FROM city WHERE people > ?1 ORDER BY people")?;
    let rows = select.query_map([100_000], |row| Ok(City { name: row.get(0)?, people: row.get(1)? }))?;
    println!("cities with over 100,000 people: {:?}", rows.collect::<rusqlite::Result<Vec<City>>>()?);

    let people: Option<i64> = conn.query_row(ATLANTIS, [], |row| row.get(0)).optional()?;
    println!("people of Atlantis, which has no row: {people:?}");
    match conn.execute("INSERT INTO city VALUES ('Bern', 0)", []) {
        Err(rusqlite::Error::SqliteFailure(error, _)) if error.extended_code == ffi::SQLITE_CONSTRAINT_PRIMARYKEY => {
            println!("a second Bern: refused by the primary key");
        }
        other => println!("unexpected: {other:?}"),
    }
    drop(select);
    drop(conn); // Returns the connection. The pool resets its session, which drops the temporary table.
    // `run` checks out a connection for one closure.
    let next = pool.run(|conn| conn.query_row(ATLANTIS, [], |row| row.get::<_, i64>(0)));
    println!("the next loan has no temporary table (expected): {}", with_causes(&anyhow!(next.unwrap_err())));
    Ok(())
}

fn on_postgres(url: &str) -> Result<()> {
    let pool = cabrank_postgres::Pool::builder().from_env("DB_POOL_")?.build(PostgresManager::from_url(url, NoTls)?)?;
    let mut conn = pool.get()?; // Derefs to postgres::Client.
    conn.batch_execute(TABLE)?;
    for (name, people) in CITIES {
        // The driver prepares a text each time it runs. `prepare_cached` returns the statement that the connection has kept.
        let insert = conn.prepare_cached("INSERT INTO city VALUES ($1, $2)")?;
        conn.execute(&insert, &[&name, &people])?;
    }
    let select = conn.prepare_cached("SELECT name, people FROM city WHERE people > $1 ORDER BY people")?;
    let rows = conn.query(&select, &[&100_000_i64])?;
    let city = |row: &postgres::Row| Ok(City { name: row.try_get("name")?, people: row.try_get("people")? });
    println!(
        "cities with over 100,000 people: {:?}",
        rows.iter().map(city).collect::<Result<Vec<City>, postgres::Error>>()?
    );

    let people: Option<i64> = conn.query_opt(ATLANTIS, &[])?.map(|row| row.get(0));
    println!("people of Atlantis, which has no row: {people:?}");
    match conn.execute("INSERT INTO city VALUES ('Bern', 0)", &[]) {
        Err(error) if error.code() == Some(&SqlState::UNIQUE_VIOLATION) => {
            println!("a second Bern: refused by the primary key")
        }
        other => println!("unexpected: {other:?}"),
    }
    drop(conn);
    let next = pool.run(|conn| conn.query(ATLANTIS, &[]));
    println!("the next loan has no temporary table (expected): {}", with_causes(&anyhow!(next.unwrap_err())));
    Ok(())
}

fn on_mysql(url: &str) -> Result<()> {
    let pool = cabrank_mysql::Pool::builder().from_env("DB_POOL_")?.build(MySqlManager::from_url(url)?)?;
    let mut conn = pool.get()?; // Implements mysql::prelude::Queryable.
    conn.query_drop(TABLE)?;
    // The driver prepares each text once, but the reset between two loans drops the statements of a MySQL session.
    conn.exec_batch("INSERT INTO city VALUES (?, ?)", CITIES)?;
    let select = "SELECT name, people FROM city WHERE people > ? ORDER BY people";
    println!(
        "cities with over 100,000 people: {:?}",
        conn.exec_map(select, (100_000,), |(name, people)| City { name, people })?
    );

    println!("people of Atlantis, which has no row: {:?}", conn.query_first::<i64, _>(ATLANTIS)?);
    match conn.query_drop("INSERT INTO city VALUES ('Bern', 0)") {
        Err(mysql::Error::MySqlError(error)) if error.code == 1062 => {
            println!("a second Bern: refused by the primary key")
        }
        other => println!("unexpected: {other:?}"),
    }
    drop(conn);
    let next = pool.run(|conn| conn.query_first::<i64, _>(ATLANTIS));
    println!("the next loan has no temporary table (expected): {}", with_causes(&anyhow!(next.unwrap_err())));
    Ok(())
}

#[derive(Debug)]
#[expect(dead_code, reason = "only shown")]
struct City {
    name: String,
    people: i64,
}

const CITIES: [(&str, i64); 3] = [("Basel", 173_000), ("Bern", 134_000), ("Thun", 44_000)];
const ATLANTIS: &str = "SELECT people FROM city WHERE name = 'Atlantis'";
/// Visible to its session only. The pool removes it before the next loan.
const TABLE: &str = "CREATE TEMPORARY TABLE city (name VARCHAR(40) PRIMARY KEY, people BIGINT NOT NULL)";
