//! What the demo asks of a database. All else is the same for every engine, because the pool is.

use cabrank::Transact;

/// An engine the demo can run on: a manager of the pool's, and the statements of the story.
///
/// To add one, implement this for its manager and give `lib.rs` its scheme.
pub(crate) trait Engine: Transact + Clone {
    /// The engine and its version.
    fn describe(conn: &mut Self::Connection) -> Result<String, Self::Error>;

    /// Makes the table of accounts. Fails if there is one already: it may be somebody's.
    fn create_table(conn: &mut Self::Connection) -> Result<(), Self::Error>;

    /// Drops it.
    fn drop_table(conn: &mut Self::Connection) -> Result<(), Self::Error>;

    fn insert(conn: &mut Self::Connection, account: &Account) -> Result<(), Self::Error>;

    /// All accounts in the order of their numbers.
    fn accounts(conn: &mut Self::Connection) -> Result<Vec<Account>, Self::Error>;

    /// The sum of all balances.
    fn total(conn: &mut Self::Connection) -> Result<i64, Self::Error>;

    /// The balance of one account, within a transaction.
    fn balance(tx: &mut Self::Transaction<'_>, account: i64) -> Result<i64, Self::Error>;

    /// Sets the balance of one account, within a transaction.
    fn set_balance(tx: &mut Self::Transaction<'_>, account: i64, balance: i64) -> Result<(), Self::Error>;

    /// The options of a transaction that fails if what it read was changed by another before it writes.
    fn watchful() -> Self::Options;

    /// Makes this connection fail for good, with the error that a query would meet.
    fn lose(conn: &mut Self::Connection) -> Result<(), Self::Error>;
}

/// A row of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) id: i64,
    pub(crate) owner: String,
    pub(crate) balance: i64,
}
