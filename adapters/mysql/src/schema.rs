//! Signs that statements are not what they were when they were prepared.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How often a connection of one manager has met such a sign. What was prepared before the last of them is not relied on: a
/// migration concerns all connections, and many a statement of each.
#[derive(Debug, Clone, Default)]
pub(crate) struct SchemaChanges(Arc<AtomicU64>);

impl SchemaChanges {
    pub(crate) fn noticed(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
