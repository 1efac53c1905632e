//! Closing a pool: at once, or in good order: wait, cancel, abort, and report the remaining holders.

use crate::answer::{Answer, Pledge};
use crate::contain::contained;
use crate::figures::Count;
use crate::limit::Limit;
use crate::manager::Manager;
use crate::pool::{Pool, WeakPool};
use crate::report::Holder;
use crate::seeded;
use crate::shared::{Job, Shared, can_abort};
use crate::sync;
use crate::sync::{Sender, after, channel};
use crate::waiter::{Waiter, Wake};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// The outcome of [`Pool::close_within`]: the loans that it tried to end, and those that remained. One loan may be in several lists; the
/// text lists each loan once, with what the pool tried.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct CloseReport {
    /// Loans for which the pool asked the server to cancel a statement, whether or not one was running.
    pub cancelled: Vec<Holder>,
    /// Loans that the pool aborted.
    pub aborted: Vec<Holder>,
    /// Loans that were still out at the deadline.
    pub left: Vec<Holder>,
    /// Connections still open at the deadline: those of `left`, and those in a driver call that has not returned.
    pub connections_left: usize,
    /// Worker threads still in this pool's calls at the deadline.
    pub threads_left: usize,
}

impl CloseReport {
    /// Returns whether every connection and every thread is gone.
    pub fn is_clean(&self) -> bool {
        self.connections_left == 0 && self.threads_left == 0
    }
}

impl fmt::Display for CloseReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (connections, threads) = (Count(self.connections_left, "connection"), Count(self.threads_left, "thread"));
        write!(f, "{connections} and {threads} left")?;
        let Self { cancelled, aborted, left, .. } = self;
        let is_in = |holders: &[Holder], id| holders.iter().any(|holder| holder.id == id);
        for holder in left {
            let tried = match (is_in(cancelled, holder.id), is_in(aborted, holder.id)) {
                (false, false) => "",
                (true, false) => " (cancel requested)",
                (false, true) => " (aborted)",
                (true, true) => " (cancel requested, aborted)",
            };
            write!(f, "; still out: {holder}{tried}")?;
        }
        for holder in aborted.iter().filter(|holder| !is_in(left, holder.id)) {
            let tried = if is_in(cancelled, holder.id) { " (cancel requested before)" } else { "" };
            write!(f, "; aborted: {holder}{tried}")?;
        }
        for holder in cancelled.iter().filter(|holder| !is_in(left, holder.id) && !is_in(aborted, holder.id)) {
            write!(f, "; no longer out: {holder} (cancel requested)")?;
        }
        Ok(())
    }
}

impl<M: Manager> Pool<M> {
    /// Refuses new loans, wakes all waiters with [`GetError::Closed`](crate::GetError::Closed), and closes idle connections. Does not
    /// wait: lent connections are closed when they are returned. Closing twice does nothing.
    ///
    /// ```
    /// # use cabrank::Pool;
    /// # use cabrank::doc_toy::Toy;
    /// # let pool = Pool::builder().build(Toy)?;
    /// let mut conn = pool.get()?;
    /// pool.close();
    /// conn.execute("INSERT INTO orders VALUES (7)")?; // A loan goes on.
    /// assert!(pool.get().is_err_and(|error| error.is_closed()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn close(&self) {
        self.shared().close();
    }

    /// Closes the pool and waits until all connections and threads are gone, for at most `span`.
    ///
    /// First it waits for the loans to end. When half of `span`, at most 1 s, is left, it asks the server to cancel their statements. When
    /// half of that time is left, it aborts them, and all of the pool's own driver calls. It can neither cancel nor abort a connection
    /// whose manager offers no [`AbortHandle`](crate::AbortHandle), and cannot abort one that
    /// [can only cancel](crate::AbortHandle::can_abort). The report lists the loans and counts the connections that remain at the end.
    ///
    /// When called from a worker thread or a hook of this pool, it closes the pool and returns immediately, with a report of that moment:
    /// it neither waits nor aborts. Destructors of a driver's thread-locals may make it overrun `span`.
    ///
    /// ```
    /// # use cabrank::Pool;
    /// # use cabrank::doc_toy::Toy;
    /// # let pool = Pool::builder().build(Toy)?;
    /// use std::time::Duration;
    ///
    /// let report = pool.close_within(Duration::from_secs(10));
    /// if !report.is_clean() {
    ///     eprintln!("{report}"); // Names the call sites that still hold connections.
    /// }
    /// assert_eq!((report.connections_left, report.threads_left), (0, 0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "shutdown")]
    #[doc(alias = "drain")]
    pub fn close_within(&self, span: Duration) -> CloseReport {
        let shared = self.shared();
        shared.close();
        let begin = sync::now();
        let mut report = CloseReport::default();
        if !shared.workers.is_current() && shared.is_at_home() {
            let deadline = after(begin, span);
            let grace = (span / 2).min(LONGEST_GRACE);
            let before_deadline = |grace| deadline.and_then(|deadline| deadline.checked_sub(grace));
            let (tell, told) = channel();
            if !is_empty_by(shared, before_deadline(grace)) {
                cancel_lent(shared, grace / 2, &tell);
            }
            if !is_empty_by(shared, before_deadline(grace / 2)) {
                report.aborted = abort_lent(shared);
            }
            let is_empty = is_empty_by(shared, deadline);
            report.threads_left = shared.workers.join(if is_empty { deadline } else { Some(sync::now()) });
            report.cancelled = told.try_iter().collect();
        }
        let CloseReport { left, connections_left, .. } = self.what_is_left();
        CloseReport { left, connections_left, ..report }
    }

    /// Like [`close_within`](Self::close_within), for a task. Closing begins at the future's first poll, and goes on if the future is
    /// dropped.
    ///
    /// ```
    /// # use cabrank::Pool;
    /// # use cabrank::doc_toy::Toy;
    /// # let pool = Pool::builder().build(Toy)?;
    /// # pollster::block_on(async {
    /// use std::time::Duration;
    ///
    /// let report = pool.close_async(Duration::from_secs(10)).await;
    /// assert!(report.is_clean(), "{report}");
    /// # });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn close_async(&self, within: Duration) -> CloseAsync<M> {
        CloseAsync { pool: self.clone(), within, answer: None }
    }

    /// Returns whether the pool is closed.
    pub fn is_closed(&self) -> bool {
        self.shared().with(sync::now(), |state, _| state.is_closed())
    }

    /// Returns a reference that does not keep this pool open. Use it in a hook, an event handler or a manager, where a [`Pool`] would
    /// keep its own pool open forever, and in a thread that reports statistics, where a [`Pool`] would keep the pool open until that
    /// thread ends. Takes no lock.
    ///
    /// ```
    /// # use cabrank::Pool;
    /// # use cabrank::doc_toy::Toy;
    /// # let manager = Toy;
    /// let pool = Pool::builder().build(manager)?;
    /// let weak = pool.downgrade();
    /// assert!(weak.upgrade().is_some_and(|pool| pool.stats().open == 1));
    /// drop(pool); // The last handle: closes the pool.
    /// assert!(weak.upgrade().is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn downgrade(&self) -> WeakPool<M> {
        WeakPool::of(self)
    }

    /// What is left at this moment.
    pub(crate) fn what_is_left(&self) -> CloseReport {
        let now = sync::now();
        let (left, connections_left) = self.shared().with(now, |state, _| (state.holders(now), state.occupied()));
        CloseReport { left, connections_left, ..CloseReport::default() }
    }
}

/// The future returned by [`Pool::close_async`].
#[must_use = "a future does nothing until it is polled"]
pub struct CloseAsync<M: Manager> {
    pool: Pool<M>,
    within: Duration,
    answer: Option<Arc<Answer<CloseReport>>>,
}

impl<M: Manager> Future for CloseAsync<M> {
    type Output = CloseReport;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<CloseReport> {
        let this = self.get_mut();
        let (pool, within) = (&this.pool, this.within);
        if !pool.shared().is_at_home() {
            return Poll::Ready(pool.close_within(within));
        }
        this.answer.get_or_insert_with(|| close_on_own_thread(pool, within)).poll(context)
    }
}

fn close_on_own_thread<M: Manager>(pool: &Pool<M>, within: Duration) -> Arc<Answer<CloseReport>> {
    // Refuses loans from now on, even before the thread runs.
    pool.close();
    let (answer, pledge): (_, Pledge<CloseReport>) = Answer::new(pool.what_is_left());
    let its_pool = pool.clone();
    pool.shared().run_on_own_thread(Box::new(move || pledge.keep(its_pool.close_within(within))));
    answer
}

impl<M: Manager> fmt::Debug for CloseAsync<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CloseAsync").field("pool", &self.pool.config().name).finish_non_exhaustive()
    }
}

/// Waits until every slot is free or the deadline passes.
fn is_empty_by<M: Manager>(shared: &Arc<Shared<M>>, deadline: Option<Instant>) -> bool {
    let waiter = Waiter::new();
    loop {
        let now = sync::now();
        let occupied = shared.with(now, |state, _| {
            state.watch(Wake::Thread(Arc::clone(&waiter)));
            state.occupied()
        });
        if occupied == 0 || deadline.is_some_and(|deadline| deadline <= now) {
            return occupied == 0;
        }
        shared.workers.park(&waiter, deadline);
    }
}

/// Asks the server to cancel the holders' statements. Their connections are closed on return, because the pool is closed.
fn cancel_lent<M: Manager>(shared: &Arc<Shared<M>>, limit: Duration, cancelled: &Sender<Holder>) {
    let now = sync::now();
    let lent = shared.with(now, |state, _| state.lent_abort_handles(now));
    for (_, holder, abort_handle) in lent {
        if let Some(abort_handle) = abort_handle.as_ref().and_then(Weak::upgrade) {
            let (pool, cancelled) = (Arc::clone(shared), cancelled.clone());
            let ask = Box::new(move |limit: &Limit| {
                if abort_handle.cancel(limit) {
                    // Without a receiver the closing is over.
                    let _ = cancelled.send(holder);
                }
            });
            shared.workers.submit(Job::Cancel { pool, limit, ask });
        }
    }
}

/// Aborts the remaining loans and running driver calls. With a remote server the slots are free at once.
fn abort_lent<M: Manager>(shared: &Arc<Shared<M>>) -> Vec<Holder> {
    let now = sync::now();
    // Closes that have not begun skip the goodbye.
    shared.workers.change_background(Job::hasten);
    let lent = shared.with(now, |state, actions| {
        state.abort_calls(actions);
        state.lent_abort_handles(now)
    });
    let mut aborted = Vec::new();
    for (slot, holder, abort_handle) in lent {
        let Some(abort_handle) = abort_handle.as_ref().and_then(Weak::upgrade) else { continue };
        if !can_abort(&*abort_handle) {
            let _ = contained(|| drop(abort_handle));
            continue;
        }
        // It may have been returned just now. Checked before the abort, which makes its holder return it.
        let is_lent = shared.with(now, |state, _| {
            let is_lent = state.is_lent(slot, holder.id) || seeded::bug("aborts_what_came_back");
            if is_lent && M::REMOTE {
                state.aborted(slot, now);
            }
            is_lent
        });
        if is_lent {
            let _ = contained(|| abort_handle.abort());
        }
        let _ = contained(|| drop(abort_handle));
        aborted.extend((is_lent && M::REMOTE).then_some(holder));
    }
    aborted
}

/// Holders are cancelled at most this long before the end of closing.
const LONGEST_GRACE: Duration = Duration::from_secs(1);
