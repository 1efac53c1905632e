//! The builder of a pool: its settings, hooks for the user's code, and building. `names.rs` finds default names.

// The documentation shows the methods of `Builder` in the order of these modules.
mod settings;
mod hooks;
mod build;
mod names;

#[cfg(all(test, not(loom)))]
pub(crate) use build::open_the_first;

use crate::config::{Config, Problem};
use crate::manager::Manager;
use crate::pool::Pool;
use crate::shared::Hooks;
use std::fmt;
use std::time::Duration;

/// Configures and builds a [`Pool`]. Every setting has a default; `Duration::MAX` means no limit.
#[must_use = "a builder does nothing until it builds"]
pub struct Builder<M: Manager> {
    config: Config,
    is_named: bool,
    /// The environment variable that each setting came from.
    places: Vec<(&'static str, String)>,
    /// The warnings that are not logged.
    intended: Vec<Problem>,
    hooks: Hooks<M>,
}

impl<M: Manager> Pool<M> {
    /// Returns a builder with the default settings.
    ///
    /// ```
    /// # use cabrank::Pool;
    /// # use cabrank::doc_toy::Toy;
    /// # let manager = Toy;
    /// let pool = Pool::builder().name("orders").max_size(4).build(manager)?;
    /// assert_eq!(pool.config().name, "orders");
    /// assert_eq!(pool.stats().open, 1); // `build` opens one, and fails if that is impossible.
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn builder() -> Builder<M> {
        Builder::new()
    }
}

impl<M: Manager> Builder<M> {
    fn new() -> Self {
        let mut config = Config::default();
        if !M::REMOTE {
            // No firewall or proxy stands before the engine to close idle connections, and the engine does not move to another machine.
            (config.max_lifetime, config.idle_timeout) = (Duration::MAX, Duration::MAX);
        }
        Self { config, is_named: false, places: Vec::new(), intended: Vec::new(), hooks: Hooks::default() }
    }

    pub(crate) fn config_mut(&mut self) -> &mut Config {
        &mut self.config
    }

    pub(crate) fn note_places(&mut self, places: Vec<(&'static str, String)>) {
        self.places.extend(places);
    }
}

impl<M: Manager> Default for Builder<M> {
    fn default() -> Self {
        Self::new()
    }
}

impl<M: Manager> fmt::Debug for Builder<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("config", &self.config).finish_non_exhaustive()
    }
}
