//! The calls whose ends a test can order, and the possible ends.

use cabrank::Fault;
use std::fmt;
use std::time::Duration;

/// A kind of call to the fake server, whose end a test can order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Call {
    /// The look-up of the server's name: the first step of a connect, which cannot be aborted.
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
    /// [`Manager::session`](cabrank::Manager::session). An error means that the state is unknown.
    Session,
    /// [`Manager::fault`](cabrank::Manager::fault). An error changes nothing.
    Fault,
    /// [`Manager::abort_handle`](cabrank::Manager::abort_handle). An error means that there is no handle.
    AbortHandle,
    /// [`AbortHandle::cancel`](cabrank::AbortHandle::cancel). An error means that the cancel could not be sent.
    Cancel,
    /// [`AbortHandle::abort`](cabrank::AbortHandle::abort), after the connection was aborted.
    Abort,
    /// [`AbortHandle::can_abort`](cabrank::AbortHandle::can_abort). An error means no.
    CanAbort,
    /// The hook of [`FakeServer::set_up`](super::FakeServer::set_up).
    OnOpen,
    /// An event that a [recorder](super::FakeServer::recorder) receives.
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
    /// The start of [`Transact::nested`](cabrank::Transact::nested).
    Savepoint,
    /// Its end after success.
    Release,
    /// Its end after an error or a panic.
    RollbackTo,
}

/// How a call ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// With success, at once.
    Ok,
    /// With an error that the manager classifies as this fault.
    Err(Fault),
    /// With success after this time, or with an error when it is cancelled or the connection is aborted.
    Slow(Duration),
    /// With an error when it is cancelled or the connection is aborted, or with success when it is
    /// [released](super::FakeServer::release).
    Never,
    /// With success when it is released; an abort does not reach it, and a connect registers none.
    Stuck,
    /// With a panic, which is [not printed](crate::panics).
    Panic,
}

/// The error of a [`FakeManager`](super::FakeManager).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FakeError {
    /// The call that failed.
    pub call: Call,
    /// The class of the failure.
    pub fault: Fault,
}

impl fmt::Display for FakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} failed: {:?}", self.call, self.fault)
    }
}

impl std::error::Error for FakeError {}

/// The source of a [`FakeError`] that a wrapper has hidden. The manager can classify it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FakeSource(pub Fault);

impl fmt::Display for FakeSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl std::error::Error for FakeSource {}
