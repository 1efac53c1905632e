//! The remote control of a faulty manager: what is injected into which call, and how a call suffers it.

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
    /// [`Manager::check_set_up`](cabrank::Manager::check_set_up). The driver's own may ask its `session`, which is no call of that
    /// method here.
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

/// What is injected into one call.
#[derive(Debug)]
pub enum Injection<E> {
    /// It fails with this error, and the driver is not asked. (A commit that fails is rolled back, as by a server.) What returns no error
    /// gives the worst answer:
    ///
    /// | method | answer |
    /// |---|---|
    /// | `has_broken` | true |
    /// | `session` | unknown |
    /// | `fault` | fatal |
    /// | `abort_handle`, `cancel` | none, could not ask |
    /// | `close` | none: the connection is dropped without a goodbye |
    /// | `start_tracking`, `abort` | none: it is not done |
    Fail(E),
    /// It begins this much later.
    Delay(Duration),
    /// It hangs until it is [released](Faults::release) or aborted, and then goes on at the driver, which fails in its own words
    /// if its connection is aborted.
    ///
    /// A `connect` hangs after the driver has connected, as with a server that accepts and stays silent. A call without a limit,
    /// such as a commit, counts as aborted when any connection of the manager is.
    Hang,
    /// It panics, which is [not printed](crate::panics).
    Panic,
}

/// What is injected into the calls of a [`Faulty`](super::Faulty) manager. `E` is the driver's error.
///
/// When the last handle is dropped, whatever hangs is released and nothing is injected any more.
pub struct Faults<E> {
    handles: Arc<Handles<E>>,
}

impl<E> Faults<E> {
    /// Injects something into the `nth` such call from now on; 1 is the next one.
    ///
    /// # Panics
    ///
    /// If `nth` is 0, or something is injected into that call already.
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

    /// Injects something into the next such call.
    ///
    /// # Panics
    ///
    /// If something is injected into it already.
    pub fn next(&self, method: Method, injection: Injection<E>) {
        self.inject(method, 1, injection);
    }

    /// Those who hang in such a call now go on.
    pub fn release(&self, method: Method) {
        self.injector().lock().calls[method as usize].released += 1;
        self.injector().changed.notify_all();
    }

    /// How many such calls began.
    pub fn count(&self, method: Method) -> usize {
        self.injector().lock().calls[method as usize].begun
    }

    /// How many such calls hang now.
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

/// What the handles have in common; the manager has no part in it.
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
    /// How often a connection was aborted.
    aborts: u64,
    /// There is no handle any more.
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

    /// A call begins: what is injected into it.
    pub(super) fn begin(&self, method: Method) -> Option<Injection<E>> {
        let mut state = self.lock();
        let over = state.over;
        let calls = &mut state.calls[method as usize];
        calls.begun += 1;
        let at = calls.injections.iter().position(|(nth, _)| *nth == calls.begun)?;
        let (_, injection) = calls.injections.swap_remove(at);
        (!over).then_some(injection)
    }

    /// A call begins and suffers what is injected into it, before the driver is asked: an error if that is to be the call's.
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

    /// Blocks until it is released, aborted, or over by its limit.
    pub(super) fn hang(&self, method: Method, is_over: impl Fn() -> bool) {
        let mut state = self.lock();
        let (released, aborts) = (state.calls[method as usize].released, state.aborts);
        state.calls[method as usize].hanging += 1;
        while !(state.over || state.calls[method as usize].released != released || state.aborts != aborts || is_over())
        {
            // The limit is looked at again and again: what it would do by itself is the driver's to choose.
            state = self.changed.wait_timeout(state, TICK).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.calls[method as usize].hanging -= 1;
    }

    pub(super) fn aborted(&self) {
        self.lock().aborts += 1;
        self.changed.notify_all();
    }

    /// Until then, or until there is no handle any more.
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
