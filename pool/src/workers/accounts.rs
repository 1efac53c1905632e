//! The record of each pool: whether it is open, its work under way, and waiting for that work to end.

use crate::seeded;
use crate::sync;
use crate::sync::after;
use crate::workers::seat::Order;
use crate::workers::set::{Set, SetState};
use crate::workers::timetable::{Alarm, Timer};
use std::sync::Arc;
use std::time::{Duration, Instant};

#[derive(Default)]
pub(super) struct Account {
    pub(super) open: bool,
    /// Its jobs under way, each of which has a thread.
    pub(super) running: usize,
    /// Its one alarm for maintenance.
    pub(super) maintenance: Option<Alarm>,
}

impl Set {
    /// A pool joins: from now on threads may rest.
    pub(super) fn open(&self, pool: usize) {
        let mut state = self.state.lock();
        state.accounts.insert(pool, Account { open: true, ..Account::default() });
        state.open += 1;
        // These will no longer be joined.
        let over = std::mem::take(&mut state.over);
        drop(state);
        drop(over);
    }

    /// A pool needs no more maintenance. After the last one the resting threads end at once.
    pub(super) fn close(&self, pool: usize) {
        let mut state = self.state.lock();
        let Some(account) = state.accounts.get_mut(&pool).filter(|account| account.open) else { return };
        account.open = false;
        let maintenance = account.maintenance.take();
        let cancelled = maintenance.and_then(|alarm| state.alarms.remove(&alarm));
        state.open -= 1;
        let was_the_last = state.open == 0;
        let dismissed = if was_the_last { std::mem::take(&mut state.resting) } else { Vec::new() };
        drop(state);
        drop(cancelled);
        for seat in dismissed {
            seat.call(Order::Leave);
        }
        if was_the_last {
            self.dismiss_timer();
        }
    }

    /// A pool is gone for good.
    pub(super) fn forget(&self, pool: usize) {
        self.close(pool);
        self.state.lock().accounts.remove(&pool);
    }

    /// Waits until no job of `pool` is under way and, if no pool is open, until the threads without work have ended; or until
    /// `deadline`. Returns how many threads are still in jobs of `pool`.
    pub(super) fn join(self: &Arc<Self>, pool: usize, deadline: Option<Instant>) -> usize {
        let mut retries = Retries::new();
        let mut state = self.state.lock();
        state.joining += 1;
        while state.holds_up(pool) && deadline.is_none_or(|deadline| sync::now() < deadline) {
            if seeded::bug("unlocks_before_it_waits_for_the_end") {
                drop(state);
                state = self.state.lock();
            }
            if !self.is_starved() {
                state = self.ended.wait(state, deadline);
                continue;
            }
            drop(state);
            self.retry();
            state = self.state.lock();
            if state.holds_up(pool) {
                state = self.ended.wait(state, retries.next(deadline));
            }
        }
        state.joining -= 1;
        let left = state.running(pool);
        let over = std::mem::take(&mut state.over);
        drop(state);
        // Each of these has done its last work: joining waits only for the operating system.
        for handle in over {
            let _ = handle.join();
        }
        left
    }
}

impl SetState {
    pub(super) fn running(&self, pool: usize) -> usize {
        self.accounts.get(&pool).map_or(0, |account| account.running)
    }

    /// Whether there is anything for which closing this pool waits.
    pub(super) fn holds_up(&self, pool: usize) -> bool {
        self.running(pool) > 0
            || self.jobs.iter().any(|task| task.pool == pool)
            || (self.open == 0 && self.without_work() > 0)
    }

    fn without_work(&self) -> usize {
        // Other closed pools may still have calls under way, with their limits.
        let timer_is_needed = self.timer != Timer::Absent && !(self.alarms.is_empty() && self.jobs.is_empty());
        self.threads.len().saturating_sub(self.busy + usize::from(timer_is_needed))
    }
}

/// How long a thread that waits lets pass before it tries again to find a thread: longer each time.
pub(super) struct Retries(Duration);

impl Retries {
    pub(super) fn new() -> Self {
        Self(Duration::from_millis(10))
    }

    /// When to try again: at `deadline` at the latest.
    pub(super) fn next(&mut self, deadline: Option<Instant>) -> Option<Instant> {
        let again = after(sync::now(), self.0);
        self.0 = (self.0 * 2).min(Duration::from_millis(100));
        again.into_iter().chain(deadline).min()
    }
}
