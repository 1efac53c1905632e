//! The user's own code that a pool runs: outside the lock, and a panic stays inside.

use super::{SetUp, Shared};
use crate::contain::contained;
use crate::event::EventHandler;
use crate::manager::{Fault, Manager};
use std::sync::Arc;

pub(crate) struct Hooks<M: Manager> {
    pub(crate) on_open: Option<OnOpen<M>>,
    pub(crate) classify: Option<Classify<M>>,
    pub(crate) events: Vec<Arc<dyn EventHandler>>,
    #[cfg(feature = "tracing")]
    pub(crate) tracing: crate::trace::Tracing,
}

type OnOpen<M> =
    Box<dyn Fn(&mut <M as Manager>::Connection, &SetUp<'_>) -> Result<(), <M as Manager>::Error> + Send + Sync>;
type Classify<M> = Box<dyn Fn(&<M as Manager>::Error) -> Option<Fault> + Send + Sync>;

impl<M: Manager> Default for Hooks<M> {
    fn default() -> Self {
        Self {
            on_open: None,
            classify: None,
            events: Vec::new(),
            #[cfg(feature = "tracing")]
            tracing: crate::trace::Tracing::default(),
        }
    }
}

impl<M: Manager> Shared<M> {
    /// What an error means: the user is asked first, then the manager. `None`: the manager panicked.
    pub(crate) fn fault(&self, error: &M::Error) -> Option<Fault> {
        let classify = self.hooks.classify.as_ref();
        let classified = classify.and_then(|classify| contained(|| classify(error)).ok().flatten());
        classified.or_else(|| contained(|| self.manager.fault(error)).ok())
    }
}
