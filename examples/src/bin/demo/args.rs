//! The command line: which database, and how much of everything. What is wrong is said here, before anything is opened.

use clap::Parser;
use examples::{Database, Url};
use std::ops::RangeInclusive;
use std::time::Duration;

/// The checked command line.
#[derive(Debug)]
pub(crate) struct Args {
    pub(crate) database: Database,
    /// `None`: as the environment says, or ten.
    pub(crate) max_size: Option<u32>,
    pub(crate) threads: u32,
    pub(crate) hold: Duration,
    pub(crate) watch: bool,
}

impl Args {
    /// Reads the command line; prints what is wrong with it and ends the program with status 2.
    pub(crate) fn read() -> Self {
        let Words { database, max_size, threads, hold, watch } = Words::parse();
        Self { database: database.checked(), max_size, threads, hold: Duration::from_millis(hold.into()), watch }
    }
}

/// The life of a connection pool, told on a real database: single queries, more threads than connections, transactions,
/// states and statistics, exhaustion and recovery, a graceful close.
///
/// Each section says what it expects and what came. The exit status is 0 if all came as expected, 1 if something did
/// not, and 2 if the demo could not run. It makes a table cabrank_demo_account, unless there is one, and drops it.
///
/// Variables DB_POOL_MAX_SIZE, DB_POOL_ACQUIRE_TIMEOUT and so on set what the pool has; the arguments win over them.
#[derive(Debug, Parser)]
#[command(name = "demo", allow_negative_numbers = true)]
struct Words {
    #[command(flatten)]
    database: Url,

    /// The most connections the pool may hold, 1 to 100 [default: 10, or DB_POOL_MAX_SIZE]
    #[arg(long, value_name = "COUNT", value_parser = number(1..=100))]
    max_size: Option<u32>,

    /// How many threads share them in the section on concurrency, 1 to 1000.
    #[arg(long, value_name = "COUNT", default_value = "15", value_parser = number(1..=1_000))]
    threads: u32,

    /// For how long each of these threads holds a connection, in milliseconds: the work that is simulated.
    #[arg(long, value_name = "MS", default_value = "5", value_parser = number(0..=10_000))]
    hold: u32,

    /// Serves a live page of the pool, and after the story keeps a load running, until ctrl-c
    #[arg(long)]
    watch: bool,
}

fn number(allowed: RangeInclusive<u32>) -> impl Fn(&str) -> Result<u32, String> + Clone + Send + Sync + 'static {
    move |text| match text.parse() {
        Ok(number) if allowed.contains(&number) => Ok(number),
        _ => Err(format!("give a whole number from {} to {}", allowed.start(), allowed.end())),
    }
}
