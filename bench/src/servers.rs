//! The servers named by the environment: a database of the benchmark's own on each, with one table to read from.

use crate::pools::Target;
use crate::pools::own::mysql_opts;
use anyhow::{Context, Result};
use mysql::prelude::Queryable;
use postgres::NoTls;
use std::path::PathBuf;
use std::{env, fs};
use url::Url;

/// Each is prepared when first requested.
#[derive(Default)]
pub struct Servers {
    postgres: Option<String>,
    mysql: Option<String>,
    mariadb: Option<String>,
    sqlite: Option<PathBuf>,
    /// The versions of the servers that were used.
    pub versions: Vec<String>,
}

impl Servers {
    pub fn postgres(&mut self) -> Result<String> {
        if let Some(url) = &self.postgres {
            return Ok(url.clone());
        }
        let mut url = named("CABRANK_POSTGRES_URL")?;
        let mut admin = postgres::Client::connect(url.as_str(), NoTls)?;
        // `FORCE` ends sessions that a killed run left behind.
        admin.batch_execute(&format!("DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)"))?;
        admin.batch_execute(&format!("CREATE DATABASE {DATABASE}"))?;
        url.set_path(DATABASE);
        // Every driver here understands it, so none spends a round trip on the request for TLS.
        url.set_query(Some("sslmode=disable"));
        let mut client = postgres::Client::connect(url.as_str(), NoTls)?;
        client.batch_execute(
            "CREATE TABLE account (id integer PRIMARY KEY, balance integer NOT NULL); \
             INSERT INTO account SELECT id, 100 FROM generate_series(1, 1000) id; ANALYZE account",
        )?;
        self.note_postgres(client.query_one("SHOW server_version", &[])?.get(0));
        Ok(self.postgres.insert(url.into()).clone())
    }

    /// Records the version of a server that was started for a case.
    pub fn note_postgres(&mut self, version: &str) {
        let version = format!("PostgreSQL {}", version.split(' ').next().unwrap_or_default());
        if !self.versions.contains(&version) {
            self.versions.push(version);
        }
    }

    pub fn mysql(&mut self) -> Result<String> {
        if let Some(url) = &self.mysql {
            return Ok(url.clone());
        }
        let (url, version) = mysql_database("CABRANK_MYSQL_URL")?;
        self.versions.push(format!("MySQL {version}"));
        Ok(self.mysql.insert(url).clone())
    }

    pub fn mariadb(&mut self) -> Result<String> {
        if let Some(url) = &self.mariadb {
            return Ok(url.clone());
        }
        let (url, version) = mysql_database("CABRANK_MARIADB_URL")?;
        self.versions.push(format!("MariaDB {version}"));
        Ok(self.mariadb.insert(url).clone())
    }

    /// A file of the benchmark's own, removed at the end.
    pub fn sqlite(&mut self) -> Result<PathBuf> {
        if let Some(path) = &self.sqlite {
            return Ok(path.clone());
        }
        let path = env::temp_dir().join(format!("cabrank-bench-{}.db", std::process::id()));
        self.sqlite = Some(path.clone());
        let conn = rusqlite::Connection::open(&path)?;
        conn.execute_batch(
            "PRAGMA journal_mode = WAL; CREATE TABLE account (id integer PRIMARY KEY, balance integer NOT NULL); \
             WITH RECURSIVE series(id) AS (VALUES (1) UNION ALL SELECT id + 1 FROM series WHERE id < 1000) \
             INSERT INTO account SELECT id, 100 FROM series",
        )?;
        self.versions.push(format!("SQLite {}", rusqlite::version()));
        Ok(path)
    }

    pub fn target(&mut self, engine: &str) -> Result<Target> {
        Ok(match engine {
            "postgres" => Target::Postgres(self.postgres()?),
            "mysql" => Target::Mysql(self.mysql()?),
            "mariadb" => Target::Mysql(self.mariadb()?),
            _ => Target::Sqlite(self.sqlite()?),
        })
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        let Some(path) = &self.sqlite else { return };
        for suffix in ["", "-wal", "-shm"] {
            let _ = fs::remove_file(format!("{}{suffix}", path.display()));
        }
    }
}

/// A session that ends all others in the database. It is opened before the load, under which it would have to wait.
pub struct Killer(postgres::Client);

impl Killer {
    pub fn new(url: &str) -> Result<Self> {
        Ok(Self(postgres::Client::connect(url, NoTls)?))
    }

    pub fn kill(&mut self) -> Result<()> {
        self.0.simple_query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'",
        )?;
        Ok(())
    }
}

/// The benchmark's database on MySQL or MariaDB: its URL, and the server's version.
fn mysql_database(variable: &str) -> Result<(String, String)> {
    let mut url = named(variable)?;
    let mut admin = mysql::Conn::new(mysql_opts(url.as_str())?)?;
    admin.query_drop(format!("DROP DATABASE IF EXISTS {DATABASE}"))?;
    admin.query_drop(format!("CREATE DATABASE {DATABASE}"))?;
    url.set_path(DATABASE);
    let mut conn = mysql::Conn::new(mysql_opts(url.as_str())?)?;
    conn.query_drop("CREATE TABLE account (id integer PRIMARY KEY, balance integer NOT NULL)")?;
    conn.exec_batch("INSERT INTO account VALUES (?, 100)", (1..=1000).map(|id| (id,)))?;
    conn.query_drop("CREATE TABLE numbered (id bigint PRIMARY KEY AUTO_INCREMENT, x integer NOT NULL)")?;
    let version: Option<String> = conn.query_first("SELECT version()")?;
    Ok((url.into(), version.unwrap_or_default().split('-').next().unwrap_or_default().to_owned()))
}

fn named(variable: &str) -> Result<Url> {
    let url = env::var(variable).ok().filter(|url| !url.is_empty());
    let url = url.with_context(|| format!("no server: {variable} names none"))?;
    Url::parse(&url).with_context(|| format!("{variable} is no URL"))
}

const DATABASE: &str = "cabrank_bench";
