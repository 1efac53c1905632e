//! The driver's part in typed transactions.

use super::Manager;

/// The driver's part in typed transactions; see [`Pool::transaction`](crate::Pool::transaction).
///
/// ```
/// # use cabrank::doc_toy::{Conn, Toy};
/// # use cabrank::{Limit, Manager, Pool, Transact};
/// # use std::io;
/// # struct Db;
/// # impl Manager for Db {
/// #     type Connection = Conn;
/// #     type Error = io::Error;
/// #     fn connect(&self, limit: &Limit) -> io::Result<Conn> { Toy.connect(limit) }
/// #     fn is_valid(&self, conn: &mut Conn, limit: &Limit) -> io::Result<()> { Toy.is_valid(conn, limit) }
/// #     fn has_broken(&self, conn: &mut Conn) -> bool { Toy.has_broken(conn) }
/// # }
/// impl Transact for Db {
///     type Transaction<'c> = &'c mut Conn;
/// #     type Options = ();
///     fn begin<'c>(&self, conn: &'c mut Conn, _: &()) -> io::Result<&'c mut Conn> {
///         conn.execute("BEGIN").map(|_| conn)
///     }
///     fn commit(&self, conn: &mut Conn) -> io::Result<()> {
///         conn.execute("COMMIT").map(drop)
///     }
///     // And `rollback` and `nested`.
/// #     fn rollback(&self, conn: &mut Conn) -> io::Result<()> { conn.execute("ROLLBACK").map(drop) }
/// #     fn nested<T, E: From<io::Error>>(
/// #         outer: &mut &mut Conn,
/// #         work: impl FnOnce(&mut &mut Conn) -> Result<T, E>,
/// #     ) -> Result<T, E> {
/// #         work(outer)
/// #     }
/// }
///
/// # let pool = Pool::builder().build(Db)?;
/// pool.transaction().run(|tx| tx.execute("DELETE FROM carts"))?;
/// assert_eq!(pool.get()?.log, ["BEGIN", "DELETE FROM carts", "COMMIT"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Transact: Manager {
    /// The driver's transaction: the outermost one, and those nested in it.
    type Transaction<'c>;
    /// The driver's transaction options; the default begins the driver's usual transaction.
    type Options: Clone + Default + Send + Sync;

    /// Begins a transaction. Called in the caller's thread, as are the other methods.
    fn begin<'c>(
        &self,
        conn: &'c mut Self::Connection,
        options: &Self::Options,
    ) -> Result<Self::Transaction<'c>, Self::Error>;

    /// Commits. Must fail if the server turned the commit into a rollback.
    fn commit(&self, transaction: Self::Transaction<'_>) -> Result<(), Self::Error>;

    /// Rolls back.
    fn rollback(&self, transaction: Self::Transaction<'_>) -> Result<(), Self::Error>;

    /// Runs `work` in a transaction nested in `outer`: between a savepoint and its release. An adapter also offers this as a method of
    /// its transactions, which closures call.
    ///
    /// If `work` fails or panics, its changes are rolled back to the savepoint, and `outer` goes on. If the savepoint can be neither
    /// released nor rolled back to, `outer` must not commit any more: [`commit`](Self::commit) then fails.
    ///
    /// This method retries nothing. An error that means [`Fault::Retry`](crate::Fault::Retry) concerns the whole transaction: the
    /// closures pass it on to the pool, which runs the outermost one again.
    ///
    /// ```
    /// # use cabrank::{Limit, Manager, Pool};
    /// use cabrank::Transact;
    /// use std::io;
    ///
    /// # struct Toy;
    /// # impl Manager for Toy {
    /// #     type Connection = i64;
    /// #     type Error = io::Error;
    /// #     fn connect(&self, _: &Limit) -> io::Result<i64> { Ok(0) }
    /// #     fn is_valid(&self, _: &mut i64, _: &Limit) -> io::Result<()> { Ok(()) }
    /// #     fn has_broken(&self, _: &mut i64) -> bool { false }
    /// # }
    /// /// A number on loan, and what it becomes at the commit.
    /// struct Change<'c> {
    ///     number: &'c mut i64,
    ///     then: i64,
    /// }
    ///
    /// impl Transact for Toy {
    ///     type Transaction<'c> = Change<'c>;
    ///     // ..
    /// #     type Options = ();
    /// #     fn begin<'c>(&self, number: &'c mut i64, _: &()) -> io::Result<Change<'c>> {
    /// #         let then = *number;
    /// #         Ok(Change { number, then })
    /// #     }
    /// #     fn commit(&self, change: Change<'_>) -> io::Result<()> { *change.number = change.then; Ok(()) }
    /// #     fn rollback(&self, _: Change<'_>) -> io::Result<()> { Ok(()) }
    ///     fn nested<T, E: From<io::Error>>(
    ///         outer: &mut Change<'_>,
    ///         work: impl FnOnce(&mut Change<'_>) -> Result<T, E>,
    ///     ) -> Result<T, E> {
    ///         // This copy is the savepoint: an error or a panic of `work` leaves `outer` as it was.
    ///         let mut inner = Change { number: &mut *outer.number, then: outer.then };
    ///         let value = work(&mut inner)?;
    ///         outer.then = inner.then;
    ///         Ok(value)
    ///     }
    /// }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Pool::builder().max_size(1).build(Toy)?;
    /// pool.transaction().run(|tx| -> io::Result<()> {
    ///     tx.then += 100;
    ///     let failed = Toy::nested(tx, |tx| -> io::Result<()> {
    ///         tx.then += 5;
    ///         Err(io::ErrorKind::Other.into())
    ///     });
    ///     assert!(failed.is_err());
    ///     Ok(())
    /// })?;
    /// assert_eq!(*pool.get()?, 100);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The unchanged error of `work`, or the driver's if the savepoint cannot be set (`work` then does not run) or released.
    fn nested<T, E: From<Self::Error>>(
        outer: &mut Self::Transaction<'_>,
        work: impl FnOnce(&mut Self::Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E>;
}
