//! The part that all examples share: the argument `--url` and its meaning. Each program shows itself how to connect.

/// The examples of the README compile.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

use clap::Parser;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tempfile::TempDir;

/// The database that a program runs on.
#[derive(Debug)]
pub enum Database {
    /// An SQLite file, created if it does not exist.
    Sqlite(File),
    /// A URL for `postgres`.
    Postgres(String),
    /// A URL for `mysql`, which connects to MariaDB too.
    Mysql(String),
}

/// The path of an SQLite file.
#[derive(Debug)]
pub struct File {
    path: PathBuf,
    /// The folder of a temporary file, which is removed at the end.
    _temporary: Option<TempDir>,
}

impl Deref for File {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.path
    }
}

/// The argument that names the database.
#[derive(Debug, Clone, clap::Args)]
pub struct Url {
    /// The database: sqlite:PATH or a path, postgres://.., mysql://.., mariadb://.. [default: a temporary SQLite file]
    #[arg(long, value_name = "URL")]
    url: Option<String>,
}

impl Url {
    /// Returns the database. If the URL is wrong, prints why and ends the program with status 2.
    pub fn checked(&self) -> Database {
        // Not reported by clap, which would print the value, and so perhaps a password.
        database(self.url.as_deref()).unwrap_or_else(|problem| {
            eprintln!("error: --url: {problem}\n\nFor more information, try '--help'.");
            std::process::exit(2)
        })
    }
}

/// The whole of a small program: reads `--url`, runs the function for that engine, and prints an error with its causes.
pub fn run(
    on_sqlite: fn(&Path) -> anyhow::Result<()>,
    on_postgres: fn(&str) -> anyhow::Result<()>,
    on_mysql: fn(&str) -> anyhow::Result<()>,
) -> ExitCode {
    exit_code(match Program::parse().url.checked() {
        Database::Sqlite(file) => on_sqlite(&file),
        Database::Postgres(url) => on_postgres(&url),
        Database::Mysql(url) => on_mysql(&url),
    })
}

/// Ends a program: prints an error with its causes.
pub fn exit_code(outcome: anyhow::Result<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", with_causes(&error));
            ExitCode::FAILURE
        }
    }
}

/// Formats an error with its causes, as `{error:#}` does, but without those that only repeat the text above them: the cause of an
/// `rusqlite::Error` is its code with the same text.
pub fn with_causes(error: &anyhow::Error) -> String {
    let mut texts: Vec<String> = Vec::new();
    for cause in error.chain() {
        let text = cause.to_string();
        let news = text.rsplit(": ").next().unwrap_or_default();
        if !texts.last().is_some_and(|above| above.contains(news)) {
            texts.push(text);
        }
    }
    texts.join(": ")
}

/// An example of how to use cabrank. It creates objects whose names begin with cabrank_example, and drops them at the end.
#[derive(Debug, Parser)]
struct Program {
    #[command(flatten)]
    url: Url,
}

fn database(url: Option<&str>) -> Result<Database, String> {
    let Some(url) = url else { return temporary().map_err(|error| format!("{error}; {REMEDY}")) };
    let path = match scheme(url) {
        Some(("sqlite", path)) => path.strip_prefix("//").unwrap_or(path),
        Some(("postgres" | "postgresql", rest)) if rest.starts_with("//") => return Ok(Database::Postgres(url.into())),
        // The driver has one scheme for both.
        Some(("mysql" | "mariadb", rest)) if rest.starts_with("//") => {
            return Ok(Database::Mysql(format!("mysql:{rest}")));
        }
        Some((other, _)) => {
            return Err(format!("{other:?} is not a known engine, or lacks its `//`; {REMEDY}"));
        }
        None => url,
    };
    if path.is_empty() {
        return Err(format!("it contains no path; {REMEDY}"));
    }
    Ok(Database::Sqlite(File { path: PathBuf::from(path), _temporary: None }))
}

fn temporary() -> std::io::Result<Database> {
    let directory = tempfile::Builder::new().prefix("cabrank-").tempdir()?;
    Ok(Database::Sqlite(File { path: directory.path().join("example.db"), _temporary: Some(directory) }))
}

/// Splits a URL at its first colon, if the part before it looks like a scheme and not like a drive or a file.
fn scheme(url: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = url.split_once(':')?;
    let is_scheme = scheme.len() > 1 && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    is_scheme.then_some((scheme, rest))
}

const REMEDY: &str = "give `sqlite:PATH`, the path of a file, `postgres://USER:PASSWORD@HOST/DATABASE` or \
                      `mysql://USER:PASSWORD@HOST/DATABASE`, or omit --url to use a temporary file";

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
            assert_eq!(meant(url), format!("file {path}"), "{url}");
        }
    }

    #[test]
    fn a_url_of_a_server_goes_to_its_driver() {
        for (url, expected) in [
            ("postgres://me@host/db", "postgres postgres://me@host/db"),
            ("postgresql://me@host/db", "postgres postgresql://me@host/db"),
            ("mysql://me@host/db", "mysql mysql://me@host/db"),
            ("mariadb://me@host/db", "mysql mysql://me@host/db"),
        ] {
            assert_eq!(meant(url), expected);
        }
    }

    #[test]
    fn a_cause_that_repeats_the_text_above_it_is_left_out() {
        let chain = |texts: [&'static str; 3]| {
            let [last, middle, first] = texts;
            with_causes(&anyhow::anyhow!(last).context(middle).context(first))
        };
        assert_eq!(
            chain(["Error code 5: database is locked", "database is locked", "it failed"]),
            "it failed: database is locked"
        );
        assert_eq!(chain(["no such host", "cannot connect", "it failed"]), "it failed: cannot connect: no such host");
    }

    #[test]
    fn a_file_that_nobody_named_is_gone_afterwards() {
        let Ok(Database::Sqlite(file)) = database(None) else { panic!("a file was expected") };
        let folder = file.parent().expect("a folder").to_owned();
        assert!(folder.exists());
        drop(file);
        assert!(!folder.exists());
    }

    #[test]
    fn a_refused_url_is_not_repeated_for_it_may_hold_a_password() {
        for url in ["oracle://me:secret@host/db", "mysql:secret", "postgres:secret"] {
            let problem = database(Some(url)).unwrap_err();
            assert!(problem.contains("sqlite") && problem.contains("postgres://"), "{problem}");
            assert!(!problem.contains("secret"), "{problem}");
        }
        assert!(database(Some("sqlite:")).is_err());
        assert!(database(Some("")).is_err());
    }

    fn meant(url: &str) -> String {
        match database(Some(url)).expect("a URL that is understood") {
            Database::Sqlite(file) => format!("file {}", file.display()),
            Database::Postgres(url) => format!("postgres {url}"),
            Database::Mysql(url) => format!("mysql {url}"),
        }
    }
}
