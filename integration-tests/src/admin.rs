//! A direct login through the plain driver, without a pool: to prepare a test, and to observe the server from outside the pool.

use anyhow::{Result, bail};
use cabrank_testing::servers::Engine;
use mysql::prelude::Queryable;
use std::time::Duration;
use url::Url;

/// A connection outside of any pool.
pub enum Admin {
    /// Through `postgres`.
    Postgres(Box<postgres::Client>),
    /// Through `mysql`, also for MariaDB.
    Mysql(mysql::Conn),
}

impl Admin {
    /// Logs in, without TLS. Every wait of MySQL's driver is limited to ten seconds; PostgreSQL's has no such limit.
    pub fn log_in(engine: Engine, url: &Url) -> Result<Self> {
        match engine {
            Engine::Postgres => Ok(Self::Postgres(Box::new(postgres::Client::connect(url.as_str(), postgres::NoTls)?))),
            Engine::Mysql | Engine::Mariadb => {
                let options = mysql::OptsBuilder::from_opts(mysql::Opts::from_url(url.as_str())?)
                    // Otherwise the driver would ask a server on this machine for its socket, which belongs to another server.
                    .prefer_socket(false)
                    .tcp_connect_timeout(Some(LIMIT))
                    .read_timeout(Some(LIMIT))
                    .write_timeout(Some(LIMIT));
                Ok(Self::Mysql(mysql::Conn::new(options)?))
            }
            Engine::Sqlite => bail!("SQLite has no server to log in at"),
        }
    }

    /// Runs statements and ignores their rows. On PostgreSQL they may be separated by semicolons.
    pub fn execute(&mut self, sql: &str) -> Result<()> {
        match self {
            Self::Postgres(client) => client.batch_execute(sql)?,
            Self::Mysql(conn) => conn.query_drop(sql)?,
        }
        Ok(())
    }

    /// All rows, with every value as text and NULL as an empty text.
    pub fn rows(&mut self, sql: &str) -> Result<Vec<Vec<String>>> {
        match self {
            Self::Postgres(client) => {
                let messages = client.simple_query(sql)?;
                let rows = messages.iter().filter_map(|message| match message {
                    postgres::SimpleQueryMessage::Row(row) => Some(row),
                    _ => None,
                });
                Ok(rows.map(|row| (0..row.len()).map(|at| row.get(at).unwrap_or("").to_owned()).collect()).collect())
            }
            Self::Mysql(conn) => {
                let rows: Vec<mysql::Row> = conn.query(sql)?;
                let text = |value: mysql::Value| mysql::from_value::<Option<String>>(value).unwrap_or_default();
                Ok(rows.into_iter().map(|row| row.unwrap().into_iter().map(text).collect()).collect())
            }
        }
    }

    /// The single number that a statement returns.
    pub fn number(&mut self, sql: &str) -> Result<i64> {
        let rows = self.rows(sql)?;
        match rows.first().and_then(|row| row.first()) {
            Some(text) => Ok(text.parse()?),
            None => bail!("no row for {sql}"),
        }
    }

    /// The ids of a user's sessions at the server.
    pub fn sessions_of(&mut self, user: &str) -> Result<Vec<i64>> {
        let rows = self.rows(&match self {
            Self::Postgres(_) => format!("SELECT pid FROM pg_stat_activity WHERE usename = '{user}'"),
            Self::Mysql(_) => format!("SELECT id FROM information_schema.processlist WHERE user = '{user}'"),
        })?;
        rows.iter().map(|row| Ok(row[0].parse()?)).collect()
    }

    /// The number of a user's running statements.
    pub fn running(&mut self, user: &str) -> Result<i64> {
        self.number(&match self {
            Self::Postgres(_) => {
                format!("SELECT count(*) FROM pg_stat_activity WHERE usename = '{user}' AND state = 'active'")
            }
            Self::Mysql(_) => format!(
                "SELECT count(*) FROM information_schema.processlist WHERE user = '{user}' AND command = 'Query'"
            ),
        })
    }

    /// Ends a session from the server's side. It may already be gone.
    pub fn kill(&mut self, session: i64) -> Result<()> {
        match self {
            Self::Postgres(client) => client.batch_execute(&format!("SELECT pg_terminate_backend({session})"))?,
            Self::Mysql(conn) => match conn.query_drop(format!("KILL {session}")) {
                Err(mysql::Error::MySqlError(error)) if error.code == NO_SUCH_THREAD => {}
                killed => killed?,
            },
        }
        Ok(())
    }
}

impl std::fmt::Debug for Admin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Admin")
    }
}

const LIMIT: Duration = Duration::from_secs(10);

/// ER_NO_SUCH_THREAD.
const NO_SUCH_THREAD: u16 = 1094;
