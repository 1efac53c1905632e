//! The remote control of a faulty manager: the injections for each call, and their effects.

use crate::panics;
use crate::panics::ORDERED;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A method of [`Manager`](cabrank::Manager), [`Transact`](cabrank::Transact) or [`AbortHandle`](cabrank::AbortHandle).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// [`Manager::connect`](cabrank::Manager::connect).
    Connect,
    /// [`Manager::is_valid`](cabrank::Manager::is_valid).
    IsValid,
    /// [`Manager::has_broken`](cabrank::Manager::has_broken).
    HasBroken,
    /// [`Manager::session`](cabrank::Manager::session).
    Session,
    /// [`Manager::reset`](cabrank::Manager::reset).
    Reset,
    /// [`Manager::check_set_up`](cabrank::Manager::check_set_up). The driver's own may use its `session`, which is not counted as a call
    /// of that method here.
    CheckSetUp,
    /// [`Manager::start_tracking`](cabrank::Manager::start_tracking).
    StartTracking,
    /// [`Manager::close`](cabrank::Manager::close).
    Close,
    /// [`Manager::fault`](cabrank::Manager::fault).
    Fault,
    /// [`Manager::abort_handle`](cabrank::Manager::abort_handle).
    AbortHandle,
    /// [`AbortHandle::cancel`](cabrank::AbortHandle::cancel).
    Cancel,
    /// [`AbortHandle::abort`](cabrank::AbortHandle::abort).
    Abort,
    /// [`Transact::begin`](cabrank::Transact::begin).
    Begin,
    /// [`Transact::commit`](cabrank::Transact::commit).
    Commit,
    /// [`Transact::rollback`](cabrank::Transact::rollback).
    Rollback,
}

/// An injection into one call.
#[derive(Debug)]
pub enum Injection<E> {
    /// The call fails with this error, without a call of the driver. (A commit that fails is rolled back, as by a server.) A method
    /// without an error returns the worst answer:
    ///
    /// | method | answer |
    /// |---|---|
    /// | `has_broken` | true |
    /// | `session` | unknown |
    /// | `fault` | fatal |
    /// | `abort_handle`, `cancel` | no handle, not sent |
    /// | `close` | nothing: the connection is dropped without a goodbye |
    /// | `start_tracking`, `abort` | nothing: the driver is not called |
    Fail(E),
    /// The call begins this much later.
    Delay(Duration),
    /// The call hangs until it is [released](Faults::release) or aborted, and then continues in the driver, which returns its own error
    /// if its connection was aborted.
    ///
    /// A `connect` hangs after the driver has connected, like with a server that accepts and stays silent. A call without a limit, such
    /// as a commit, counts as aborted when any connection of the manager is.
    Hang,
    /// The call panics; the panic is [not printed](crate::panics).
    Panic,
}

/// The injections into the calls of a [`Faulty`](super::Faulty) manager. `E` is the driver's error.
///
/// When the last handle is dropped, all hanging calls are released and nothing is injected any more.
pub struct Faults<E> {
    handles: Arc<Handles<E>>,
}

impl<E> Faults<E> {
    /// Sets an injection for the `nth` such call from now on; 1 is the next one.
    ///
    /// # Panics
    ///
    /// If `nth` is 0, or that call already has an injection.
    pub fn inject(&self, method: Method, nth: usize, injection: Injection<E>) {
        assert!(nth > 0, "calls are counted from 1");
        let mut state = self.injector().lock();
        let calls = &mut state.calls[method as usize];
        let nth = calls.begun + nth;
        assert!(
            calls.injections.iter().all(|(other, _)| *other != nth),
            "that call of {method:?} has its fault already"
        );
        calls.injections.push((nth, injection));
    }

    /// Sets an injection for the next such call.
    ///
    /// # Panics
    ///
    /// If that call already has one.
    pub fn next(&self, method: Method, injection: Injection<E>) {
        self.inject(method, 1, injection);
    }

    /// The calls of this kind that hang now continue.
    pub fn release(&self, method: Method) {
        self.injector().lock().calls[method as usize].released += 1;
        self.injector().changed.notify_all();
    }

    /// The number of such calls so far.
    pub fn count(&self, method: Method) -> usize {
        self.injector().lock().calls[method as usize].begun
    }

    /// The number of such calls that hang now.
    pub fn hanging(&self, method: Method) -> usize {
        self.injector().lock().calls[method as usize].hanging
    }

    pub(super) fn new() -> (Self, Arc<Injector<E>>) {
        panics::hush();
        let injector = Arc::new(Injector { state: Mutex::new(InjectorState::new()), changed: Condvar::new() });
        (Self { handles: Arc::new(Handles(injector.clone())) }, injector)
    }

    fn injector(&self) -> &Injector<E> {
        &self.handles.0
    }
}

impl<E> Clone for Faults<E> {
    fn clone(&self) -> Self {
        Self { handles: self.handles.clone() }
    }
}

impl<E> fmt::Debug for Faults<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Faults")
    }
}

/// The handles share this; the manager has no part in it.
struct Handles<E>(Arc<Injector<E>>);

impl<E> Drop for Handles<E> {
    fn drop(&mut self) {
        self.0.lock().over = true;
        self.0.changed.notify_all();
    }
}

pub(super) struct Injector<E> {
    state: Mutex<InjectorState<E>>,
    changed: Condvar,
}

struct InjectorState<E> {
    /// One for each method.
    calls: [Calls<E>; Method::Rollback as usize + 1],
    /// The number of aborts of connections.
    aborts: u64,
    /// All handles are dropped.
    over: bool,
}

struct Calls<E> {
    begun: usize,
    /// By the number of the call.
    injections: Vec<(usize, Injection<E>)>,
    released: u64,
    hanging: usize,
}

impl<E> InjectorState<E> {
    fn new() -> Self {
        let calls = || Calls { begun: 0, injections: Vec::new(), released: 0, hanging: 0 };
        Self { calls: std::array::from_fn(|_| calls()), aborts: 0, over: false }
    }
}

impl<E> Injector<E> {
    fn lock(&self) -> MutexGuard<'_, InjectorState<E>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A call begins: returns its injection.
    pub(super) fn begin(&self, method: Method) -> Option<Injection<E>> {
        let mut state = self.lock();
        let over = state.over;
        let calls = &mut state.calls[method as usize];
        calls.begun += 1;
        let at = calls.injections.iter().position(|(nth, _)| *nth == calls.begun)?;
        let (_, injection) = calls.injections.swap_remove(at);
        (!over).then_some(injection)
    }

    /// A call begins, and suffers its injection before the driver is called. Returns the injected error.
    pub(super) fn suffer(&self, method: Method, is_over: impl Fn() -> bool) -> Result<(), E> {
        match self.begin(method) {
            Some(injection) => self.go_through(method, injection, is_over),
            None => Ok(()),
        }
    }

    pub(super) fn go_through(
        &self,
        method: Method,
        injection: Injection<E>,
        is_over: impl Fn() -> bool,
    ) -> Result<(), E> {
        match injection {
            Injection::Fail(error) => return Err(error),
            Injection::Delay(delay) => self.wait(Instant::now() + delay),
            Injection::Hang => self.hang(method, is_over),
            Injection::Panic => panic!("{ORDERED}: {method:?}"),
        }
        Ok(())
    }

    /// Blocks until released, aborted, or over by its limit.
    pub(super) fn hang(&self, method: Method, is_over: impl Fn() -> bool) {
        let mut state = self.lock();
        let (released, aborts) = (state.calls[method as usize].released, state.aborts);
        state.calls[method as usize].hanging += 1;
        while !(state.over || state.calls[method as usize].released != released || state.aborts != aborts || is_over())
        {
            // Polls the limit, because the driver has to register its own way to abort.
            state = self.changed.wait_timeout(state, TICK).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.calls[method as usize].hanging -= 1;
    }

    pub(super) fn aborted(&self) {
        self.lock().aborts += 1;
        self.changed.notify_all();
    }

    /// Waits until then, or until all handles are dropped.
    fn wait(&self, until: Instant) {
        let mut state = self.lock();
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if state.over || left.is_zero() {
                return;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

const TICK: Duration = Duration::from_millis(1);
