//! The driver of the fake server: manager, connection, abort handle.

use super::call::{Call, FakeError, FakeSource, Outcome};
use super::world::World;
use cabrank::{AbortHandle, Fault, Limit, Manager, SessionState};
use std::error::Error;
use std::sync::Arc;

/// The driver of a [`FakeServer`](super::FakeServer). `REMOTE` is false for an engine in this process.
#[derive(Debug)]
pub struct FakeManager<const REMOTE: bool = true> {
    world: Arc<World>,
}

impl<const REMOTE: bool> FakeManager<REMOTE> {
    pub(super) fn new(world: &Arc<World>) -> Self {
        Self { world: Arc::clone(world) }
    }
}

impl<const REMOTE: bool> Manager for FakeManager<REMOTE> {
    type Connection = FakeConnection;
    type Error = FakeError;

    const REMOTE: bool = REMOTE;

    fn connect(&self, limit: &Limit) -> Result<FakeConnection, FakeError> {
        let found = limit.unabortable(|| self.world.hook(Call::LookUp));
        found.unwrap_or(Err(FakeError { call: Call::LookUp, fault: Fault::Unavailable }))?;
        let arrival = Arrival { world: &self.world, id: self.world.arrive(), came: false };
        let outcome = self.world.next_outcome(Call::Connect);
        if outcome != Outcome::Stuck {
            let (world, id) = (Arc::clone(&self.world), arrival.id);
            limit.on_abort(move || world.abort(id));
        }
        self.world.obey(Call::Connect, outcome, Some(arrival.id))?;
        let id = arrival.stay();
        Ok(FakeConnection {
            id,
            world: Arc::clone(&self.world),
            session: SessionState::Clean,
            set_ups: 0,
            leftovers: false,
            beyond_reset: false,
        })
    }

    fn is_valid(&self, conn: &mut FakeConnection, _: &Limit) -> Result<(), FakeError> {
        self.world.on_session(Call::Check, conn.id)
    }

    fn has_broken(&self, conn: &mut FakeConnection) -> bool {
        self.world.on_session(Call::HasBroken, conn.id).is_err()
    }

    fn session(&self, conn: &mut FakeConnection) -> SessionState {
        match self.world.on_session(Call::Session, conn.id) {
            Ok(()) => conn.session,
            Err(_) => SessionState::Unknown,
        }
    }

    fn reset(&self, conn: &mut FakeConnection, _: &Limit) -> Result<(), FakeError> {
        self.world.on_session(Call::Reset, conn.id)?;
        (conn.session, conn.leftovers) = match conn.beyond_reset {
            true => (SessionState::BeyondReset, true),
            false => (SessionState::Clean, false),
        };
        Ok(())
    }

    fn close(&self, conn: FakeConnection, _: &Limit) {
        let _ = self.world.on_session(Call::Close, conn.id);
        self.world.closed(conn.id);
    }

    fn fault(&self, error: &FakeError) -> Fault {
        let _ = self.world.hook(Call::Fault);
        error.fault
    }

    fn fault_of_source(&self, source: &(dyn Error + 'static)) -> Option<Fault> {
        source.downcast_ref().map(|&FakeSource(fault)| fault)
    }

    fn remark(&self, conn: &FakeConnection) -> Option<String> {
        let state = self.world.lock();
        state.seats[conn.id].remark.as_ref().or(state.remark.as_ref()).cloned()
    }

    fn abort_handle(&self, conn: &FakeConnection) -> Option<Box<dyn AbortHandle>> {
        self.world.on_session(Call::AbortHandle, conn.id).ok()?;
        Some(Box::new(FakeAbortHandle { id: conn.id, world: Arc::clone(&self.world) }))
    }
}

/// A connect under way: its session ends unless the connect succeeds.
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

/// The connection of a [`FakeManager`].
#[derive(Debug)]
pub struct FakeConnection {
    /// The number of its session at the server, from 0. It is unique.
    pub id: usize,
    world: Arc<World>,
    /// The session's state as the driver sees it.
    pub session: SessionState,
    /// How often the hook of [`FakeServer::set_up`](super::FakeServer::set_up) ran.
    pub set_ups: u32,
    /// Whether a holder left something in the session that no reset has removed.
    pub leftovers: bool,
    /// Whether it is something that no reset can remove.
    beyond_reset: bool,
}

impl FakeConnection {
    /// Makes a round trip to the server.
    ///
    /// # Errors
    ///
    /// As ordered, or if the session is dead.
    pub fn query(&mut self) -> Result<(), FakeError> {
        self.world.on_session(Call::Query, self.id)
    }

    /// Leaves something in the session that the driver cannot see.
    pub fn litter(&mut self) {
        (self.session, self.leftovers) = (SessionState::Unknown, true);
    }

    /// Leaves something small in the session, which the driver sees.
    pub fn litter_slightly(&mut self) {
        (self.session, self.leftovers) = (SessionState::Slight, true);
    }

    /// Leaves something in the session that no reset removes, and that the driver sees.
    pub fn litter_for_good(&mut self) {
        (self.session, self.leftovers, self.beyond_reset) = (SessionState::BeyondReset, true, true);
    }

    /// Leaves something in the session that no reset removes, and that only the reset finds.
    pub fn litter_for_good_unseen(&mut self) {
        (self.session, self.leftovers, self.beyond_reset) = (SessionState::Unknown, true, true);
    }

    /// Marks the connection as about to leave the pool for good: the server no longer counts it.
    pub fn say_goodbye(&self) {
        self.world.leave(self.id);
    }

    pub(super) fn world(&self) -> &Arc<World> {
        &self.world
    }
}

impl Drop for FakeConnection {
    fn drop(&mut self) {
        /// Ends the session even if the destructor panics.
        struct Leaving<'a>(&'a FakeConnection);
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

    fn can_abort(&self) -> bool {
        self.world.hook(Call::CanAbort).is_ok()
    }
}
