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
    /// Returns the pool's current statistics.
    #[doc(alias = "state")]
    #[doc(alias = "status")]
    pub fn stats(&self) -> Stats {
        self.shared().with(sync::now(), |state, _| state.stats())
    }

    /// Returns the holders of connections, the longest loan first.
    pub fn holders(&self) -> Vec<Holder> {
        let now = sync::now();
        self.shared().with(now, |state, _| state.holders(now))
    }

    /// Returns the pool's state as the pool has observed it, without a query or a wait. For a platform's probes see [`Health::is_ready`].
    ///
    /// ```
    /// # use cabrank::{Limit, Manager, Pool};
    /// # struct Toy;
    /// # impl Manager for Toy {
    /// #     type Connection = i64;
    /// #     type Error = std::io::Error;
    /// #     fn connect(&self, _: &Limit) -> std::io::Result<i64> { Ok(0) }
    /// #     fn is_valid(&self, _: &mut i64, _: &Limit) -> std::io::Result<()> { Ok(()) }
    /// #     fn has_broken(&self, _: &mut i64) -> bool { false }
    /// # }
    /// let pool = Pool::builder().build(Toy)?;
    /// assert!(pool.health().is_ready());
    /// pool.close();
    /// assert_eq!(pool.health().to_string(), "closed");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn health(&self) -> Health {
        let now = sync::now();
        self.shared().with(now, |state, _| state.health(now)).told()
    }

    /// Returns the settings that this pool was built with. [`resize`](Self::resize) does not change them; [`stats`](Self::stats) has the
    /// current `max_size` and `min_idle`.
    pub fn config(&self) -> &Config {
        &self.shared().config
    }

    /// Returns each connection, in the order of their numbers; those still being opened, which have none, come last.
    ///
    /// A thousand connections cost about 40 us, most of it under the lock, and one allocation.
    ///
    /// ```
    /// # use cabrank::{Limit, Manager, Pool};
    /// # struct Toy;
    /// # impl Manager for Toy {
    /// #     type Connection = i64;
    /// #     type Error = std::io::Error;
    /// #     fn connect(&self, _: &Limit) -> std::io::Result<i64> { Ok(0) }
    /// #     fn is_valid(&self, _: &mut i64, _: &Limit) -> std::io::Result<()> { Ok(()) }
    /// #     fn has_broken(&self, _: &mut i64) -> bool { false }
    /// # }
    /// use cabrank::Phase;
    ///
    /// let pool = Pool::builder().build(Toy)?;
    /// let conn = pool.get()?;
    /// for connection in pool.connections() {
    ///     println!("{:?} is {} for {:?}", connection.id, connection.phase, connection.in_phase_for);
    /// }
    /// assert_eq!(pool.connections()[0].phase, Phase::Lent);
    /// drop(conn);
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
    /// # use cabrank::{Limit, Manager, Pool};
    /// # struct Toy;
    /// # impl Manager for Toy {
    /// #     type Connection = i64;
    /// #     type Error = std::io::Error;
    /// #     fn connect(&self, _: &Limit) -> std::io::Result<i64> { Ok(0) }
    /// #     fn is_valid(&self, _: &mut i64, _: &Limit) -> std::io::Result<()> { Ok(()) }
    /// #     fn has_broken(&self, _: &mut i64) -> bool { false }
    /// # }
    /// let pool = Pool::builder().build(Toy)?;
    /// for waiter in pool.waiters() {
    ///     println!("{} has waited for {:?}", waiter.call_site, waiter.waited);
    /// }
    /// assert!(pool.waiters().is_empty());
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
    /// # use cabrank::{Limit, Manager, Pool};
    /// # use std::io;
    /// # struct Away;
    /// # impl Manager for Away {
    /// #     type Connection = i64;
    /// #     type Error = io::Error;
    /// #     fn connect(&self, _: &Limit) -> io::Result<i64> { Err(io::ErrorKind::ConnectionRefused.into()) }
    /// #     fn is_valid(&self, _: &mut i64, _: &Limit) -> io::Result<()> { Ok(()) }
    /// #     fn has_broken(&self, _: &mut i64) -> bool { false }
    /// # }
    /// use std::time::Duration;
    ///
    /// // This manager's server is away.
    /// let pool = Pool::builder().build_lazy(Away)?;
    /// assert!(pool.outage().is_none(), "nothing was tried yet");
    /// assert!(pool.get_timeout(Duration::from_millis(20)).is_err());
    /// let outage = pool.outage().expect("now it is known");
    /// println!("{outage}: {:?}", outage.last_error);
    /// assert!(outage.failures > 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn outage(&self) -> Option<Outage> {
        let now = sync::now();
        self.shared().with(now, |state, _| state.outage(now)).map(|outage| outage.told(now))
    }

    /// Returns all of this in one snapshot, with the statistics and the health: for displays of a pool. The parts are consistent, except
    /// for loans that bypass the lock, which may begin and end meanwhile. A thousand connections and a thousand waiters cost about 120
    /// us.
    ///
    /// ```
    /// # use cabrank::{Limit, Manager, Pool};
    /// # struct Toy;
    /// # impl Manager for Toy {
    /// #     type Connection = i64;
    /// #     type Error = std::io::Error;
    /// #     fn connect(&self, _: &Limit) -> std::io::Result<i64> { Ok(0) }
    /// #     fn is_valid(&self, _: &mut i64, _: &Limit) -> std::io::Result<()> { Ok(()) }
    /// #     fn has_broken(&self, _: &mut i64) -> bool { false }
    /// # }
    /// let pool = Pool::builder().build(Toy)?;
    /// let now = pool.overview();
    /// assert_eq!(now.connections.len(), now.stats.open as usize);
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
