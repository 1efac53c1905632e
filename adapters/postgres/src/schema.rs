//! Signs that the schema has changed since statements were prepared.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Counts such signs over all connections of one manager. Statements cached before the last sign are not reused: a migration concerns all
/// connections, and usually several statements of each.
#[derive(Debug, Clone, Default)]
pub(crate) struct SchemaChanges(Arc<Signs>);

#[derive(Debug, Default)]
struct Signs {
    count: AtomicU64,
    /// When a doubt was last counted.
    doubted: Mutex<Option<Instant>>,
}

impl SchemaChanges {
    pub(crate) fn noticed(&self) {
        self.0.count.fetch_add(1, Ordering::Relaxed);
    }

    /// This may be a sign, or the program's own mistake, which may recur with each statement. It is therefore counted at most once per
    /// interval.
    pub(crate) fn doubted(&self) {
        let mut doubted = self.0.doubted.lock().unwrap_or_else(PoisonError::into_inner);
        if doubted.is_none_or(|last| last.elapsed() >= BETWEEN_DOUBTS) {
            *doubted = Some(Instant::now());
            self.noticed();
        }
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.count.load(Ordering::Relaxed)
    }
}

/// At this interval, preparing all statements again costs little.
const BETWEEN_DOUBTS: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubts_count_once_in_a_while_and_signs_each_time() {
        let changes = SchemaChanges::default();
        let began = Instant::now();
        (0..1000).for_each(|_| changes.doubted());
        assert!((1..=1 + began.elapsed().as_secs()).contains(&changes.count()), "{changes:?}");
        let before = changes.count();
        (0..3).for_each(|_| changes.noticed());
        assert_eq!(changes.count(), before + 3);
    }
}
