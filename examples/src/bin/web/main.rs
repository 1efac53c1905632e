//! A web service on a pool: axum in front, a blocking driver behind. Here the start; the handlers are in `routes.rs`, the statements in
//! `bank.rs`, what a platform asks in `probes.rs`, and the end, on SIGTERM, in `ending.rs`.

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
/// GET /stats, /metrics, and the probes /alive, /started, /ready. In a database of yours it makes the table cabrank_example_bank,
/// and leaves it there.
///
/// Variables DB_POOL_MAX_SIZE, DB_POOL_ACQUIRE_TIMEOUT and so on set what the pool has; the arguments win over them.
#[derive(Parser)]
struct Args {
    #[command(flatten)]
    url: Url,
    /// Where to listen. Port 0 takes any that is free.
    #[arg(long, default_value = "127.0.0.1:3000")]
    listen: SocketAddr,
    /// The most connections the pool may hold [default: 8]
    #[arg(long)]
    max_size: Option<u32>,
    /// For how many seconds a request may wait for a connection [default: 2]
    #[arg(long)]
    wait: Option<u64>,
    /// For how many seconds after SIGTERM requests are still taken, where a platform takes its time to send them elsewhere.
    #[arg(long, default_value_t = 0)]
    linger: u64,
    /// How many seconds after SIGTERM the program has ended.
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
    // Lazy: the service answers probes from its first moment, also while the database is away.
    let recorder = Recorder::new();
    let pool = settings(args)?.event_handler(recorder.clone()).build_lazy(manager?)?;
    let monitor = Monitor::new(Pools::new().with(&pool).with_events(&recorder));
    let runtime = Runtime::new()?;
    let serving = until_told_to_stop(&pool, &monitor, args.listen, args.times());
    let (drained, report) = runtime.block_on(serving)?;
    println!("all requests answered: {drained}; {report}");
    // What could not be ended in time ends with the process.
    runtime.shutdown_background();
    ensure!(drained && report.is_clean(), "the deadline came first");
    Ok(())
}

/// What suits this service, then what the environment says, then the arguments.
fn settings<M: Bank>(args: &Args) -> Result<Builder<M>> {
    let mut builder = Pool::builder()
        .name("web")
        .max_size(8)
        .acquire_timeout(Duration::from_secs(2))
        .connect_timeout(Duration::from_secs(2))
        // Those behind would wait in vain: better to say at once that there are too many.
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
