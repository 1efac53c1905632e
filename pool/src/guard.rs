//! A connection on loan, returned when dropped.

use crate::checkin::checkin;
use crate::contain::contained;
use crate::entry::Entry;
use crate::event::{CheckedIn, ConnectionClosed};
use crate::manager::{Fault, Manager};
use crate::reason::CloseReason;
use crate::shared::{Canceller, Held, SlottedConnection};
use crate::sync;
use crate::sync::Ordering;
use std::error::Error;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A connection on loan from a [`Pool`](crate::Pool). Dropping it returns it.
///
/// Dereferences to the driver's connection. The pool's own operations are associated functions, which leave the driver's method names
/// free: `PooledConnection::discard(conn)`.
///
/// Dropping takes microseconds, sends nothing to the server, and may happen in any thread, in an async context too. A guard dropped while
/// its thread panics closes the connection.
///
/// The pool tracks the guard, not its content. After an exchange of two connections (`std::mem::swap(&mut *a, &mut *b)`) each bears the
/// other's number, and a cancel or an abort meant for one holder, as in [`close_within`](crate::Pool::close_within), ends what the other
/// runs. Exchange the guards instead.
///
/// ```
/// # use cabrank::Pool;
/// # use cabrank::doc_toy::Toy;
/// # let pool = Pool::builder().build(Toy)?;
/// use cabrank::{CloseReason, PooledConnection};
///
/// let mut conn = pool.get()?;
/// conn.execute("INSERT INTO orders VALUES (7)")?; // The driver's own method.
/// assert_eq!(PooledConnection::uses(&conn), 0); // This is its first loan.
/// PooledConnection::discard(conn);
/// assert_eq!(pool.stats().closed.by(CloseReason::Discarded), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct PooledConnection<M: Manager> {
    /// `None` only after it was taken out, at the end.
    held: Option<Held<M>>,
}

impl<M: Manager> PooledConnection<M> {
    #[inline]
    pub(crate) fn new(held: Held<M>) -> Self {
        Self { held: Some(held) }
    }

    /// Returns the connection's number in its pool. Numbers start at 1 and are never reused.
    pub fn id(this: &Self) -> u64 {
        this.entry().id
    }

    /// Returns when the connection was opened.
    pub fn opened_at(this: &Self) -> Instant {
        this.entry().opened_at
    }

    /// Returns how many earlier loans this connection has had.
    pub fn uses(this: &Self) -> u64 {
        this.entry().uses
    }

    /// Returns how long the connection had been idle when this loan began.
    pub fn idle_for(this: &Self) -> Duration {
        let entry = this.entry();
        entry.lent_at.saturating_duration_since(entry.last_used)
    }

    /// Reports an error that this connection has met. After a fatal error, or one of a server in the wrong role, the pool closes the
    /// connection on return and checks all others before their next loan. Returns the verdict of [`classify`](crate::Builder::classify),
    /// or else the manager's.
    #[doc(alias = "invalidate")]
    #[doc(alias = "mark_broken")]
    pub fn report_error(this: &mut Self, error: &M::Error) -> Fault {
        let fault = this.entry().slotted.slot.shared().fault(error).unwrap_or(Fault::Fatal);
        this.has_met(fault)
    }

    /// Like [`report_error`](Self::report_error), for an error whose sources may include the driver's.
    pub(crate) fn report_any(this: &mut Self, error: &(dyn Error + 'static)) -> Fault {
        let fault = this.entry().slotted.slot.shared().fault_of_any(error).unwrap_or(Fault::Statement);
        this.has_met(fault)
    }

    fn has_met(&mut self, fault: Fault) -> Fault {
        let reason = match fault {
            Fault::Fatal => Some(CloseReason::Broken),
            Fault::WrongRole => Some(CloseReason::WrongRole),
            _ => None,
        };
        let held = self.held.as_mut().expect(LENT);
        held.condemned = held.condemned.or(reason);
        fault
    }

    /// Returns a handle by which any thread can cancel the statement that runs on this connection, until the loan ends. `None` if the
    /// manager offers no [`abort_handle`](Manager::abort_handle) for it.
    ///
    /// The first call in a loan costs an allocation. The driver's own handles, such as a cancel token or a connection's number, outlive
    /// the loan and may hit the next holder. For the cost of a cancel see [`Canceller::cancel`].
    ///
    /// The closure of [`Pool::transaction`](crate::Pool::transaction) gets no pooled connection. To cancel a transaction, take a
    /// connection by [`Pool::get`](crate::Pool::get) and its canceller, and begin the transaction by the driver's own method.
    ///
    /// ```
    /// # use cabrank::Pool;
    /// # use cabrank::doc_toy::Toy;
    /// # use cabrank::PooledConnection;
    /// # use std::sync::mpsc::{RecvTimeoutError, channel};
    /// # use std::thread;
    /// # use std::time::Duration;
    /// # let pool = Pool::builder().build(Toy)?;
    /// let mut conn = pool.get()?;
    /// let canceller = PooledConnection::canceller(&conn).expect("this manager offers abort handles");
    /// let (done, is_done) = channel::<()>();
    /// let watchdog = thread::spawn(move || {
    ///     let is_late = is_done.recv_timeout(Duration::from_secs(60)) == Err(RecvTimeoutError::Timeout);
    ///     is_late.then(|| canceller.cancel(Duration::from_secs(5)))
    /// });
    /// conn.execute("DELETE FROM carts")?; // For at most a minute.
    /// drop(done);
    /// assert_eq!(watchdog.join().unwrap(), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "cancel_token")]
    #[doc(alias = "get_interrupt_handle")]
    pub fn canceller(this: &Self) -> Option<Canceller> {
        let Entry { slotted, abort_handle, .. } = this.entry();
        let abort_handle = abort_handle.as_ref()?;
        let canceller = || Canceller::new(slotted.slot.shared(), Arc::clone(abort_handle));
        Some(slotted.canceller.get_or_init(canceller).clone())
    }

    /// Ends the loan and closes the connection instead of reusing it.
    pub fn discard(mut this: Self) {
        this.condemn();
    }

    /// Takes the connection out of the pool for good. The pool stops counting it and may open another. In a child of `fork` the parent's
    /// pool still counts it, and there is no event.
    #[doc(alias = "take")]
    #[doc(alias = "hijack")]
    pub fn detach(mut this: Self) -> M::Connection {
        let held = this.held.take().expect(LENT);
        if !held.slotted.slot.shared().is_at_home() {
            return held.leave_all_but_connection_to_parent();
        }
        let (shared, entry) = held.into_entry();
        let Entry {
            slotted: SlottedConnection { conn, canceller, .. },
            slot_id,
            abort_handle,
            id,
            opened_at,
            lent_at,
            uses,
            ..
        } = *entry;
        if let Some(canceller) = canceller.into_inner() {
            canceller.end();
        }
        let _ = contained(|| drop(abort_handle));
        let now = sync::now();
        let (pool, reason) = (&*shared.config.name, CloseReason::Detached);
        let (used, age) = (now.saturating_duration_since(lent_at), now.saturating_duration_since(opened_at));
        // Emitted before the slot is free: a handler never counts more connections than the pool allows.
        shared.emit(|events| events.checked_in(&CheckedIn { pool, id, used }));
        shared.emit(|events| events.closed(&ConnectionClosed { pool, id, reason, age, uses: uses + 1 }));
        shared.with_at_home(now, |state, _| state.detached(slot_id, now));
        shared.leave_to_worker();
        conn
    }

    pub(crate) fn condemn(&mut self) {
        let entry = self.held.as_mut().expect(LENT);
        entry.condemned.get_or_insert(CloseReason::Discarded);
    }

    /// The manager and the connection, for transactions.
    pub(crate) fn parts(&mut self) -> (&M, &mut M::Connection) {
        let entry = self.held.as_mut().expect(LENT);
        entry.touched.store(true, Ordering::Relaxed);
        let SlottedConnection { conn, slot, .. } = &mut entry.slotted;
        (&slot.shared().manager, conn)
    }

    #[inline]
    fn entry(&self) -> &Entry<SlottedConnection<M>> {
        self.held.as_ref().expect(LENT)
    }
}

impl<M: Manager> Deref for PooledConnection<M> {
    type Target = M::Connection;

    /// A shared reference can also change a session (rusqlite's connection is used through one), so this counts as touched.
    #[inline]
    fn deref(&self) -> &M::Connection {
        let entry = self.entry();
        entry.touched.store(true, Ordering::Relaxed);
        &entry.slotted.conn
    }
}

impl<M: Manager> DerefMut for PooledConnection<M> {
    /// For use, not for replacement: see [`PooledConnection`].
    #[inline]
    fn deref_mut(&mut self) -> &mut M::Connection {
        let entry = self.held.as_mut().expect(LENT);
        entry.touched.store(true, Ordering::Relaxed);
        &mut entry.slotted.conn
    }
}

impl<M: Manager> Drop for PooledConnection<M> {
    #[inline]
    fn drop(&mut self) {
        if let Some(held) = self.held.take() {
            checkin(held);
        }
    }
}

impl<M: Manager> fmt::Debug for PooledConnection<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entry = self.entry();
        f.debug_struct("PooledConnection").field("id", &entry.id).field("uses", &entry.uses).finish_non_exhaustive()
    }
}

const LENT: &str = "a guard holds its loan until it is dropped";
