//! The transactions of the fake driver.

use super::call::{Call, FakeError};
use super::manager::{FakeConnection, FakeManager};
use cabrank::{SessionState, Transact};
use std::ops::{Deref, DerefMut};

/// A transaction of a [`FakeManager`]. It derefs to its connection. Dropped, it stays open: the session says so.
#[derive(Debug)]
pub struct FakeTransaction<'c>(&'c mut FakeConnection);

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

/// The options are a number, with which nothing is done.
impl<const REMOTE: bool> Transact for FakeManager<REMOTE> {
    type Transaction<'c> = FakeTransaction<'c>;
    type Options = u32;

    fn begin<'c>(&self, conn: &'c mut FakeConnection, _: &u32) -> Result<FakeTransaction<'c>, FakeError> {
        conn.world().hook(Call::Begin)?;
        conn.session = SessionState::InTransaction;
        Ok(FakeTransaction(conn))
    }

    fn commit(&self, transaction: FakeTransaction<'_>) -> Result<(), FakeError> {
        transaction.world().hook(Call::Commit)?;
        transaction.0.session = SessionState::Clean;
        Ok(())
    }

    fn rollback(&self, transaction: FakeTransaction<'_>) -> Result<(), FakeError> {
        transaction.world().hook(Call::Rollback)?;
        transaction.0.session = SessionState::Clean;
        Ok(())
    }
}
