//! Building a pool, and waiting for its first connections.

use super::{Builder, names};
use crate::driver_calls;
use crate::error::BuildError;
use crate::manager::Manager;
use crate::pool::Pool;
use crate::shared::Shared;
use crate::state::reports::BuildProgress;
use crate::sync;
use crate::sync::after;
use crate::waiter::{Waiter, Wake};
use crate::workers::WorkerSet;
use std::sync::Arc;

impl<M: Manager> Builder<M> {
    /// Builds the pool and opens its first connections: `min_idle`, but at least one.
    ///
    /// While the server is unavailable this keeps trying until [`build_timeout`](Self::build_timeout). It fails at once if waiting cannot
    /// help: on a permanent fault, such as a wrong password, an error in a statement of `on_open`, a transaction that `on_open` left
    /// open, or a panic.
    ///
    /// # Errors
    ///
    /// [`BuildError::Config`] names every broken rule. [`BuildError::Connect`] and [`BuildError::Timeout`] report why no connection
    /// could be opened; nothing is left behind then.
    pub fn build(self, manager: M) -> Result<Pool<M>, BuildError<M::Error>> {
        let pool = self.build_lazy(manager)?;
        open_the_first(&pool)?;
        Ok(pool)
    }

    /// Builds the pool without waiting for a connection. (With `min_idle` it starts to open them in the background.)
    ///
    /// # Errors
    ///
    /// [`BuildError::Config`].
    #[doc(alias = "build_unchecked")]
    #[doc(alias = "connect_lazy")]
    pub fn build_lazy(self, manager: M) -> Result<Pool<M>, BuildError<M::Error>> {
        self.build_on(&WorkerSet::of_this_process(), manager)
    }

    /// Builds the pool on this set of workers.
    pub(crate) fn build_on(mut self, set: &WorkerSet, manager: M) -> Result<Pool<M>, BuildError<M::Error>> {
        self.config.check().map_err(|error| BuildError::Config(error.with_places(&self.places)))?;
        let default = if self.is_named { None } else { names::default_of(&manager) };
        let mut names = names::of_this_process();
        if let Some(default) = default {
            self.config.name = names.free(default);
        }
        let shared = Shared::new(manager, self.config, self.hooks, set, driver_calls::run);
        names.take(&shared.name);
        drop(names);
        // Subscribers are the user's code, which may build a pool.
        #[cfg(feature = "tracing")]
        crate::trace::settings(&shared.config, &self.intended);
        // An empty transaction: when it settles, the pool starts to open connections for `min_idle`.
        shared.with(sync::now(), |_, _| ());
        Ok(Pool::new(shared))
    }
}

/// Waits for the first connections.
pub(crate) fn open_the_first<M: Manager>(pool: &Pool<M>) -> Result<(), BuildError<M::Error>> {
    let shared = pool.shared();
    let begin = sync::now();
    let deadline = after(begin, shared.config.build_timeout.unwrap_or(shared.config.connect_timeout));
    let wanted = shared.config.min_idle.max(1) as usize;
    let waiter = Waiter::new();
    loop {
        let now = sync::now();
        let build_progress = shared.with(now, |state, _| {
            if shared.config.min_idle == 0 {
                // A pool with `min_idle` opens its connections without a request.
                state.want_one();
            }
            let progress = state.build_progress(wanted, now);
            if matches!(progress, BuildProgress::Trying { .. }) {
                // While a watcher waits, the pool opens more connections at a time.
                state.watch(Wake::Thread(Arc::clone(&waiter)));
            }
            progress
        });
        let look_again = match build_progress {
            BuildProgress::Ready => return Ok(()),
            BuildProgress::Failed(cause) => return Err(BuildError::Connect(cause)),
            BuildProgress::Trying { look_again } => look_again,
        };
        if deadline.is_some_and(|deadline| deadline <= now) {
            let waited = now.saturating_duration_since(begin);
            let cause = shared.with(now, |state, _| state.last_driver_error().ok_or_else(|| state.snapshot()));
            return Err(match cause {
                Ok(cause) => BuildError::Connect(cause),
                Err(snapshot) => BuildError::Timeout(snapshot.report(&shared.config.name, waited, 0, now)),
            });
        }
        shared.workers.park(&waiter, look_again.filter(|&again| again > now).into_iter().chain(deadline).min());
    }
}
