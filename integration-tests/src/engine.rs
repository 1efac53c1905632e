//! The database engines, and what the fixtures must know of each: names, variables, images, settings for tests.

use std::path::Path;
use std::{env, fmt, fs};

/// A database engine that the suite runs on.
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
    /// In the order of the report.
    pub const ALL: [Self; 4] = [Self::Postgres, Self::Mysql, Self::Mariadb, Self::Sqlite];

    /// As in the names of tests and in `CABRANK_ENGINE`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Mysql => "mysql",
            Self::Mariadb => "mariadb",
            Self::Sqlite => "sqlite",
        }
    }

    /// Whether there is a server at all.
    pub fn has_server(self) -> bool {
        self != Self::Sqlite
    }

    /// The variable that names a server to use instead of a container.
    pub fn url_variable(self) -> String {
        format!("CABRANK_{}_URL", self.name().to_uppercase())
    }

    /// The image to start: as the environment says, else as the workspace's `.env` says, else the official one.
    pub fn image(self) -> String {
        let official = match self {
            Self::Postgres => "postgres:18",
            Self::Mysql => "mysql:9",
            Self::Mariadb => "mariadb:11.8",
            Self::Sqlite => unreachable!("SQLite needs no image"),
        };
        image(&format!("CABRANK_{}_IMAGE", self.name().to_uppercase()), official)
    }

    pub(crate) fn port(self) -> u16 {
        if self == Self::Postgres { 5432 } else { 3306 }
    }

    /// The URL of a server in a container, without host and port: user, password, and the database that is always there.
    pub(crate) fn url(self) -> &'static str {
        match self {
            Self::Postgres => "postgres://postgres:cabrank@localhost/postgres?connect_timeout=5",
            _ => "mysql://root:cabrank@localhost/mysql",
        }
    }

    pub(crate) fn variables(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Postgres => &[("POSTGRES_PASSWORD", "cabrank")],
            Self::Mysql => &[("MYSQL_ROOT_PASSWORD", "cabrank")],
            Self::Mariadb => &[("MARIADB_ROOT_PASSWORD", "cabrank")],
            Self::Sqlite => &[],
        }
    }

    /// Few connections, so that a server that is full can be tried; data that outlives the server but not the machine; TLS with the
    /// certificate that PostgreSQL's packages made for trials (MySQL and MariaDB make one by themselves).
    pub(crate) fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Postgres => &[
                "-cmax_connections=60",
                "-cfsync=off",
                "-cfull_page_writes=off",
                "-cssl=on",
                "-cssl_cert_file=/etc/ssl/certs/ssl-cert-snakeoil.pem",
                "-cssl_key_file=/etc/ssl/private/ssl-cert-snakeoil.key",
            ],
            Self::Mysql => &[
                "--max-connections=60",
                "--skip-log-bin",
                "--innodb-flush-method=nosync",
                "--innodb-flush-log-at-trx-commit=2",
                "--innodb-doublewrite=OFF",
            ],
            Self::Mariadb => &[
                "--max-connections=60",
                "--innodb-flush-method=nosync",
                "--innodb-flush-log-at-trx-commit=2",
                "--innodb-doublewrite=OFF",
            ],
            Self::Sqlite => &[],
        }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What to do so that the tests of an engine can run, for whoever has no server.
pub(crate) fn advice(variable: &str) -> String {
    format!(
        "Either `cargo xtask test --setup` gets Docker and the images, or {variable} names a server, \
         or CABRANK_SKIP_SERVERS=1 skips these tests."
    )
}

/// An image's name and tag. `cargo xtask images` writes the stand-ins that it built into `.env`.
pub(crate) fn image(variable: &str, official: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.env");
    let text = fs::read_to_string(file).unwrap_or_default();
    let written = text.lines().find_map(|line| line.strip_prefix(variable)?.strip_prefix('='));
    let set = env::var(variable).ok().filter(|name| !name.is_empty());
    set.or(written.map(str::to_owned)).unwrap_or_else(|| official.to_owned())
}
