//! The bound on one driver call: a deadline, and a way to abort the connection when it passes.
//!
//! Owns the four states Armed, Firing, Fired, Disarmed. The caller of `fire` decides what an abort means for capacity.

#[cfg(all(test, not(loom)))]
mod tests;

use crate::config::DEFAULT_NAME;
use crate::contain::contained;
use crate::seeded;
use crate::sync;
use crate::sync::{Condvar, Mutex, after};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The bound on one driver call. The pool passes one to each call of a [`Manager`](crate::Manager) that may block.
///
/// If the driver supports time-outs, the call should end by [`deadline`](Self::deadline) on its own. If not, it registers an abort by
/// [`on_abort`](Self::on_abort), which the pool runs 20 ms after the deadline, or up to 250 ms after it if this process was suspended. A
/// connection whose call was aborted is discarded, even if the call still returns `Ok`.
///
/// ```
/// # use cabrank::Limit;
/// # use std::io;
/// # use std::net::{Shutdown, SocketAddr, TcpStream};
/// # use std::time::Duration;
/// fn connect(server: &SocketAddr, limit: &Limit) -> io::Result<TcpStream> {
///     let stream = TcpStream::connect_timeout(server, limit.remaining().unwrap_or(Duration::MAX))?;
///     let twin = stream.try_clone()?;
///     limit.on_abort(move || drop(twin.shutdown(Shutdown::Both)));
///     // The log-in follows: if the server is silent, the abort ends it.
///     Ok(stream)
/// }
///
/// # let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
/// # let server = listener.local_addr()?;
/// let stream = connect(&server, &Limit::new(Duration::from_secs(5)))?;
/// assert_eq!(stream.peer_addr()?, server);
/// # Ok::<(), io::Error>(())
/// ```
pub struct Limit {
    pool: Arc<str>,
    deadline: Option<Instant>,
    call: Arc<Call>,
}

impl Limit {
    /// Creates a limit outside of any pool, for unit tests of a [`Manager`](crate::Manager). Its deadline is `span` from now (none with
    /// `Duration::MAX`), but nothing aborts the call then, and it is never [over](Self::is_over). Its pool is called `"cabrank"`.
    ///
    /// ```
    /// # use cabrank::doc_toy::Toy;
    /// use cabrank::{Limit, Manager};
    /// use std::time::Duration;
    ///
    /// // A test of a manager needs no pool.
    /// let limit = Limit::new(Duration::from_secs(5));
    /// let mut conn = Toy.connect(&limit)?;
    /// Toy.is_valid(&mut conn, &limit)?;
    /// assert!(!Toy.has_broken(&mut conn));
    /// assert!(limit.remaining().is_some_and(|left| left <= Duration::from_secs(5)));
    /// assert_eq!(Limit::new(Duration::MAX).deadline(), None);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn new(span: Duration) -> Self {
        Self::of_call(&Arc::from(DEFAULT_NAME), sync::now(), span)
    }

    /// Returns the same limit with this pool name instead of the default of [`new`](Self::new), `"cabrank"`.
    pub fn with_pool(self, name: &str) -> Self {
        Self { pool: Arc::from(name), ..self }
    }

    /// Returns the name of the pool that makes this call, for display in the server's list of sessions.
    pub fn pool(&self) -> &str {
        &self.pool
    }

    /// Returns the moment by which the call should be over; `None` means no limit.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Returns the time until the deadline, zero if it has passed; `None` means no limit.
    pub fn remaining(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(sync::now()))
    }

    /// Returns whether the pool has given up on this call.
    pub fn is_over(&self) -> bool {
        matches!(self.call.state.lock().fuse, FuseState::Firing | FuseState::Fired)
    }

    /// Registers how this call is aborted, in place of an earlier registration.
    ///
    /// `abort` runs at most once, in the timer's thread, or at once in this thread if the call is over already. It must not block,
    /// because all pools of the process share the timer, and must own what it touches: shut down a duplicated descriptor or set a shared
    /// flag, never use a raw number. Without an abort a call that hangs keeps its slot until it returns (counted as `stuck`).
    pub fn on_abort(&self, abort: impl FnOnce() + Send + 'static) {
        let abort: Abort = Box::new(abort);
        let mut state = self.call.state.lock();
        let unused = match state.fuse {
            FuseState::Armed => state.abort.replace(abort),
            // Too late for the timer: the call is over, so it is aborted here. The slot's fate was decided when it fired.
            FuseState::Firing | FuseState::Fired => {
                drop(state);
                let _ = contained(abort);
                return;
            }
            FuseState::Disarmed => Some(abort),
        };
        drop(state);
        drop(unused); // User code: never dropped under a lock.
    }

    /// Runs a look-up that cannot be aborted, such as a name resolution, and gives up on it at the deadline.
    ///
    /// If `look_up` overruns, the pool writes off this thread (counted as `abandoned`), replaces it, and frees its slot at once. The late
    /// result of `look_up` is dropped: this returns `None`, and the call should fail. `look_up` must open nothing at a server, because
    /// the pool no longer counts it.
    pub fn unabortable<T>(&self, look_up: impl FnOnce() -> T) -> Option<T> {
        /// Leaves also when the look-up panics.
        struct Within<'a>(&'a Call);
        impl Drop for Within<'_> {
            fn drop(&mut self) {
                self.0.state.lock().unabortable -= 1;
            }
        }
        self.call.enter_unabortable()?;
        let within = Within(&self.call);
        let found = look_up();
        let looked = seeded::bug("looks_whether_it_is_over_before_it_leaves").then(|| self.is_over());
        drop(within);
        (!looked.unwrap_or_else(|| self.is_over())).then_some(found)
    }

    /// The limit of a call that a pool makes.
    pub(crate) fn of_call(pool: &Arc<str>, began: Instant, span: Duration) -> Self {
        let state = CallState { fuse: FuseState::Armed, abort: None, unabortable: 0 };
        let call = Arc::new(Call { span, state: Mutex::new(state), fired: Condvar::new() });
        Self { pool: Arc::clone(pool), deadline: after(began, span), call }
    }

    /// The timer's half.
    pub(crate) fn fuse(&self) -> Fuse {
        Fuse(Arc::clone(&self.call))
    }

    /// Marks the call as returned: nothing may abort it from here on. Waits for a running abort to finish. Returns whether the pool gave
    /// up the call, in which case its connection must be discarded.
    pub(crate) fn disarm(&self) -> bool {
        let mut state = self.call.state.lock();
        while state.fuse == FuseState::Firing {
            state = self.call.fired.wait(state, None);
        }
        let over = match state.fuse {
            FuseState::Armed => {
                state.fuse = FuseState::Disarmed;
                false
            }
            FuseState::Disarmed => false,
            FuseState::Firing | FuseState::Fired => true,
        };
        let unused = state.abort.take();
        drop(state);
        let _ = contained(|| drop(unused));
        over
    }
}

impl fmt::Debug for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limit").field("remaining", &self.remaining()).field("is_over", &self.is_over()).finish()
    }
}

/// The timer's end of a [`Limit`], which ends the call.
#[derive(Clone)]
pub(crate) struct Fuse(Arc<Call>);

impl Fuse {
    /// Aborts the call if it still runs, then passes the outcome to `then`. The call cannot be disarmed, nor its slot reused, before
    /// `then` has returned.
    pub(crate) fn fire(&self, then: impl FnOnce(Fired)) {
        let mut state = self.0.state.lock();
        if state.fuse != FuseState::Armed {
            return;
        }
        if seeded::bug("unlocks_before_it_fires") {
            drop(state);
            state = self.0.state.lock();
        }
        state.fuse = FuseState::Firing;
        let abort = state.abort.take();
        let unabortable = state.unabortable > 0;
        drop(state);

        let fired = match abort {
            unused if unabortable => {
                // A user's destructor: the call's own thread runs it.
                self.0.state.lock().abort = unused;
                Fired::WrittenOff
            }
            Some(abort) => {
                let _ = contained(abort);
                Fired::Aborted
            }
            None => Fired::Stuck,
        };
        then(fired);

        self.0.state.lock().fuse = FuseState::Fired;
        self.0.fired.notify_all();
    }

    /// The time limit of the call.
    pub(crate) fn span(&self) -> Duration {
        self.0.span
    }

    /// A handle for the state's records, which must own nothing that runs user code when dropped.
    pub(crate) fn downgrade(&self) -> std::sync::Weak<Call> {
        Arc::downgrade(&self.0)
    }

    /// Whether the call runs and can be aborted.
    pub(crate) fn can_abort(weak: &std::sync::Weak<Call>) -> bool {
        weak.upgrade().is_some_and(|call| {
            let state = call.state.lock();
            state.fuse == FuseState::Armed && state.abort.is_some()
        })
    }

    pub(crate) fn upgrade(weak: &std::sync::Weak<Call>) -> Option<Self> {
        weak.upgrade().map(Self)
    }
}

/// The outcome for a call whose limit passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fired {
    /// It was aborted: it returns soon.
    Aborted,
    /// It runs a look-up that cannot be aborted: its thread is written off.
    WrittenOff,
    /// It registered no abort, and keeps its slot until it returns.
    Stuck,
}

type Abort = Box<dyn FnOnce() + Send>;

pub(crate) struct Call {
    /// The time limit of the call.
    span: Duration,
    state: Mutex<CallState>,
    fired: Condvar,
}

struct CallState {
    fuse: FuseState,
    abort: Option<Abort>,
    /// The number of look-ups under way that cannot be aborted, one within the other.
    unabortable: usize,
}

/// | fuse     | the call  | the connection           | next                            |
/// |----------|-----------|--------------------------|---------------------------------|
/// | Armed    | runs      | may be aborted           | `fire` or `disarm`, first wins  |
/// | Firing   | runs      | is being aborted         | `fire`; `disarm` waits          |
/// | Fired    | may run   | was aborted, or had none | `disarm` says so                |
/// | Disarmed | returned  | is never aborted again   | nobody                          |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FuseState {
    Armed,
    Firing,
    Fired,
    Disarmed,
}

impl Call {
    fn enter_unabortable(&self) -> Option<()> {
        let mut state = self.state.lock();
        (state.fuse == FuseState::Armed).then(|| state.unabortable += 1)
    }
}
