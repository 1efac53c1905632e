//! A connection on loan.

use crate::adapted::Adapted;
use crate::extensions::Extensions;
use crate::manage::ManageConnection;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::time::Instant;

/// A connection on loan from a [`Pool`](crate::Pool). Dropping it returns it, in microseconds and without a round trip.
pub struct PooledConnection<M: ManageConnection> {
    /// No connection has a field of this name, which the guard's would hide.
    cabrank_guard: cabrank::PooledConnection<Adapted<M>>,
    /// When the loan began, if there is an event handler.
    cabrank_since: Option<Instant>,
}

impl<M: ManageConnection> PooledConnection<M> {
    pub(crate) fn new(guard: cabrank::PooledConnection<Adapted<M>>, since: Option<Instant>) -> Self {
        Self { cabrank_guard: guard, cabrank_since: since }
    }

    /// Returns the values that the application stores with this connection.
    pub fn extensions(this: &Self) -> &Extensions {
        &this.cabrank_guard.extensions
    }

    /// Returns the values that the application stores with this connection, mutably.
    pub fn extensions_mut(this: &mut Self) -> &mut Extensions {
        &mut this.cabrank_guard.extensions
    }

    /// Returns the guard of the underlying pool, for what r2d2 does not have: when the connection was opened, how often it was lent,
    /// and more.
    pub fn cabrank(this: &Self) -> &cabrank::PooledConnection<Adapted<M>> {
        &this.cabrank_guard
    }
}

impl<M: ManageConnection> Drop for PooledConnection<M> {
    fn drop(&mut self) {
        if let Some(since) = self.cabrank_since {
            self.cabrank_guard.tell_checkin(since.elapsed());
        }
    }
}

impl<M: ManageConnection> Deref for PooledConnection<M> {
    type Target = M::Connection;

    fn deref(&self) -> &M::Connection {
        self.cabrank_guard.get()
    }
}

impl<M: ManageConnection> DerefMut for PooledConnection<M> {
    fn deref_mut(&mut self) -> &mut M::Connection {
        self.cabrank_guard.get_mut()
    }
}

impl<M> fmt::Debug for PooledConnection<M>
where
    M: ManageConnection,
    M::Connection: fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}
