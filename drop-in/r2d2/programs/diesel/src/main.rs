//! Accounts in a database, by Diesel and its `r2d2` module. Run as `diesel-program <url>`, where the url begins with `postgres://` or
//! `mysql://`, or is the path of an SQLite file. With `loops <threads> <seconds>` behind it, it only looks accounts up, and prints how many
//! in a second.
//!
//! Nothing here is made for one pool or another: what `r2d2` is, the workspace's manifest says.

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

/// What to do.
#[derive(Debug, Clone, Copy)]
enum Task {
    /// Everything, once.
    All,
    /// Look accounts up, by so many threads, for so long.
    Loops { threads: usize, seconds: u64 },
    /// Ask for one connection more than there are, and print the error.
    TimeOut,
}
