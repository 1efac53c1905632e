//! A connection's past errors, as far as they affect the next command or the next holder.
//!
//! Pure: it records errors and decides whether a command may be sent. `fault.rs` classifies errors.

use crate::fault;
use crate::fault::fault;
use cabrank::Fault;
use mysql::{Error, MySqlError};
use std::io;

/// The record. A reset that has verified the position in the replies clears it, except for the last two fields: a property of the server,
/// and the role that the manager requires.
#[derive(Debug, Default)]
pub(crate) struct Health {
    /// It is unknown to which command the server's next bytes belong. Final, because the reset of such a connection fails.
    broken: bool,
    /// The state of this crate's transaction, with the error by which the server has rolled it back.
    transaction: Option<Under>,
    /// The holder has had the driver's connection itself.
    looked_away: bool,
    /// The holder has had the driver's row iterator, whose errors are not seen.
    rows: bool,
    /// A statement failed because the server is read-only or detached. A reset asks for that state.
    refused: bool,
    /// The pool has examined the connection since then.
    seen_refused: bool,
    /// Whether the server rolls the whole transaction back when a lock wait times out.
    on_timeout: bool,
    /// Whether the server must accept writes.
    needs_writes: bool,
}

#[derive(Debug)]
enum Under {
    Way,
    RolledBack(MySqlError),
}

impl Health {
    pub(crate) fn new(on_timeout: bool, needs_writes: bool) -> Self {
        Self { on_timeout, needs_writes, ..Self::default() }
    }

    /// Restores the state after opening, on the same server.
    pub(crate) fn renew(&mut self) {
        *self = Self::new(self.on_timeout, self.needs_writes);
    }

    /// Returns an error if no command may be sent.
    ///
    /// After the server has rolled a transaction back, further writes would be committed one by one. Each command therefore fails with
    /// the error that the holder ignored.
    pub(crate) fn enter(&self) -> mysql::Result<()> {
        if self.broken {
            let why = "after an earlier error the server's next reply may belong to any command; the connection is not used again";
            return Err(Error::IoError(io::Error::new(io::ErrorKind::NotConnected, why)));
        }
        match &self.transaction {
            Some(Under::RolledBack(error)) => Err(Error::MySqlError(error.clone())),
            _ => Ok(()),
        }
    }

    /// Records the outcome of a command.
    pub(crate) fn saw<T>(&mut self, outcome: mysql::Result<T>) -> mysql::Result<T> {
        if let Err(error) = &outcome {
            self.met(error);
        }
        outcome
    }

    pub(crate) fn met(&mut self, error: &Error) {
        match fault(error) {
            Fault::Fatal => self.broken = true,
            Fault::WrongRole => self.refused = true,
            _ => self.refused |= self.needs_writes && fault::is_read_only(error),
        }
        if let (Some(under @ Under::Way), Error::MySqlError(error)) = (&mut self.transaction, error)
            && fault::ends_transaction(error.code, self.on_timeout)
        {
            *under = Under::RolledBack(error.clone());
        }
    }

    /// The effect of this error is unknown: the transaction must not go on.
    pub(crate) fn presume_rolled_back(&mut self, error: MySqlError) {
        if let Some(under @ Under::Way) = &mut self.transaction {
            *under = Under::RolledBack(error);
        }
    }

    pub(crate) fn condemn(&mut self) {
        self.broken = true;
    }

    pub(crate) fn look_away(&mut self) {
        self.looked_away = true;
    }

    pub(crate) fn hand_out_rows(&mut self) {
        self.rows = true;
    }

    pub(crate) fn begin(&mut self) {
        self.transaction = Some(Under::Way);
    }

    pub(crate) fn end(&mut self) {
        self.transaction = None;
    }

    pub(crate) fn in_transaction(&self) -> bool {
        self.transaction.is_some()
    }

    pub(crate) fn is_broken(&self) -> bool {
        self.broken
    }

    /// Whether a statement failed because of the server's state, without a reset between two of the pool's examinations.
    pub(crate) fn was_passed_over(&mut self) -> bool {
        let seen = self.seen_refused;
        self.seen_refused = self.refused;
        seen
    }

    pub(crate) fn looked_away(&self) -> bool {
        self.looked_away
    }

    pub(crate) fn handed_out_rows(&self) -> bool {
        self.rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(code: u16) -> mysql::Result<()> {
        Err(Error::MySqlError(MySqlError { state: "HY000".into(), message: "as you were".into(), code }))
    }

    #[test]
    fn an_error_of_the_connection_forbids_all_that_follows() {
        let mut health = Health::default();
        health.saw::<()>(Err(Error::IoError(io::ErrorKind::WouldBlock.into()))).unwrap_err();
        assert!(health.is_broken());
        health.enter().unwrap_err();
    }

    #[test]
    fn an_error_of_the_server_forbids_nothing() {
        let mut health = Health::default();
        health.saw(server(1064)).unwrap_err();
        health.saw(server(1213)).unwrap_err();
        health.enter().unwrap();
    }

    #[test]
    fn after_a_deadlock_nothing_more_of_the_transaction_goes_out() {
        let mut health = Health::default();
        health.begin();
        health.saw(server(1205)).unwrap_err();
        health.enter().expect("a lock wait that timed out leaves the transaction open");
        health.saw(server(1213)).unwrap_err();
        assert!(matches!(health.enter().unwrap_err(), Error::MySqlError(error) if error.code == 1213));
        health.end();
        health.enter().unwrap();
    }

    #[test]
    fn a_refused_write_counts_at_the_second_look_unless_a_reset_came_between() {
        let read_only = || {
            let message = "The MySQL server is running with the --read-only option".into();
            Err::<(), _>(Error::MySqlError(MySqlError { state: "HY000".into(), message, code: 1290 }))
        };
        let mut health = Health::new(false, true);
        health.saw(server(1064)).unwrap_err();
        assert!(!health.was_passed_over() && !health.was_passed_over(), "an error of another kind");
        health.saw(read_only()).unwrap_err();
        assert!(!health.was_passed_over(), "when it comes back");
        assert!(health.was_passed_over(), "before it is lent again");
        health.renew();
        health.saw(read_only()).unwrap_err();
        assert!(!health.was_passed_over());
        health.renew();
        assert!(!health.was_passed_over(), "the reset has asked");
        let mut health = Health::new(false, false);
        health.saw(read_only()).unwrap_err();
        assert!(!health.was_passed_over() && !health.was_passed_over(), "where no writes are needed");
    }

    #[test]
    fn a_lock_wait_is_as_a_deadlock_where_the_server_is_set_so() {
        let mut health = Health::new(true, false);
        health.renew();
        health.begin();
        health.saw(server(1205)).unwrap_err();
        assert!(matches!(health.enter().unwrap_err(), Error::MySqlError(error) if error.code == 1205));
    }
}
