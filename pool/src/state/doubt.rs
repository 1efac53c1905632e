//! Calls are unanswered and no slot is free: are their sessions dead, or is the server slow?
//!
//! The pool gives up one call to find out. A log-in in its place shows that the server admits sessions. If the server is near, where a
//! check costs little, the new connection is checked before it is lent, because only an answer proves that the sessions are dead. If it
//! is far, the log-in must suffice. But a server that stalled ends log-ins and calls together, so the answers have a moment to
//! arrive after it.

use crate::state::State;
use crate::state::patience::SHORTEST_LOST;
use crate::state::stalls::last_look;
use crate::sync::after;
use std::time::{Duration, Instant};

/// When this doubt was last raised, and when a new connection last answered the check that was to settle it.
#[derive(Default)]
pub(super) struct Doubt {
    raised_at: Option<Instant>,
    settled_at: Option<Instant>,
}

impl<C, E> State<C, E> {
    /// Whether the server has answered a call other than one begun at `since`.
    pub(super) fn is_settled(&self, since: Instant, now: Instant) -> bool {
        match self.log_in_settles_at() {
            Some(settles_at) => self.opened_at > Some(since) && settles_at <= now,
            None => self.doubt.settled_at > Some(since),
        }
    }

    /// Whether a call that began no later than `since` was given up already to find out, and the result is still open.
    pub(super) fn is_being_settled(&self, since: Instant, now: Instant) -> bool {
        match self.log_in_settles_at() {
            Some(settles_at) => self.opened_at > Some(since) && now < settles_at,
            None => self.is_near() && self.doubt.raised_at >= Some(since),
        }
    }

    /// When the last log-in proves that calls unanswered since then will stay unanswered. `None` if a check must prove it.
    pub(super) fn log_in_settles_at(&self) -> Option<Instant> {
        self.opened_at.filter(|_| !self.is_near()).and_then(|at| after(at, last_look(Duration::ZERO)))
    }

    pub(super) fn raise_doubt(&mut self, now: Instant) {
        self.doubt.raised_at = Some(now);
    }

    /// Whether a new connection must be checked before it is lent.
    pub(super) fn must_be_asked(&self) -> bool {
        self.is_near() && self.doubt.raised_at > self.doubt.settled_at && self.promises.has_late()
    }

    pub(super) fn settle_doubt(&mut self, now: Instant) {
        self.doubt.settled_at = Some(now);
    }

    /// Whether a log-in, and therefore a check, is quicker than the shortest time after which a call is lost.
    fn is_near(&self) -> bool {
        self.patience.longest_opening().is_some_and(|longest| longest < SHORTEST_LOST)
    }
}
