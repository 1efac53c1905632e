//! A writer's pool and the readers' over one database.

use crate::manager::SqliteManager;
use cabrank::{BuildError, Builder, GetError, Pool, PooledConnection};

/// One writer and several readers over one database: for writes, use this.
///
/// SQLite has one writer at a time. With one pool for all, two writers meet at the file's lock, where the second
/// polls until it is free or `busy_timeout` is over, first come or not. Here they queue for the one connection that
/// writes, are served in order of arrival, and wait as long as `acquire_timeout` says. Readers are never in their
/// way (in WAL mode), and cannot write by mistake: `query_only` is on.
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
    /// Starts with one writer and four readers, all with the settings of `manager`.
    pub fn builder(manager: SqliteManager) -> SqlitePoolsBuilder {
        SqlitePoolsBuilder { write: Pool::builder(), read: Pool::builder().max_size(4), manager }
    }

    /// The pool of the one connection that writes. Its transactions are `IMMEDIATE`.
    pub fn write(&self) -> &Pool<SqliteManager> {
        &self.write
    }

    /// The pool of the connections that only read. Its transactions are `DEFERRED`: one view of the data for all
    /// they read.
    pub fn read(&self) -> &Pool<SqliteManager> {
        &self.read
    }

    /// Borrows the connection that writes.
    #[track_caller]
    pub fn writer(&self) -> Result<PooledConnection<SqliteManager>, GetError<rusqlite::Error>> {
        self.write.get()
    }

    /// Borrows a connection that reads.
    #[track_caller]
    pub fn reader(&self) -> Result<PooledConnection<SqliteManager>, GetError<rusqlite::Error>> {
        self.read.get()
    }

    /// Closes both pools: refuses new loans, wakes those who wait, closes idle connections, and waits for nobody. To
    /// wait for what is still lent, close each pool with [`close_within`](Pool::close_within).
    pub fn close(&self) {
        self.read.close();
        self.write.close();
    }
}

/// Builds [`SqlitePools`]. Unless they are named the pools are called by the file: `"app.db write"` and `"app.db read"`.
#[derive(Debug)]
pub struct SqlitePoolsBuilder {
    manager: SqliteManager,
    write: Builder<SqliteManager>,
    read: Builder<SqliteManager>,
}

impl SqlitePoolsBuilder {
    /// The largest number of connections that read. Default: 4.
    pub fn readers(mut self, max_size: u32) -> Self {
        self.read = self.read.max_size(max_size);
        self
    }

    /// Changes the settings of the writer's pool, such as how long to queue for it. Its size stays one.
    pub fn write_pool(mut self, change: impl FnOnce(Builder<SqliteManager>) -> Builder<SqliteManager>) -> Self {
        self.write = change(self.write);
        self
    }

    /// Changes the settings of the readers' pool.
    pub fn read_pool(mut self, change: impl FnOnce(Builder<SqliteManager>) -> Builder<SqliteManager>) -> Self {
        self.read = change(self.read);
        self
    }

    /// Opens the writer, which creates the file if that is asked for and sets its journal mode, and then a reader.
    pub fn build(self) -> Result<SqlitePools, BuildError<rusqlite::Error>> {
        let Self { manager, write, read } = self;
        let readers = SqliteManager { part: Some("read"), ..manager.clone().create(false).query_only(true) };
        let write = write.max_size(1).build(SqliteManager { part: Some("write"), ..manager })?;
        let read = read.build(readers)?;
        Ok(SqlitePools { write, read })
    }
}
