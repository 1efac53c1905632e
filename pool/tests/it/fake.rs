//! The driver of the server that is not there: manager, connection, abort handle, error.

use crate::server::{Call, Verdict, World};
use cabrank::{AbortHandle, Fault, Limit, Manager, SessionState};
use std::fmt;
use std::sync::Arc;

/// The driver. `REMOTE` is false for an engine in this process.
pub(crate) struct Fake<const REMOTE: bool> {
    world: Arc<World>,
}

impl<const REMOTE: bool> Fake<REMOTE> {
    pub(crate) fn new(world: &Arc<World>) -> Self {
        Self { world: Arc::clone(world) }
    }
}

impl<const REMOTE: bool> Manager for Fake<REMOTE> {
    type Connection = FakeConn;
    type Error = FakeError;

    const REMOTE: bool = REMOTE;

    fn connect(&self, limit: &Limit) -> Result<FakeConn, FakeError> {
        let found = limit.unabortable(|| self.world.hook(Call::LookUp));
        found.unwrap_or(Err(FakeError { call: Call::LookUp, fault: Fault::Unavailable }))?;
        let arrival = Arrival { world: &self.world, id: self.world.arrive(), came: false };
        let verdict = self.world.verdict(Call::Connect);
        if verdict != Verdict::Stuck {
            let (world, id) = (Arc::clone(&self.world), arrival.id);
            limit.on_abort(move || world.abort(id));
        }
        self.world.obey(Call::Connect, verdict, Some(arrival.id))?;
        let id = arrival.stay();
        Ok(FakeConn { id, world: Arc::clone(&self.world), session: SessionState::Clean, set_ups: 0, leftovers: false })
    }

    fn is_valid(&self, conn: &mut FakeConn, _: &Limit) -> Result<(), FakeError> {
        self.world.on_session(Call::Check, conn.id)
    }

    fn has_broken(&self, conn: &mut FakeConn) -> bool {
        self.world.on_session(Call::HasBroken, conn.id).is_err()
    }

    fn session(&self, conn: &mut FakeConn) -> SessionState {
        match self.world.on_session(Call::Session, conn.id) {
            Ok(()) => conn.session,
            Err(_) => SessionState::Unknown,
        }
    }

    fn reset(&self, conn: &mut FakeConn, _: &Limit) -> Result<(), FakeError> {
        self.world.on_session(Call::Reset, conn.id)?;
        (conn.session, conn.leftovers) = (SessionState::Clean, false);
        Ok(())
    }

    fn close(&self, conn: FakeConn, _: &Limit) {
        let _ = self.world.on_session(Call::Close, conn.id);
        self.world.closed(conn.id);
    }

    fn fault(&self, error: &FakeError) -> Fault {
        let _ = self.world.hook(Call::Fault);
        error.fault
    }

    fn abort_handle(&self, conn: &FakeConn) -> Option<Box<dyn AbortHandle>> {
        self.world.on_session(Call::AbortHandle, conn.id).ok()?;
        Some(Box::new(FakeAbortHandle { id: conn.id, world: Arc::clone(&self.world) }))
    }
}

/// A connect under way: if it comes to nothing, its session ends.
struct Arrival<'a> {
    world: &'a World,
    id: usize,
    came: bool,
}

impl Arrival<'_> {
    fn stay(mut self) -> usize {
        self.came = true;
        self.id
    }
}

impl Drop for Arrival<'_> {
    fn drop(&mut self) {
        if !self.came {
            self.world.leave(self.id);
        }
    }
}

/// The driver's connection.
pub(crate) struct FakeConn {
    pub(crate) id: usize,
    world: Arc<World>,
    /// What the driver can tell of the session.
    pub(crate) session: SessionState,
    /// How often `on_open` ran.
    pub(crate) set_ups: u32,
    /// Did a holder leave something behind in the session that no reset has removed?
    pub(crate) leftovers: bool,
}

impl FakeConn {
    pub(crate) fn query(&mut self) -> Result<(), FakeError> {
        self.world.on_session(Call::Query, self.id)
    }

    /// Leaves something behind that the driver cannot see.
    pub(crate) fn litter(&mut self) {
        (self.session, self.leftovers) = (SessionState::Unknown, true);
    }

    /// It is about to leave the pool for good: the server counts it no longer.
    pub(crate) fn say_goodbye(&self) {
        self.world.leave(self.id);
    }

    pub(crate) fn world(&self) -> &Arc<World> {
        &self.world
    }
}

impl Drop for FakeConn {
    fn drop(&mut self) {
        /// Ends the session also when the destructor panics.
        struct Leaving<'a>(&'a FakeConn);
        impl Drop for Leaving<'_> {
            fn drop(&mut self) {
                self.0.world.leave(self.0.id);
            }
        }
        let leaving = Leaving(self);
        let _ = leaving.0.world.on_session(Call::Destroy, self.id);
    }
}

struct FakeAbortHandle {
    id: usize,
    world: Arc<World>,
}

impl AbortHandle for FakeAbortHandle {
    fn cancel(&self, _: &Limit) -> bool {
        let asked = self.world.on_session(Call::Cancel, self.id).is_ok();
        if asked {
            self.world.cancelled(self.id);
        }
        asked
    }

    fn abort(&self) {
        self.world.abort(self.id);
        let _ = self.world.hook(Call::Abort);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FakeError {
    pub(crate) call: Call,
    pub(crate) fault: Fault,
}

impl fmt::Display for FakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} failed: {:?}", self.call, self.fault)
    }
}

impl std::error::Error for FakeError {}
