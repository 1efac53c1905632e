//! Snapshots of a pool. Each is one read-only transaction; loans that bypass the lock continue meanwhile.

use crate::config::Config;
use crate::health::Health;
use crate::manager::Manager;
use crate::overview::{ConnectionInfo, Outage, Overview, WaiterInfo};
use crate::pool::Pool;
use crate::report::Holder;
use crate::stats::Stats;
use crate::sync;

impl<M: Manager> Pool<M> {
    /// Returns the pool's current statistics. Holds the lock while copying three histograms of at most 1.1 kB each.
    ///
    /// ```
    /// # use cabrank::Pool;
    /// # use cabrank::doc_toy::Toy;
    /// # let pool = Pool::builder().build(Toy)?;
    /// let conn = pool.get()?;
    /// let stats = pool.stats();
    /// assert_eq!((stats.open, stats.in_use, stats.idle), (1, 1, 0));
    /// println!("{:.0} % lent, 99 % of the waits within {:?}", 100.0 * stats.utilization(), stats.wait_time.quantile(0.99));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "state")]
    #[doc(alias = "status")]
    pub fn stats(&self) -> Stats {
        self.shared().with(sync::now(), |state, _| state.stats())
    }

    /// Returns the holders of connections, the longest loan first. Holds the lock for a time that grows with the number of loans.
    ///
    /// ```
    /// # use cabrank::Pool;
    /// # use cabrank::doc_toy::Toy;
    /// # let pool = Pool::builder().build(Toy)?;
    /// use cabrank::PooledConnection;
    ///
    /// let conn = pool.get()?;
    /// for holder in pool.holders() {
    ///     println!("{holder}"); // Names the line of the `get` above.
    /// }
    /// assert_eq!(pool.holders()[0].id, PooledConnection::id(&conn));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn holders(&self) -> Vec<Holder> {
        let now = sync::now();
        self.shared().with(now, |state, _| state.holders(now))
    }

    /// Returns the pool's health as last observed, without a query or a wait. For a platform's probes see [`Health::is_ready`].
    ///
    /// ```
    /// # use cabrank::Pool;
    /// # use cabrank::doc_toy::Toy;
    /// # let pool = Pool::builder().build(Toy)?;
    /// let status = |pool: &Pool<Toy>| if pool.health().is_ready() { 200 } else { 503 };
    /// assert_eq!(status(&pool), 200);
    /// pool.close();
    /// assert_eq!(status(&pool), 503);
    /// assert_eq!(pool.health().to_string(), "closed");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn health(&self) -> Health {
        let now = sync::now();
        self.shared().with(now, |state, _| state.health(now)).told()
    }

    /// Returns the settings that this pool was built with. [`resize`](Self::resize) does not change them; [`stats`](Self::stats) has the
    /// current `max_size` and `min_idle`.
    ///
    /// ```
    /// # use cabrank::Pool;
    /// # use cabrank::doc_toy::Toy;
    /// # let pool = Pool::builder().build(Toy)?;
    /// assert_eq!(pool.config().max_size, 10);
    /// pool.resize(20, 0)?;
    /// assert_eq!((pool.config().max_size, pool.stats().max_size), (10, 20));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn config(&self) -> &Config {
        &self.shared().config
    }

    /// Returns each connection, in the order of their numbers; those still being opened, which have none, come last.
    ///
    /// A thousand connections cost about 40 us, most of it under the lock, and one allocation.
    ///
    /// ```
    /// # use cabrank::Pool;
    /// # use cabrank::doc_toy::Toy;
    /// # let pool = Pool::builder().build(Toy)?;
    /// use cabrank::Phase;
    ///
    /// let conn = pool.get()?;
    /// for connection in pool.connections() {
    ///     println!("{:?} is {} for {:?}", connection.id, connection.phase, connection.in_phase_for);
    /// }
    /// assert_eq!(pool.connections()[0].phase, Phase::Lent);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn connections(&self) -> Vec<ConnectionInfo> {
        let now = sync::now();
        in_order(self.shared().with(now, |state, _| state.connections(now)))
    }

    /// Returns the waiters in the order of service, at most the first thousand. [`Stats::waiting`](crate::Stats::waiting) has their total
    /// number.
    ///
    /// A thousand cost about 70 us, including the look-up of the threads' names, which does not hold the lock.
    ///
    /// ```
    /// # use cabrank::Pool;
    /// # use cabrank::doc_toy::Toy;
    /// # let manager = Toy;
    /// # use std::future::Future;
    /// # use std::pin::pin;
    /// # use std::task::{Context, Waker};
    /// let pool = Pool::builder().max_size(1).build(manager)?;
    /// let conn = pool.get()?; // The only connection.
    /// let mut request = pin!(pool.get_async());
    /// # assert!(request.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    /// // Once a task has polled this request:
    /// for waiter in pool.waiters() {
    ///     println!("{} has waited for {:?}", waiter.call_site, waiter.waited);
    /// }
    /// assert_eq!(pool.waiters().len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn waiters(&self) -> Vec<WaiterInfo> {
        let now = sync::now();
        let standing = self.shared().with(now, |state, _| state.waiters());
        standing.into_iter().map(|standing| standing.told(now)).collect()
    }

    /// Returns the obstacle to new connections, how long it has lasted, and when the next attempt is due. `None`: no known obstacle.
    ///
    /// ```
    /// # use cabrank::Pool;
    /// # use cabrank::doc_toy::Away;
    /// use std::time::Duration;
    ///
    /// # let manager = Away;
    /// // This manager's server is down.
    /// let pool = Pool::builder().build_lazy(manager)?;
    /// assert!(pool.outage().is_none(), "the pool has made no attempt");
    /// assert!(pool.get_timeout(Duration::from_millis(200)).is_err());
    /// let outage = pool.outage().expect("an attempt has failed");
    /// println!("{outage}: {:?}", outage.last_error);
    /// assert!(outage.failures > 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn outage(&self) -> Option<Outage> {
        let now = sync::now();
        self.shared().with(now, |state, _| state.outage(now)).map(|outage| outage.told(now))
    }

    /// Returns the statistics, the health, the connections, the waiters and any outage in one snapshot, for displays of a pool. The parts
    /// are consistent, except for loans that bypass the lock, which may begin and end meanwhile. A thousand connections and a thousand
    /// waiters cost about 120 us.
    ///
    /// ```
    /// # use cabrank::Pool;
    /// # use cabrank::doc_toy::Toy;
    /// # let pool = Pool::builder().build(Toy)?;
    /// let now = pool.overview();
    /// assert_eq!(now.connections.len(), now.stats.open as usize);
    /// assert!(now.waiters.is_empty() && now.outage.is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn overview(&self) -> Overview {
        let now = sync::now();
        let (stats, health, connections, waiters, outage) = self.shared().with(now, |state, _| {
            (state.stats(), state.health(now), state.connections(now), state.waiters(), state.outage(now))
        });
        Overview {
            stats,
            health: health.told(),
            connections: in_order(connections),
            waiters: waiters.into_iter().map(|standing| standing.told(now)).collect(),
            outage: outage.map(|outage| outage.told(now)),
        }
    }
}

fn in_order(mut connections: Vec<ConnectionInfo>) -> Vec<ConnectionInfo> {
    connections.sort_by_key(|connection| (connection.id.is_none(), connection.id));
    connections
}
