//! A service type that owns the pool, as an application might have it (`service.rs`), used here by eight threads at the same time.
//!
//! Run it with `cargo run --bin database_service`, or `cargo run --bin database_service -- --url URL`.

mod service;

use crate::service::DatabaseService;
use anyhow::Result;
use cabrank::Transact;
use cabrank_mysql::MySqlManager;
use cabrank_mysql::mysql::prelude::Queryable;
use cabrank_postgres::PostgresManager;
use cabrank_postgres::postgres::NoTls;
use cabrank_sqlite::SqliteManager;
use std::path::Path;
use std::process::ExitCode;
use std::thread;

fn main() -> ExitCode {
    examples::run(on_sqlite, on_postgres, on_mysql)
}

fn on_sqlite(path: &Path) -> Result<()> {
    let service = DatabaseService::open(SqliteManager::file(path).create(true))?;
    service.execute_query(|conn| conn.execute_batch(&format!("{CREATE}; {FILL}")))?;
    sell(&service, |tx| {
        tx.execute(TAKE, [])?;
        tx.execute(SELL, []).map(drop)
    });
    let left: i64 = service.execute_query(|conn| conn.query_row(LEFT, [], |row| row.get(0)))?;
    service.execute_query(|conn| conn.execute_batch(DROP))?;
    end(&service, left)
}

fn on_postgres(url: &str) -> Result<()> {
    let service = DatabaseService::open(PostgresManager::from_url(url, NoTls)?)?;
    service.execute_query(|conn| conn.batch_execute(&format!("{CREATE}; {FILL}")))?;
    sell(&service, |tx| {
        tx.execute(TAKE, &[])?;
        tx.execute(SELL, &[]).map(drop)
    });
    let left: i64 = service.execute_query(|conn| conn.query_one(LEFT, &[])?.try_get(0))?;
    service.execute_query(|conn| conn.batch_execute(DROP))?;
    end(&service, left)
}

fn on_mysql(url: &str) -> Result<()> {
    let service = DatabaseService::open(MySqlManager::from_url(url)?)?;
    service.execute_query(|conn| conn.query_drop(CREATE))?;
    service.execute_query(|conn| conn.query_drop(FILL))?;
    sell(&service, |tx| {
        tx.query_drop(TAKE)?;
        tx.query_drop(SELL)
    });
    let left = service.execute_query(|conn| conn.query_first(LEFT))?.unwrap_or(0);
    service.execute_query(|conn| conn.query_drop(DROP))?;
    end(&service, left)
}

/// Eight threads sell ten pieces each from the shelf.
fn sell<M: Transact>(
    service: &DatabaseService<M>,
    one: impl Fn(&mut M::Transaction<'_>) -> Result<(), M::Error> + Sync,
) {
    let seller = || (0..10).filter(|_| service.execute_transaction(&one).is_ok()).count();
    let sold: usize = thread::scope(|scope| {
        let sellers: Vec<_> = (0..8).map(|_| scope.spawn(seller)).collect();
        sellers.into_iter().map(|seller| seller.join().expect("sellers do not panic")).sum()
    });
    println!("pieces sold by 8 threads: {sold}");
}

fn end<M: Transact>(service: &DatabaseService<M>, left: i64) -> Result<()> {
    let stats = service.stats();
    println!("pieces left on the shelf: {left}");
    println!("connections: {} open of at most {}, {} in use", stats.open, stats.max_size, stats.in_use);
    println!("loans: {}, returned: {}", stats.checked_out_at_once + stats.checked_out_after_waiting, stats.returned);
    println!("the pool is closed: {}", service.close());
    if let Err(error) = service.execute_query(|_| Ok(())) {
        println!("one more query fails: {error}");
    }
    Ok(())
}

const CREATE: &str = "CREATE TABLE cabrank_example_goods (place VARCHAR(9) PRIMARY KEY, pieces BIGINT NOT NULL)";
const FILL: &str = "INSERT INTO cabrank_example_goods VALUES ('shelf', 100), ('sold', 0)";
const TAKE: &str = "UPDATE cabrank_example_goods SET pieces = pieces - 1 WHERE place = 'shelf'";
const SELL: &str = "UPDATE cabrank_example_goods SET pieces = pieces + 1 WHERE place = 'sold'";
const LEFT: &str = "SELECT pieces FROM cabrank_example_goods WHERE place = 'shelf'";
const DROP: &str = "DROP TABLE cabrank_example_goods";
