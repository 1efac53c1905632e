//! Accounts in a database, with Diesel and its `r2d2` module. Run as `diesel-program <url>`, where the URL begins with `postgres://` or
//! `mysql://`, or is the path of an SQLite file. With `loops <threads> <seconds>` appended, it only queries accounts, and prints how
//! many it queried per second.
//!
//! The code does not depend on a particular pool: the workspace's manifest decides which crate `r2d2` is.

mod accounts;
mod mysql;
mod postgres;
mod sqlite;

use std::env;
use std::error::Error;

type Done = Result<(), Box<dyn Error + Send + Sync>>;

fn main() -> Done {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (url, task) = match arguments[..] {
        [url] => (url, Task::All),
        [url, "loops", threads, seconds] => (url, Task::Loops { threads: threads.parse()?, seconds: seconds.parse()? }),
        [url, "time-out"] => (url, Task::TimeOut),
        _ => return Err("usage: diesel-program <url> [loops <threads> <seconds> | time-out]".into()),
    };
    match url.split_once("://") {
        Some(("postgres" | "postgresql", _)) => postgres::run(url, task),
        Some(("mysql", _)) => mysql::run(url, task),
        _ => sqlite::run(url, task),
    }
}

/// The program's task.
#[derive(Debug, Clone, Copy)]
enum Task {
    /// All steps, once.
    All,
    /// Query accounts in this many threads, for this long.
    Loops { threads: usize, seconds: u64 },
    /// Request one connection more than there are, and print the error.
    TimeOut,
}
