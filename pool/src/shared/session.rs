//! Sessions as the next caller must find them: set up after opening, and reset after a loan.

use super::{CallOutcome, Shared};
use crate::cause::Cause;
use crate::contain::contained;
use crate::event::CallEnded;
use crate::limit::Limit;
use crate::manager::{Manager, SessionState};
use crate::reason::CloseReason;
use std::sync::Arc;

/// Identifies the set-up of a session, for [`Builder::on_open`](crate::Builder::on_open).
#[derive(Debug)]
pub struct SetUp<'a> {
    pub(crate) limit: &'a Limit,
    pub(crate) is_first: bool,
}

impl SetUp<'_> {
    /// Returns whether the connection was just opened. Otherwise its session was reset after a loan.
    pub fn is_first(&self) -> bool {
        self.is_first
    }

    /// Returns the limit of the enclosing call: the rest of `connect_timeout` the first time, of `reset_timeout` later.
    pub fn limit(&self) -> &Limit {
        self.limit
    }
}

/// The effect of a reset that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Renewal {
    Done,
    /// The session has a trace that no reset undoes.
    Impossible,
}

impl<M: Manager> Shared<M> {
    /// Sets up a session: after opening, and again after each reset. A session left in a transaction is refused: its holders would assume
    /// that their writes persist, but they would be rolled back in the end.
    pub(crate) fn set_up(&self, conn: &mut M::Connection, set_up: &SetUp<'_>) -> Result<(), Cause<M::Error>> {
        if let Some(on_open) = &self.hooks.on_open {
            match contained(|| on_open(conn, set_up)) {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return Err(Cause::Driver(Arc::new(error))),
                Err(panic) => return Err(Cause::panicked("`on_open` panicked", &panic)),
            }
        }
        match self.manager.check_set_up(conn, set_up.limit) {
            Ok(SessionState::InTransaction) => return Err(Cause::InTransaction),
            Ok(SessionState::Broken | SessionState::InDoubt) => return Err(Cause::other(BROKEN)),
            Ok(_) => {}
            Err(error) => return Err(Cause::Driver(Arc::new(error))),
        }
        self.manager.start_tracking(conn);
        Ok(())
    }

    /// Resets a session, and sets it up again, if possible.
    pub(crate) fn reset(&self, conn: &mut M::Connection, limit: &Limit) -> Result<Renewal, Cause<M::Error>> {
        self.manager.reset(conn, limit).map_err(|error| Cause::Driver(Arc::new(error)))?;
        match self.manager.session(conn) {
            SessionState::BeyondReset => return Ok(Renewal::Impossible),
            SessionState::Broken | SessionState::InDoubt => return Err(Cause::other(BROKEN)),
            _ => {}
        }
        self.set_up(conn, &SetUp { limit, is_first: false })?;
        Ok(Renewal::Done)
    }

    /// Counts and reports a reset that has ended. Returns its meaning for the connection.
    pub(crate) fn reset_ended(
        self: &Arc<Self>,
        id: u64,
        outcome: &CallOutcome<Result<Renewal, Cause<M::Error>>>,
    ) -> Result<(), CloseReason> {
        let verdict = self.verdict(outcome, CloseReason::ResetFailed);
        self.with(outcome.ended, |state, _| state.reset_ended(verdict.is_ok()));
        let (cause, took) = (outcome.cause(), outcome.took);
        let error = cause.as_ref().map(Cause::as_error);
        self.emit(|events| events.reset(&CallEnded { pool: &self.config.name, id, took, error }));
        match verdict? {
            Renewal::Done => Ok(()),
            Renewal::Impossible => Err(CloseReason::BeyondReset),
        }
    }
}

const BROKEN: &str = "the manager found the connection broken while setting up its session";
