//! The servers for this repository's own tests, from the environment: `CABRANK_POSTGRES_URL` and its like name one, `CABRANK_ENGINE`
//! confines the tests to one engine, `CABRANK_SKIP_SERVERS` leaves out tests that need a server.

use std::{env, fmt};

/// A database engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Engine {
    /// PostgreSQL.
    Postgres,
    /// MySQL.
    Mysql,
    /// MariaDB.
    Mariadb,
    /// SQLite, which has no server.
    Sqlite,
}

impl Engine {
    /// In the order of reports.
    pub const ALL: [Self; 4] = [Self::Postgres, Self::Mysql, Self::Mariadb, Self::Sqlite];

    /// The name in test names and in `CABRANK_ENGINE`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Mysql => "mysql",
            Self::Mariadb => "mariadb",
            Self::Sqlite => "sqlite",
        }
    }

    /// Returns whether the engine has a server at all.
    pub fn has_server(self) -> bool {
        self != Self::Sqlite
    }

    /// The variable that names its server.
    pub fn url_variable(self) -> String {
        format!("CABRANK_{}_URL", self.name().to_uppercase())
    }

    /// Returns whether its tests run. All engines' do, unless `CABRANK_ENGINE` names one.
    pub fn is_chosen(self) -> bool {
        variable("CABRANK_ENGINE").is_none_or(|name| name == self.name())
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The URL of the server that a variable names, or the reason for not running a test.
pub fn url(name: &str) -> Result<String, String> {
    if are_skipped() {
        return Err(SKIPPED.into());
    }
    variable(name).ok_or_else(|| format!("{name} is not set"))
}

/// Returns whether `CABRANK_SKIP_SERVERS` is set to anything but 0.
pub fn are_skipped() -> bool {
    variable("CABRANK_SKIP_SERVERS").is_some_and(|value| value != "0")
}

/// The value of an environment variable; `None` also if it is empty.
pub fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// The reason for not running a test if servers [are skipped](are_skipped).
pub const SKIPPED: &str = "CABRANK_SKIP_SERVERS is set";
