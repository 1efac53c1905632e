//! Calls without an answer and no slot free: are their sessions dead, or is the server slow?
//!
//! One is given up to find out. A log-in in its place shows that the server lets in; near by, where a question costs little, the new
//! connection is asked one before it is lent, for only an answer shows that it is the sessions that are dead. Far away the log-in must do;
//! but a server that stood still ends all at once, log-ins and calls, so the answers have a moment to come after it.

use crate::state::State;
use crate::state::patience::SHORTEST_LOST;
use crate::state::stalls::last_look;
use crate::sync::after;
use std::time::{Duration, Instant};

/// When it was last doubted, and when a new connection last answered the question that was to settle it.
#[derive(Default)]
pub(super) struct Doubt {
    raised_at: Option<Instant>,
    settled_at: Option<Instant>,
}

impl<C, E> State<C, E> {
    /// Is it known that the server answers those who come after a call that began then?
    pub(super) fn is_settled(&self, since: Instant, now: Instant) -> bool {
        match self.log_in_settles_at() {
            Some(settles_at) => self.opened_at > Some(since) && settles_at <= now,
            None => self.doubt.settled_at > Some(since),
        }
    }

    /// Was one that began no later than this given up already, to find out, and is what that shows yet to be seen?
    pub(super) fn is_being_settled(&self, since: Instant, now: Instant) -> bool {
        match self.log_in_settles_at() {
            Some(settles_at) => self.opened_at > Some(since) && now < settles_at,
            None => self.is_near() && self.doubt.raised_at >= Some(since),
        }
    }

    /// When the last log-in shows that what has not been answered since will not be, if it takes no question to see that.
    pub(super) fn log_in_settles_at(&self) -> Option<Instant> {
        self.opened_at.filter(|_| !self.is_near()).and_then(|at| after(at, last_look(Duration::ZERO)))
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
