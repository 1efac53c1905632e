//! The command line: the database, the size of the pool and of the load. Errors in it are reported before anything is opened.

use clap::Parser;
use examples::{Database, Url};
use std::ops::RangeInclusive;
use std::time::Duration;

/// The checked command line.
#[derive(Debug)]
pub(crate) struct Args {
    pub(crate) database: Database,
    /// `None`: the value from the environment, or 10.
    pub(crate) max_size: Option<u32>,
    pub(crate) threads: u32,
    pub(crate) hold: Duration,
    pub(crate) watch: bool,
}

impl Args {
    /// Reads the command line. If it is wrong, prints why and ends the program with status 2.
    pub(crate) fn read() -> Self {
        let Words { database, max_size, threads, hold, watch } = Words::parse();
        Self { database: database.checked(), max_size, threads, hold: Duration::from_millis(hold.into()), watch }
    }
}

/// The life of a connection pool on a real database: single queries, more threads than connections, transactions, states
/// and statistics, exhaustion and recovery, a graceful close.
///
/// Each section states what it expects, and prints the result. The exit status is 0 if all expectations held, 1 if one did
/// not, and 2 if the demo could not run. The demo creates the table cabrank_demo_account, and drops it at the end. It does
/// not run if the table exists.
///
/// The variables DB_POOL_MAX_SIZE, DB_POOL_ACQUIRE_TIMEOUT and so on set the pool's settings; arguments override them.
#[derive(Debug, Parser)]
#[command(name = "demo", allow_negative_numbers = true)]
struct Words {
    #[command(flatten)]
    database: Url,

    /// The maximum number of connections of the pool, 1 to 100 [default: 10, or DB_POOL_MAX_SIZE]
    #[arg(long, value_name = "COUNT", value_parser = number(1..=100))]
    max_size: Option<u32>,

    /// The number of threads in the section on concurrency, 1 to 1000.
    #[arg(long, value_name = "COUNT", default_value = "15", value_parser = number(1..=1_000))]
    threads: u32,

    /// How long each of these threads holds a connection, in milliseconds, 0 to 10000: simulated work.
    #[arg(long, value_name = "MS", default_value = "5", value_parser = number(0..=10_000))]
    hold: u32,

    /// Serves a live page of the pool, and after the demo runs a load until Ctrl-C
    #[arg(long)]
    watch: bool,
}

fn number(allowed: RangeInclusive<u32>) -> impl Fn(&str) -> Result<u32, String> + Clone + Send + Sync + 'static {
    move |text| match text.parse() {
        Ok(number) if allowed.contains(&number) => Ok(number),
        _ => Err(format!("expected a whole number from {} to {}", allowed.start(), allowed.end())),
    }
}
