//! The wait for a connection, until there is one, a refusal, or no time left: parking, the looks between two parks, and leaving the
//! queue. How the queue is served is not decided here but in `state/`.

use crate::checkout::Request;
use crate::checkout::refusal::{Refusal, Unserved};
use crate::entry::Entry;
use crate::manager::Manager;
use crate::queue::Ticket;
use crate::seeded;
use crate::shared::SlottedConnection;
use crate::state::State;
use crate::state::actions::{Claim, Delivery};
use crate::sync;
use crate::sync::after;
use crate::waiter::Waiter;
use std::time::Instant;

/// The result that a waiter finds when it wakes.
pub(super) enum Found<C, E> {
    Connection(Box<Entry<C>>),
    Refusal(Refusal<E>),
    /// Nothing: it continues to wait, until this deadline.
    Nothing(Option<Instant>),
}

type FoundBy<M> = Found<SlottedConnection<M>, <M as Manager>::Error>;
type DeliveryOf<M> = Delivery<SlottedConnection<M>, <M as Manager>::Error>;
type StateOf<M> = State<SlottedConnection<M>, <M as Manager>::Error>;

impl<M: Manager> Request<'_, M> {
    /// Parks until there is a connection, a refusal, or no time left. A connection that arrives together with the deadline is taken, and
    /// so is one that arrives soon after a deadline that passed while the process was suspended.
    #[cold]
    pub(super) fn wait(
        &self,
        ticket: &Ticket,
        waiter: &Waiter,
    ) -> Result<Box<Entry<SlottedConnection<M>>>, Unserved<M::Error>> {
        let mut deadline = self.grace_ends.get().or_else(|| after(self.start, self.timeout));
        loop {
            self.shared.workers.park(waiter, deadline);
            let now = sync::now();
            match self.look_or_leave(ticket, deadline, now) {
                Found::Connection(mut entry) => {
                    entry.lent_at = now;
                    return Ok(entry);
                }
                Found::Refusal(refusal) => {
                    self.cancel_apart(ticket, &refusal, now);
                    return Err(refusal.at(now));
                }
                Found::Nothing(until) => deadline = until,
            }
            if let Some(entry) = self.err_before_it_parks_again(ticket, waiter, now) {
                return Ok(entry);
            }
        }
    }

    /// One look at the pool. A waiter that finds nothing and has no time left leaves the queue in the same transaction, so nothing can
    /// be delivered to a waiter that has left.
    fn look_or_leave(&self, ticket: &Ticket, deadline: Option<Instant>, now: Instant) -> FoundBy<M> {
        self.shared.with(now, |state, actions| match state.receive(ticket, now, self.borrower, actions) {
            Some(delivery) => self.accept(state, delivery, now),
            None => self.wait_on_or_leave(state, ticket, deadline, now),
        })
    }

    /// As [`look_or_leave`](Self::look_or_leave), for a task: the state wakes it at its deadline.
    pub(super) fn look_or_leave_as_task(&self, ticket: &Ticket, deadline: Option<Instant>, now: Instant) -> FoundBy<M> {
        self.shared.with(now, |state, actions| {
            if let Some(delivery) = state.collect(ticket, now, actions) {
                return self.accept(state, delivery, now);
            }
            let found = self.wait_on_or_leave(state, ticket, deadline, now);
            if let Found::Nothing(Some(until)) = found {
                state.ring_at(ticket, until, now, actions);
            }
            found
        })
    }

    fn wait_on_or_leave(
        &self,
        state: &mut StateOf<M>,
        ticket: &Ticket,
        deadline: Option<Instant>,
        now: Instant,
    ) -> FoundBy<M> {
        let Some(ended) = deadline.filter(|&deadline| deadline <= now) else { return Found::Nothing(deadline) };
        if let Some(ends) = self.grace(state, ended, now) {
            return Found::Nothing(Some(ends));
        }
        let stays = seeded::bug("looks_and_cancels_apart");
        if let Some(delivery) = if stays { None } else { state.cancel(ticket) } {
            return self.accept(state, delivery, now);
        }
        state.timed_out(now.saturating_duration_since(self.start));
        Found::Refusal(Refusal::TimedOut(state.snapshot()))
    }

    /// Ends the request with what was delivered.
    fn accept(&self, state: &mut StateOf<M>, delivery: DeliveryOf<M>, now: Instant) -> FoundBy<M> {
        match delivery {
            Delivery::Connection(entry) => {
                state.served_after(now.saturating_duration_since(self.start));
                Found::Connection(entry)
            }
            Delivery::Refused(cause) => Found::Refusal(Refusal::Connect(cause)),
            Delivery::Closed => Found::Refusal(Refusal::Closed),
        }
    }

    /// Until when the request may wait although its time `ended`: it is granted a grace once, if the process was suspended then.
    fn grace(&self, state: &mut StateOf<M>, ended: Instant, now: Instant) -> Option<Instant> {
        if self.grace_ends.get().is_none() {
            self.grace_ends.set(state.grace(ended, now).and_then(|grace| after(now, grace)));
            return self.grace_ends.get();
        }
        None
    }

    /// For a seeded bug: cancels in a transaction of its own, after the look.
    #[cold]
    fn cancel_apart(&self, ticket: &Ticket, refusal: &Refusal<M::Error>, now: Instant) {
        if seeded::bug("looks_and_cancels_apart") && matches!(refusal, Refusal::TimedOut(_)) {
            drop(self.shared.with(now, |state, _| state.cancel(ticket)));
        }
    }

    /// For two seeded bugs: what they do between a look that found nothing and the next wait.
    #[cold]
    fn err_before_it_parks_again(
        &self,
        ticket: &Ticket,
        waiter: &Waiter,
        now: Instant,
    ) -> Option<Box<Entry<SlottedConnection<M>>>> {
        if seeded::bug("clears_its_token_before_it_parks_again") {
            waiter.park(Some(now));
        }
        if seeded::bug("takes_what_is_idle_in_a_second_transaction") {
            let claim = self.shared.with(now, |state, actions| state.claim(now, self.borrower, actions));
            if let Claim::Connection(entry) = claim {
                drop(self.shared.with(now, |state, _| state.cancel(ticket)));
                return Some(entry);
            }
        }
        None
    }
}
