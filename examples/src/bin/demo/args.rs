//! The command line: which database, and how much of everything. What is wrong is said here, before anything is opened.

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

/// The checked command line.
#[derive(Debug)]
pub(crate) struct Args {
    pub(crate) database: Database,
    pub(crate) max_size: u32,
    pub(crate) threads: u32,
    pub(crate) hold: Duration,
}

/// Where the story takes place.
#[derive(Debug, PartialEq)]
pub(crate) enum Database {
    /// An SQLite file that is gone afterwards.
    Temporary,
    /// An SQLite file, made if it does not exist.
    File(PathBuf),
}

impl Args {
    /// Reads the command line; prints what is wrong with it and ends the program with status 2.
    pub(crate) fn read() -> Self {
        let Words { url, max_size, threads, hold } = Words::parse();
        // Not by clap's own means: it would print the value, and there may be a password in it.
        let database = database(url.as_deref())
            .unwrap_or_else(|problem| Words::command().error(ErrorKind::ValueValidation, problem).exit());
        Self { database, max_size, threads, hold: Duration::from_millis(hold.into()) }
    }
}

/// The life of a connection pool, told on a real database: single queries, more threads than connections, transactions,
/// states and statistics, exhaustion and recovery, a graceful close.
///
/// Each section says what it expects and what came. The exit status is 0 if all came as expected, 1 if something did
/// not, and 2 if the demo could not run.
#[derive(Debug, Parser)]
#[command(name = "demo", allow_negative_numbers = true)]
struct Words {
    /// The database: sqlite:PATH or a path. The demo makes a table cabrank_demo_account there and drops it afterwards.
    /// [default: a temporary SQLite file]
    #[arg(long, value_name = "URL")]
    url: Option<String>,

    /// The most connections the pool may hold.
    #[arg(long, value_name = "COUNT", default_value = "10", value_parser = number(1..=100))]
    max_size: u32,

    /// How many threads share them in the section on concurrency.
    #[arg(long, value_name = "COUNT", default_value = "15", value_parser = number(1..=1_000))]
    threads: u32,

    /// For how long each of these threads holds a connection, in milliseconds: the work that is simulated.
    #[arg(long, value_name = "MS", default_value = "5", value_parser = number(0..=10_000))]
    hold: u32,
}

fn number(allowed: RangeInclusive<u32>) -> impl Fn(&str) -> Result<u32, String> + Clone + Send + Sync + 'static {
    move |text| match text.parse() {
        Ok(number) if allowed.contains(&number) => Ok(number),
        _ => Err(format!("give a whole number from {} to {}", allowed.start(), allowed.end())),
    }
}

fn database(url: Option<&str>) -> Result<Database, String> {
    let Some(url) = url else { return Ok(Database::Temporary) };
    let path = match scheme(url) {
        Some(("sqlite", path)) => path.strip_prefix("//").unwrap_or(path),
        Some((other, _)) => {
            return Err(format!("--url: no engine for {other:?} in this build, which has sqlite; {REMEDY}"));
        }
        None => url,
    };
    if path.is_empty() {
        return Err(format!("--url: there is no path in it; {REMEDY}"));
    }
    Ok(Database::File(PathBuf::from(path)))
}

/// What stands before the first colon, if it looks like a scheme and not like a drive or a file, and what follows.
fn scheme(url: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = url.split_once(':')?;
    let is_scheme = scheme.len() > 1 && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    is_scheme.then_some((scheme, rest))
}

const REMEDY: &str = "give `sqlite:PATH` or the path of a file, or leave --url out for a temporary file";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_file_with_or_without_its_scheme() {
        for (url, path) in [
            ("demo.db", "demo.db"),
            ("./a/demo.db", "./a/demo.db"),
            ("sqlite:demo.db", "demo.db"),
            ("sqlite://demo.db", "demo.db"),
            ("sqlite:///srv/demo.db", "/srv/demo.db"),
            (r"C:\demo.db", r"C:\demo.db"),
        ] {
            assert_eq!(database(Some(url)), Ok(Database::File(PathBuf::from(path))), "{url}");
        }
        assert_eq!(database(None), Ok(Database::Temporary));
    }

    #[test]
    fn a_refused_url_is_not_repeated_for_it_may_hold_a_password() {
        for url in ["postgres://me:secret@host/db", "mysql:secret", "oracle:secret"] {
            let problem = database(Some(url)).unwrap_err();
            assert!(problem.contains("--url") && problem.contains("sqlite"), "{problem}");
            assert!(!problem.contains("secret"), "{problem}");
        }
        assert!(database(Some("sqlite:")).is_err());
        assert!(database(Some("")).is_err());
    }
}
