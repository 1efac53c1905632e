//! The transactions of the fake driver.

use super::call::{Call, FakeError};
use super::manager::{FakeConnection, FakeManager};
use cabrank::{Fault, SessionState, Transact};
use std::ops::{Deref, DerefMut};

/// A transaction of a [`FakeManager`]. It derefs to its connection. If dropped, it stays open, as the session then shows. It cannot be
/// committed if the session shows another state.
#[derive(Debug)]
pub struct FakeTransaction<'c>(&'c mut FakeConnection);

impl FakeTransaction<'_> {
    /// Like [`Transact::nested`].
    ///
    /// # Errors
    ///
    /// That of `work`, or as ordered.
    pub fn nested<T, E: From<FakeError>>(
        &mut self,
        work: impl FnOnce(&mut FakeTransaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.world().hook(Call::Savepoint)?;
        let mut nested = Nested(FakeTransaction(self.0));
        let value = work(&mut nested.0)?;
        nested.0.world().hook(Call::Release)?;
        std::mem::forget(nested);
        Ok(value)
    }
}

/// Rolled back to its savepoint when it is dropped.
struct Nested<'c>(FakeTransaction<'c>);

impl Drop for Nested<'_> {
    fn drop(&mut self) {
        if self.0.world().hook(Call::RollbackTo).is_err() {
            self.0.session = SessionState::Unknown;
        }
    }
}

impl Deref for FakeTransaction<'_> {
    type Target = FakeConnection;

    fn deref(&self) -> &FakeConnection {
        self.0
    }
}

impl DerefMut for FakeTransaction<'_> {
    fn deref_mut(&mut self) -> &mut FakeConnection {
        self.0
    }
}

/// The options are a number, which is ignored.
impl<const REMOTE: bool> Transact for FakeManager<REMOTE> {
    type Transaction<'c> = FakeTransaction<'c>;
    type Options = u32;

    fn begin<'c>(&self, conn: &'c mut FakeConnection, _: &u32) -> Result<FakeTransaction<'c>, FakeError> {
        conn.world().hook(Call::Begin)?;
        conn.session = SessionState::InTransaction;
        Ok(FakeTransaction(conn))
    }

    fn commit(&self, transaction: FakeTransaction<'_>) -> Result<(), FakeError> {
        // A commit that fails is rolled back, as by a server.
        let session = std::mem::replace(&mut transaction.0.session, SessionState::Clean);
        transaction.world().hook(Call::Commit)?;
        if session == SessionState::InTransaction {
            Ok(())
        } else {
            Err(FakeError { call: Call::Commit, fault: Fault::Statement })
        }
    }

    fn rollback(&self, transaction: FakeTransaction<'_>) -> Result<(), FakeError> {
        transaction.world().hook(Call::Rollback)?;
        transaction.0.session = SessionState::Clean;
        Ok(())
    }

    fn nested<T, E: From<FakeError>>(
        outer: &mut FakeTransaction<'_>,
        work: impl FnOnce(&mut FakeTransaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        outer.nested(work)
    }
}
