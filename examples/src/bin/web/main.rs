//! A web service on a pool: axum in front, a blocking driver behind.
//!
//! Run it with `cargo run --bin web`, or `cargo run --bin web -- --url URL`. Then open the live page at the printed address under `/pool`,
//! and request `/accounts`.
//!
//! The start is here, the handlers are in `routes.rs`, the statements in `bank.rs`, the platform's probes in `probes.rs`, and the end, on
//! SIGTERM, is in `ending.rs`.

mod bank;
mod ending;
mod failure;
mod probes;
mod routes;

use crate::bank::Bank;
use crate::ending::{Times, until_told_to_stop};
use anyhow::{Result, ensure};
use cabrank::{Builder, Pool};
use cabrank_monitor::{Monitor, Pools, Recorder};
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

/// A bank of ten accounts: GET /accounts, POST /transfers with {"from":1,"to":2,"amount":5}. For operators: the live page /pool,
/// GET /stats, /metrics, and the probes /alive, /started, /ready. It creates the table cabrank_example_bank in your database, and
/// leaves it there.
///
/// The variables DB_POOL_MAX_SIZE, DB_POOL_ACQUIRE_TIMEOUT and so on set the pool's settings; arguments override them.
#[derive(Parser)]
struct Args {
    #[command(flatten)]
    url: Url,
    /// The address to listen on. Port 0 selects a free port.
    #[arg(long, default_value = "127.0.0.1:3000")]
    listen: SocketAddr,
    /// The maximum number of connections of the pool [default: 8]
    #[arg(long)]
    max_size: Option<u32>,
    /// The longest wait of a request for a connection, in seconds [default: 2]
    #[arg(long)]
    wait: Option<u64>,
    /// How long the service accepts requests after SIGTERM, in seconds, while the platform redirects them.
    #[arg(long, default_value_t = 0)]
    linger: u64,
    /// The program ends at most this many seconds after SIGTERM.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(2..))]
    deadline: u64,
}

impl Args {
    fn times(&self) -> Times {
        Times { linger: Duration::from_secs(self.linger), deadline: Duration::from_secs(self.deadline) }
    }
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
    // Lazy: the service answers probes at once, even if the database is down.
    let recorder = Recorder::new();
    let pool = settings(args)?.event_handler(recorder.clone()).build_lazy(manager?)?;
    let monitor = Monitor::new(Pools::new().with(&pool).with_events(&recorder));
    let runtime = Runtime::new()?;
    let serving = until_told_to_stop(&pool, &monitor, args.listen, args.times());
    let (drained, report) = runtime.block_on(serving)?;
    println!("all requests answered: {drained}; {report}");
    // Work that did not end in time ends with the process.
    runtime.shutdown_background();
    ensure!(drained && report.is_clean(), "the deadline passed before everything had ended");
    Ok(())
}

/// The defaults of this service, overridden by the environment, then by the arguments.
fn settings<M: Bank>(args: &Args) -> Result<Builder<M>> {
    let mut builder = Pool::builder()
        .name("web")
        .max_size(8)
        .acquire_timeout(Duration::from_secs(2))
        .connect_timeout(Duration::from_secs(2))
        // More waiters would time out. An immediate refusal serves them better.
        .max_waiters(32)
        .from_env("DB_POOL_")?;
    if let Some(max_size) = args.max_size {
        builder = builder.max_size(max_size).max_waiters(max_size.saturating_mul(4));
    }
    if let Some(wait) = args.wait {
        builder = builder.acquire_timeout(Duration::from_secs(wait));
    }
    Ok(builder)
}
