//! Transactions: the driver's own type, and a commit that does not lie.

use crate::connection::Connection;
use crate::manager::PostgresManager;
use cabrank::Transact;
use postgres::error::SqlState;
use postgres::{Error, IsolationLevel, Transaction};

/// How a transaction is begun: the options of `pool.transaction()`. What is not set is as the server has it.
#[derive(Debug, Clone, Copy, Default)]
pub struct TransactionOptions {
    isolation_level: Option<IsolationLevel>,
    read_only: Option<bool>,
    deferrable: Option<bool>,
}

impl TransactionOptions {
    /// The server's defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// The isolation level. With `Serializable` and `RepeatableRead` ask for retries.
    pub fn isolation_level(mut self, level: IsolationLevel) -> Self {
        self.isolation_level = Some(level);
        self
    }

    /// Whether writing is refused.
    pub fn read_only(mut self, read_only: bool) -> Self {
        self.read_only = Some(read_only);
        self
    }

    /// Whether a serializable, read-only transaction waits at its beginning until it can run without ever failing.
    pub fn deferrable(mut self, deferrable: bool) -> Self {
        self.deferrable = Some(deferrable);
        self
    }
}

impl Transact for PostgresManager {
    type Transaction<'c> = Transaction<'c>;
    type Options = TransactionOptions;

    fn begin<'c>(&self, conn: &'c mut Connection, options: &TransactionOptions) -> Result<Transaction<'c>, Error> {
        let mut builder = conn.client.build_transaction();
        if let Some(level) = options.isolation_level {
            builder = builder.isolation_level(level);
        }
        if let Some(read_only) = options.read_only {
            builder = builder.read_only(read_only);
        }
        if let Some(deferrable) = options.deferrable {
            builder = builder.deferrable(deferrable);
        }
        builder.start()
    }

    /// The server answers `COMMIT` of an aborted transaction with a rollback and no error. A statement in front of it, in
    /// the same round trip, fails there.
    fn commit(&self, mut transaction: Transaction<'_>) -> Result<(), Error> {
        match transaction.batch_execute("SELECT 1; COMMIT") {
            Ok(()) => {
                done(transaction);
                Ok(())
            }
            Err(error) => {
                // Aborted before the COMMIT, the transaction is still open, and dropping it rolls it back. Failed by the
                // COMMIT itself, it is gone, and a ROLLBACK would put a warning into the server's log.
                let open = error.code() == Some(&SqlState::IN_FAILED_SQL_TRANSACTION);
                if !open && transaction.batch_execute("BEGIN; ROLLBACK").is_ok() {
                    done(transaction);
                }
                Err(error)
            }
        }
    }

    fn rollback(&self, transaction: Transaction<'_>) -> Result<(), Error> {
        transaction.rollback()
    }
}

/// Lets go of a transaction that has ended already, without the ROLLBACK that dropping it would send. It owns nothing else:
/// two references, and no savepoint's name, for it is the outermost.
fn done(transaction: Transaction<'_>) {
    std::mem::forget(transaction);
}
