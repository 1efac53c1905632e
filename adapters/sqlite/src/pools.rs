//! A pool of one writer and a pool of readers over one database.

use crate::manager::SqliteManager;
use cabrank::{BuildError, Builder, GetError, Pool, PooledConnection};

/// One writer and several readers over one database. Use this if several threads write often or for long; for few and short
/// transactions one pool is enough.
///
/// SQLite has one writer at a time. With a single pool, two writers compete for the file's lock, where the second polls until the lock is
/// free or `busy_timeout` is over, in no defined order. Here writers queue for the one writing connection, in order of arrival, and wait
/// up to `acquire_timeout`. Readers never block them (in WAL mode), and cannot write by mistake: `query_only` is on.
///
/// ```
/// use cabrank_sqlite::{SqliteManager, SqlitePools, rusqlite};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("app.db");
/// let pools = SqlitePools::builder(SqliteManager::file(path).create(true)).readers(4).build()?;
/// pools.writer()?.execute_batch("CREATE TABLE account (id INTEGER PRIMARY KEY, money INTEGER NOT NULL)")?;
///
/// let id = pools.write().transaction().run(|tx| -> rusqlite::Result<i64> {
///     tx.execute("INSERT INTO account (money) VALUES (?1)", [100])?;
///     Ok(tx.last_insert_rowid())
/// })?;
/// let money: i64 = pools.reader()?.query_row("SELECT money FROM account WHERE id = ?1", [id], |row| row.get(0))?;
/// assert_eq!(money, 100);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct SqlitePools {
    write: Pool<SqliteManager>,
    read: Pool<SqliteManager>,
}

impl SqlitePools {
    /// Returns a builder for one writer and four readers, all with the settings of `manager`.
    pub fn builder(manager: SqliteManager) -> SqlitePoolsBuilder {
        SqlitePoolsBuilder { write: Pool::builder(), read: Pool::builder().max_size(4), manager }
    }

    /// Returns the pool of the writing connection. Its transactions are `IMMEDIATE`.
    pub fn write(&self) -> &Pool<SqliteManager> {
        &self.write
    }

    /// Returns the pool of the reading connections. Its transactions are `DEFERRED`: all their reads see one snapshot of the data.
    pub fn read(&self) -> &Pool<SqliteManager> {
        &self.read
    }

    /// Checks out the writing connection.
    #[track_caller]
    pub fn writer(&self) -> Result<PooledConnection<SqliteManager>, GetError<rusqlite::Error>> {
        self.write.get()
    }

    /// Checks out a reading connection.
    #[track_caller]
    pub fn reader(&self) -> Result<PooledConnection<SqliteManager>, GetError<rusqlite::Error>> {
        self.read.get()
    }

    /// Closes both pools: refuses new loans, wakes waiters, closes idle connections, and does not wait. To wait for lent connections,
    /// close each pool with [`close_within`](Pool::close_within).
    pub fn close(&self) {
        self.read.close();
        self.write.close();
    }
}

/// Builds [`SqlitePools`]. The default names of the pools contain the file's: `"app.db write"` and `"app.db read"`.
///
/// ```
/// use cabrank_sqlite::{SqliteManager, SqlitePools};
/// use std::time::Duration;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pools = SqlitePools::builder(SqliteManager::memory())
///     .readers(2)
///     .write_pool(|pool| pool.acquire_timeout(Duration::from_secs(10)))
///     .build()?;
/// assert_eq!(pools.read().stats().max_size, 2);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct SqlitePoolsBuilder {
    manager: SqliteManager,
    write: Builder<SqliteManager>,
    read: Builder<SqliteManager>,
}

impl SqlitePoolsBuilder {
    /// The maximum number of readers. Default: 4.
    pub fn readers(mut self, max_size: u32) -> Self {
        self.read = self.read.max_size(max_size);
        self
    }

    /// Changes the settings of the writer's pool, such as the time-out of its queue. Its size stays one.
    pub fn write_pool(mut self, change: impl FnOnce(Builder<SqliteManager>) -> Builder<SqliteManager>) -> Self {
        self.write = change(self.write);
        self
    }

    /// Changes the settings of the readers' pool.
    pub fn read_pool(mut self, change: impl FnOnce(Builder<SqliteManager>) -> Builder<SqliteManager>) -> Self {
        self.read = change(self.read);
        self
    }

    /// Opens the writer, which creates the file if configured and sets its journal mode, and then a reader.
    pub fn build(self) -> Result<SqlitePools, BuildError<rusqlite::Error>> {
        let Self { manager, write, read } = self;
        let readers = SqliteManager { part: Some("read"), ..manager.clone().create(false).query_only(true) };
        let write = write.max_size(1).build(SqliteManager { part: Some("write"), ..manager })?;
        let read = read.build(readers)?;
        Ok(SqlitePools { write, read })
    }
}
