//! Changes of a running pool: its sizes, and the replacement of all its connections.

use crate::config::check_sizes;
use crate::error::ResizeError;
use crate::manager::Manager;
use crate::pool::Pool;
use crate::{seeded, sync};

impl<M: Manager> Pool<M> {
    /// Sets both sizes at once: the maximum number of connections, at least 1, and the number that the pool keeps idle, at most
    /// `max_size`. No thread sees one change without the other. Sends nothing to the server and does not wait.
    ///
    /// Growing serves waiters at once. Shrinking closes idle connections now, and lent ones when they are returned. The pool opens
    /// connections for `min_idle` in the background.
    ///
    /// ```
    /// # use cabrank::Pool;
    /// # use cabrank::doc_toy::Toy;
    /// # let manager = Toy;
    /// let pool = Pool::builder().max_size(20).min_idle(5).build(manager)?;
    /// pool.resize(3, 1)?;
    /// assert_eq!((pool.stats().max_size, pool.stats().min_idle), (3, 1));
    /// assert!(pool.resize(1, 3).is_err(), "`min_idle` is larger than `max_size`");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ResizeError::Config`] names every broken rule. A closed pool cannot be resized ([`ResizeError::Closed`]), nor can the parent's
    /// in a child of `fork` ([`ResizeError::Forked`]). After an error the sizes are unchanged.
    pub fn resize(&self, max_size: u32, min_idle: u32) -> Result<(), ResizeError> {
        self.set_sizes(Some(max_size), Some(min_idle))
    }

    /// Sets the maximum number of connections like [`resize`](Self::resize), and keeps `min_idle`.
    ///
    /// # Errors
    ///
    /// Those of [`resize`](Self::resize): a value below the current `min_idle` breaks a rule.
    pub fn set_max_size(&self, max_size: u32) -> Result<(), ResizeError> {
        self.set_sizes(Some(max_size), None)
    }

    /// Sets the number of connections kept idle like [`resize`](Self::resize), and keeps `max_size`.
    ///
    /// # Errors
    ///
    /// Those of [`resize`](Self::resize): a value above the current `max_size` breaks a rule.
    pub fn set_min_idle(&self, min_idle: u32) -> Result<(), ResizeError> {
        self.set_sizes(None, Some(min_idle))
    }

    /// Closes all connections that are open now: idle ones at once, lent ones when they are returned. Use it after a change of
    /// credentials, a failover or a schema change. The first new connection is opened alone, the others once it has proved healthy.
    ///
    /// After a permanent fault, such as a wrong password, the pool makes its next connection attempt at once. Call this when the cause is
    /// fixed, not for each error: a server may lock the account.
    ///
    /// ```
    /// # use cabrank::Pool;
    /// # use cabrank::doc_toy::Toy;
    /// # let pool = Pool::builder().build(Toy)?;
    /// use cabrank::PooledConnection;
    ///
    /// let old = PooledConnection::id(&pool.get()?);
    /// pool.evict_all(); // For example after a change of the password.
    /// assert_ne!(PooledConnection::id(&pool.get()?), old);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "softEvictConnections")]
    #[doc(alias = "reset")]
    pub fn evict_all(&self) {
        let now = sync::now();
        self.shared().with(now, |state, actions| state.evict_all(now, actions));
    }

    fn set_sizes(&self, max_size: Option<u32>, min_idle: Option<u32>) -> Result<(), ResizeError> {
        let shared = self.shared();
        if !shared.is_at_home() {
            return Err(ResizeError::Forked);
        }
        let now = sync::now();
        let looked = seeded::bug("reads_the_sizes_before_it_locks");
        let looked = looked.then(|| shared.with(now, |state, _| state.sizes()));
        shared.with(now, |state, actions| {
            if state.is_closed() {
                return Err(ResizeError::Closed);
            }
            let (old_max, old_min) = looked.unwrap_or_else(|| state.sizes());
            let max_size = max_size.map_or(old_max, |size| size as usize);
            let min_idle = min_idle.map_or(old_min, |size| size as usize);
            check_sizes(max_size as u32, min_idle as u32).map_err(ResizeError::Config)?;
            state.resize(max_size, min_idle, now, actions);
            Ok(())
        })
    }
}
