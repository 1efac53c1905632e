//! A reference to the pool with a count of its own.

use super::Shared;
use crate::manager::Manager;
use crossbeam_utils::CachePadded;
use std::ops::Deref;
use std::sync::Arc;

/// A strong reference to the pool. Its clones share a count that has a cache line to itself: threads that clone different references do
/// not disturb each other, as they would if all of them counted in the pool.
pub(crate) struct PoolRef<M: Manager>(Arc<CachePadded<Arc<Shared<M>>>>);

impl<M: Manager> PoolRef<M> {
    /// A reference that shares its count with no other.
    pub(crate) fn new(shared: Arc<Shared<M>>) -> Self {
        Self(Arc::new(CachePadded::new(shared)))
    }

    /// Releases the pool in a thread that is not a worker's: see [`Shared::leave_to_worker`].
    #[inline]
    pub(crate) fn leave_to_worker(self) {
        if let Some(shared) = Arc::into_inner(self.0) {
            CachePadded::into_inner(shared).leave_to_worker();
        }
    }
}

impl<M: Manager> Deref for PoolRef<M> {
    type Target = Arc<Shared<M>>;

    #[inline]
    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<M: Manager> Clone for PoolRef<M> {
    #[inline]
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}
