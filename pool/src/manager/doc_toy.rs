//! The managers in the examples of this documentation. They have no database.
//!
//! Not part of the public API: any version may change or remove them.

use super::{AbortHandle, Manager, SessionState, Transact};
use crate::limit::Limit;
use std::io;

/// A manager for a database that accepts every statement and stores nothing.
#[derive(Debug, Clone, Copy)]
pub struct Toy;

/// A manager for a server that is down.
#[derive(Debug, Clone, Copy)]
pub struct Away;

/// A connection of a [`Toy`].
#[derive(Debug, Default)]
pub struct Conn {
    /// The statements that have run.
    pub log: Vec<String>,
}

impl Conn {
    /// Runs a statement, and returns the number of affected rows: one.
    ///
    /// # Errors
    ///
    /// A syntax error, if the first word is none that begins a statement.
    pub fn execute(&mut self, sql: &str) -> io::Result<u64> {
        let word = sql.split(' ').next().unwrap_or_default();
        if !WORDS.contains(&word) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("syntax error at {word:?}")));
        }
        self.log.push(sql.to_owned());
        Ok(1)
    }
}

impl Manager for Toy {
    type Connection = Conn;
    type Error = io::Error;

    fn connect(&self, _: &Limit) -> io::Result<Conn> {
        Ok(Conn::default())
    }
    fn is_valid(&self, _: &mut Conn, _: &Limit) -> io::Result<()> {
        Ok(())
    }
    fn has_broken(&self, _: &mut Conn) -> bool {
        false
    }
    fn session(&self, _: &mut Conn) -> SessionState {
        SessionState::Clean
    }
    fn abort_handle(&self, _: &Conn) -> Option<Box<dyn AbortHandle>> {
        Some(Box::new(TooLate))
    }
}

/// A transaction is the connection itself, between two statements.
impl Transact for Toy {
    type Transaction<'c> = &'c mut Conn;
    type Options = ();

    fn begin<'c>(&self, conn: &'c mut Conn, (): &()) -> io::Result<&'c mut Conn> {
        conn.execute("BEGIN").map(|_| conn)
    }
    fn commit(&self, conn: &mut Conn) -> io::Result<()> {
        conn.execute("COMMIT").map(drop)
    }
    fn rollback(&self, conn: &mut Conn) -> io::Result<()> {
        conn.execute("ROLLBACK").map(drop)
    }
    fn nested<T, E: From<io::Error>>(
        outer: &mut &mut Conn,
        work: impl FnOnce(&mut &mut Conn) -> Result<T, E>,
    ) -> Result<T, E> {
        outer.execute("SAVEPOINT inner")?;
        let outcome = work(outer);
        outer.execute(if outcome.is_ok() { "RELEASE inner" } else { "ROLLBACK TO inner" })?;
        outcome
    }
}

impl Manager for Away {
    type Connection = Conn;
    type Error = io::Error;

    fn connect(&self, _: &Limit) -> io::Result<Conn> {
        Err(io::ErrorKind::ConnectionRefused.into())
    }
    fn is_valid(&self, _: &mut Conn, _: &Limit) -> io::Result<()> {
        Ok(())
    }
    fn has_broken(&self, _: &mut Conn) -> bool {
        false
    }
}

/// Every request to cancel is sent, and comes too late.
struct TooLate;

impl AbortHandle for TooLate {
    fn cancel(&self, _: &Limit) -> bool {
        true
    }
    fn abort(&self) {}
}

const WORDS: [&str; 10] =
    ["BEGIN", "COMMIT", "DELETE", "INSERT", "RELEASE", "ROLLBACK", "SAVEPOINT", "SELECT", "SET", "UPDATE"];
