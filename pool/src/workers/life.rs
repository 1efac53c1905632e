//! One worker's life: job after job, rest between them, and the end.

use crate::seeded;
use crate::sync;
use crate::sync::{MutexGuard, after};
use crate::workers::seat::{Order, Seat};
use crate::workers::set::{Set, SetState};
use std::sync::Arc;

impl Set {
    /// Runs job after job, each by an order to its seat, with rest between them.
    pub(super) fn work(self: &Arc<Self>, seat: &Arc<Seat>) {
        let mut order = seat.wait(None);
        loop {
            order = match order {
                Some(Order::Work(task)) => {
                    let pool = task.pool;
                    task.run();
                    self.done(seat, pool)
                }
                Some(Order::Leave) => return self.leave(seat.number, self.state.lock()),
                // No order came for a long time.
                None => match self.retire(seat) {
                    Ok(()) => return,
                    Err(()) => seat.wait(None),
                },
            }
        }
    }

    /// A worker has done its job. It takes the next that is queued; else it rests, or ends if no pool is open.
    fn done(self: &Arc<Self>, seat: &Arc<Seat>, pool: usize) -> Option<Order> {
        let mut state = self.state.lock();
        state.job_ended(pool);
        if state.joining > 0 {
            self.ended.notify_all();
        }
        if let Some(task) = state.next_job() {
            return Some(Order::Work(task));
        }
        if self.is_starved() {
            self.relieve(state);
            state = self.state.lock();
        }
        self.rest(seat, state)
    }

    /// Rests until there is an order. `None`: none came for a long time.
    pub(super) fn rest(&self, seat: &Arc<Seat>, mut state: MutexGuard<'_, SetState>) -> Option<Order> {
        if state.open == 0 {
            return Some(Order::Leave);
        }
        state.resting.push(Arc::clone(seat));
        drop(state);
        seat.wait(after(sync::now(), self.rest))
    }

    /// A worker has rested for long enough, and ends. An error: its seat was taken from those at rest, and an order is on its way.
    fn retire(&self, seat: &Arc<Seat>) -> Result<(), ()> {
        let mut state = self.state.lock();
        let place = state.resting.iter().position(|other| Arc::ptr_eq(other, seat)).ok_or(())?;
        if seeded::bug("unlocks_before_it_leaves_its_seat") {
            drop(state);
            state = self.state.lock();
        }
        state.resting.remove(place);
        self.leave(seat.number, state);
        Ok(())
    }

    /// A thread ends.
    pub(super) fn leave(&self, number: u64, mut state: MutexGuard<'_, SetState>) {
        if let Some(Some(handle)) = state.threads.remove(&number) {
            state.keep_for_joining(handle);
        }
        if state.joining > 0 {
            self.ended.notify_all();
        }
    }
}
