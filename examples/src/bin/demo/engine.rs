//! The statements that the demo needs from a database. All else is the same for every engine.

use cabrank::Transact;

/// An engine that the demo can run on: the pool's manager for it, and the statements of the story.
///
/// To add one, implement this trait for its manager, and add its scheme to `lib.rs`.
pub(crate) trait Engine: Transact + Clone {
    /// The engine and its version, as it reports them.
    fn describe(conn: &mut Self::Connection) -> Result<String, Self::Error>;

    /// Creates the table of accounts. Fails if it exists, because it may contain somebody's data.
    fn create_table(conn: &mut Self::Connection) -> Result<(), Self::Error>;

    /// Drops the table of accounts.
    fn drop_table(conn: &mut Self::Connection) -> Result<(), Self::Error>;

    fn insert(conn: &mut Self::Connection, account: &Account) -> Result<(), Self::Error>;

    /// All accounts, ordered by id.
    fn accounts(conn: &mut Self::Connection) -> Result<Vec<Account>, Self::Error>;

    /// The sum of all balances.
    fn total(conn: &mut Self::Connection) -> Result<i64, Self::Error>;

    /// The balance of one account, within a transaction.
    fn balance(tx: &mut Self::Transaction<'_>, account: i64) -> Result<i64, Self::Error>;

    /// Sets the balance of one account, within a transaction.
    fn set_balance(tx: &mut Self::Transaction<'_>, account: i64, balance: i64) -> Result<(), Self::Error>;

    /// The options of a transaction whose write fails if another one has changed the rows that it read.
    fn watchful() -> Self::Options;

    /// Makes this connection unusable, and returns the error that a query would get.
    fn lose(conn: &mut Self::Connection) -> Result<(), Self::Error>;
}

/// A row of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) id: i64,
    pub(crate) owner: String,
    pub(crate) balance: i64,
}
