//! What can be told how to end, and the ends there are.

use cabrank::Fault;
use std::fmt;
use std::time::Duration;

/// A kind of call that reaches the fake server, and can be told how to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Call {
    /// The look-up of the server's name: the first step of a connect, which nobody can abort.
    LookUp,
    /// [`Manager::connect`](cabrank::Manager::connect), after the look-up.
    Connect,
    /// [`Manager::is_valid`](cabrank::Manager::is_valid).
    Check,
    /// [`Manager::reset`](cabrank::Manager::reset).
    Reset,
    /// [`Manager::close`](cabrank::Manager::close). An error ends the session all the same.
    Close,
    /// [`Manager::has_broken`](cabrank::Manager::has_broken). An error means yes.
    HasBroken,
    /// [`Manager::session`](cabrank::Manager::session). An error means that nothing is known.
    Session,
    /// [`Manager::fault`](cabrank::Manager::fault). An error changes nothing.
    Fault,
    /// [`Manager::abort_handle`](cabrank::Manager::abort_handle). An error means that there is none.
    AbortHandle,
    /// [`AbortHandle::cancel`](cabrank::AbortHandle::cancel). An error means that nobody could be asked.
    Cancel,
    /// [`AbortHandle::abort`](cabrank::AbortHandle::abort), after the connection was aborted.
    Abort,
    /// [`AbortHandle::can_abort`](cabrank::AbortHandle::can_abort). An error means no.
    CanAbort,
    /// The hook of [`FakeServer::set_up`](super::FakeServer::set_up).
    OnOpen,
    /// An event that a [recorder](super::FakeServer::recorder) hears.
    Event,
    /// The destructor of a connection. An error changes nothing.
    Destroy,
    /// [`FakeConnection::query`](super::FakeConnection::query).
    Query,
    /// [`Transact::begin`](cabrank::Transact::begin).
    Begin,
    /// [`Transact::commit`](cabrank::Transact::commit).
    Commit,
    /// [`Transact::rollback`](cabrank::Transact::rollback).
    Rollback,
    /// The beginning of [`Transact::nested`](cabrank::Transact::nested).
    Savepoint,
    /// Its end, if it went well.
    Release,
    /// Its end, if it failed or panicked.
    RollbackTo,
}

/// How a call ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Well, and at once.
    Ok,
    /// With an error that means this for the pool.
    Err(Fault),
    /// Well after so long, or with an error when it is cancelled or the connection is aborted.
    Slow(Duration),
    /// With an error when it is cancelled or the connection is aborted, or well when it is [released](super::FakeServer::release).
    Never,
    /// Well when it is released; an abort does not reach it, and a connect registers none.
    Stuck,
    /// With a panic, which is [not printed](crate::panics).
    Panic,
}

/// The error of a [`FakeManager`](super::FakeManager).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FakeError {
    /// What failed.
    pub call: Call,
    /// What that means for the pool.
    pub fault: Fault,
}

impl fmt::Display for FakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} failed: {:?}", self.call, self.fault)
    }
}

impl std::error::Error for FakeError {}

/// The source of a [`FakeError`] that somebody has hidden. The manager knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FakeSource(pub Fault);

impl fmt::Display for FakeSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl std::error::Error for FakeSource {}
