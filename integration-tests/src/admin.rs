//! A login of our own, by the plain driver: for setting the stage of a test, and for looking at the server from outside
//! the pool.

use std::time::Duration;

use anyhow::{Result, bail};
use mysql::prelude::Queryable;
use url::Url;

use crate::engine::Engine;

/// A connection that no pool knows.
pub enum Admin {
    /// By `postgres`.
    Postgres(Box<postgres::Client>),
    /// By `mysql`, also for MariaDB.
    Mysql(mysql::Conn),
}

impl Admin {
    /// Logs in, without TLS. Every wait of MySQL's driver is limited to ten seconds; PostgreSQL's knows no such limit.
    pub fn log_in(engine: Engine, url: &Url) -> Result<Self> {
        match engine {
            Engine::Postgres => Ok(Self::Postgres(Box::new(postgres::Client::connect(url.as_str(), postgres::NoTls)?))),
            Engine::Mysql | Engine::Mariadb => {
                let options = mysql::OptsBuilder::from_opts(mysql::Opts::from_url(url.as_str())?)
                    // Otherwise a server on this machine would be asked for its socket, which is another one's.
                    .prefer_socket(false)
                    .tcp_connect_timeout(Some(LIMIT))
                    .read_timeout(Some(LIMIT))
                    .write_timeout(Some(LIMIT));
                Ok(Self::Mysql(mysql::Conn::new(options)?))
            }
            Engine::Sqlite => bail!("SQLite has no server to log in at"),
        }
    }

    /// Runs statements whose rows do not matter, separated by semicolons on PostgreSQL.
    pub fn execute(&mut self, sql: &str) -> Result<()> {
        match self {
            Self::Postgres(client) => client.batch_execute(sql)?,
            Self::Mysql(conn) => conn.query_drop(sql)?,
        }
        Ok(())
    }

    /// All rows, every value as text; NULL as nothing.
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

    /// The one number that a statement gives.
    pub fn number(&mut self, sql: &str) -> Result<i64> {
        let rows = self.rows(sql)?;
        match rows.first().and_then(|row| row.first()) {
            Some(text) => Ok(text.parse()?),
            None => bail!("no row for {sql}"),
        }
    }

    /// How many sessions the server has in a database, ours not counted.
    pub fn sessions(&mut self, database: &str) -> Result<i64> {
        match self {
            Self::Postgres(_) => self.number(&format!(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}' AND pid <> pg_backend_pid()"
            )),
            Self::Mysql(_) => self.number(&format!(
                "SELECT count(*) FROM information_schema.processlist WHERE db = '{database}' AND id <> connection_id()"
            )),
        }
    }
}

impl std::fmt::Debug for Admin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Admin")
    }
}

const LIMIT: Duration = Duration::from_secs(10);
