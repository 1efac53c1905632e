//! A web service on a pool: axum in front, a blocking driver behind. Here the start; the
//! handlers are in `routes.rs`, the statements in `bank.rs`, and the end, on SIGTERM, in `ending.rs`.

mod bank;
mod ending;
mod failure;
mod routes;

use crate::bank::Bank;
use crate::ending::until_told_to_stop;
use anyhow::{Result, ensure};
use cabrank::Pool;
use cabrank_mysql::MySqlManager;
use cabrank_postgres::PostgresManager;
use cabrank_postgres::postgres::NoTls;
use cabrank_sqlite::SqliteManager;
use clap::Parser;
use examples::{Database, Url};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;
use tokio::runtime::Runtime;

/// A bank of ten accounts: GET /accounts, POST /transfers with {"from":1,"to":2,"amount":5}, GET /stats. In a database of
/// yours it makes the table cabrank_example_bank, and leaves it there.
#[derive(Parser)]
struct Args {
    #[command(flatten)]
    url: Url,
    /// Where to listen. Port 0 takes any that is free.
    #[arg(long, default_value = "127.0.0.1:3000")]
    listen: SocketAddr,
    /// The most connections the pool may hold.
    #[arg(long, default_value_t = 8)]
    max_size: u32,
    /// For how many seconds a request may wait for a connection.
    #[arg(long, default_value_t = 2)]
    wait: u64,
    /// How many seconds after SIGTERM the program has ended.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(2..))]
    deadline: u64,
}

fn main() -> ExitCode {
    let args = Args::parse();
    examples::exit_code(match args.url.checked() {
        Database::Sqlite(file) => serve(Ok(SqliteManager::file(&*file).create(true)), &args),
        Database::Postgres(url) => serve(PostgresManager::from_url(&url, NoTls).map_err(Into::into), &args),
        Database::Mysql(url) => serve(MySqlManager::from_url(&url).map_err(Into::into), &args),
    })
}

fn serve<M: Bank>(manager: Result<M>, args: &Args) -> Result<()> {
    let pool = Pool::builder()
        .name("web")
        .max_size(args.max_size)
        .acquire_timeout(Duration::from_secs(args.wait))
        // Those behind would wait in vain: better to say at once that there are too many.
        .max_waiters(args.max_size.saturating_mul(4))
        .build(manager?)?;
    pool.run(|conn| M::open(conn))?;

    let runtime = Runtime::new()?;
    let (drained, report) =
        runtime.block_on(until_told_to_stop(&pool, args.listen, Duration::from_secs(args.deadline)))?;
    println!("all requests answered: {drained}; {report}");
    // What could not be ended in time ends with the process.
    runtime.shutdown_background();
    ensure!(drained && report.is_clean(), "the deadline came first");
    Ok(())
}
