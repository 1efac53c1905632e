//! Looks at a pool in detail. Each is one transaction that changes nothing: loans that pass the lock by go on doing so.

use crate::manager::Manager;
use crate::overview::{ConnectionInfo, Outage, Overview, WaiterInfo};
use crate::pool::Pool;
use crate::sync;

impl<M: Manager> Pool<M> {
    /// Each connection, in the order of their numbers; those without one, which are being opened, come last.
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

    /// Those who wait for a connection, in the order in which they are served; at most the first thousand.
    /// [`Stats::waiting`](crate::Stats::waiting) says how many there are.
    ///
    /// A thousand cost about 70 us, of which the threads' names are looked up without the lock.
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

    /// What keeps new connections away, since when, and when the next attempt is due. `None`: nothing that is known of.
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

    /// All of this at one moment, with the numbers and the health: for those who show a pool. It agrees with itself, but for loans that
    /// pass the lock by, which may begin and end meanwhile. A thousand connections and a thousand who wait cost about 120 us.
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
