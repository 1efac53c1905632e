//! Signs that the schema has changed since statements were prepared.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts such signs over all connections of one manager. Statements prepared before the last of them are not reused: a migration
/// concerns all connections, and usually several statements of each.
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
