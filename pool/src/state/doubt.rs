//! Calls without an answer and no slot free: are their sessions dead, or is the server slow?
//!
//! One is given up to find out. A log-in in its place shows that the server lets in; near by, where a question costs little, the new
//! connection is asked one before it is lent, for only an answer shows that it is the sessions that are dead.

use crate::state::State;
use crate::state::patience::SHORTEST_LOST;
use std::time::Instant;

/// When it was last doubted, and when a new connection last answered the question that was to settle it.
#[derive(Default)]
pub(super) struct Doubt {
    raised_at: Option<Instant>,
    settled_at: Option<Instant>,
}

impl<C, E> State<C, E> {
    /// Is it known that the server answers those who come after a call that began then?
    pub(super) fn is_settled(&self, since: Instant) -> bool {
        let shown_at = if self.is_near() { self.doubt.settled_at } else { self.opened_at };
        shown_at.is_some_and(|at| at > since)
    }

    /// Was one that began no later than this given up already, to find out?
    pub(super) fn is_being_settled(&self, since: Instant) -> bool {
        self.is_near() && self.doubt.raised_at.is_some_and(|at| at >= since)
    }

    pub(super) fn raise_doubt(&mut self, now: Instant) {
        self.doubt.raised_at = Some(now);
    }

    /// Must a new connection be asked before it is lent?
    pub(super) fn must_be_asked(&self) -> bool {
        self.is_near() && self.doubt.raised_at > self.doubt.settled_at && self.promises.has_late()
    }

    pub(super) fn settle_doubt(&mut self, now: Instant) {
        self.doubt.settled_at = Some(now);
    }

    /// Is a log-in, and so a question, quicker than the patience with any call?
    fn is_near(&self) -> bool {
        self.patience.longest_opening().is_some_and(|longest| longest < SHORTEST_LOST)
    }
}
