//! The primitives of the core, in one place, so that loom or shuttle can replace std in the models.
//!
//! They replace the mutex, the condition variable, and the atomics that are used outside the lock. `Arc` and `Weak` stay std's, because
//! loom has no `Weak`. Neither models time, so there are no time-outs: a model has a clock of its own, which ticks with each look at it,
//! and a time-out in it is a deadline that has passed by the time that the waiter looks.
//!
//! `cfg(loom)` marks every build for models; with `cfg(shuttle)` in addition, shuttle runs them.

pub(crate) use imp::MutexGuard;
/// The flag of a parked thread, and the numbers that are read and written outside the lock.
pub(crate) use imp::atomic::{AtomicBool as WaitFlag, AtomicU64};
pub(crate) use std::sync::OnceLock;
pub(crate) use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
pub(crate) use std::sync::mpsc::{Sender, channel};
pub(crate) use std::thread::JoinHandle;

#[cfg(loom)]
use crate::seeded;
#[cfg(not(loom))]
use crossbeam_utils::atomic::AtomicCell;
#[cfg(all(loom, not(shuttle)))]
use loom::sync as imp;
#[cfg(shuttle)]
use shuttle::sync as imp;
use std::cell::Cell;
#[cfg(not(loom))]
use std::sync as imp;
#[cfg(not(loom))]
use std::sync::TryLockError;
#[cfg(not(loom))]
use std::time::SystemTime;
use std::time::{Duration, Instant};

/// A mutex that ignores poison: its content stays consistent, because no user code runs under it.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(imp::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(imp::Mutex::new(value))
    }

    #[inline]
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        #[cfg(all(test, not(loom)))]
        LOCKED.set(LOCKED.get() + 1);
        #[cfg(not(loom))]
        if let Some(guard) = self.try_lock().or_else(|| self.keep_trying()) {
            return guard;
        }
        self.0.lock().unwrap_or_else(|poison| poison.into_inner())
    }

    #[cfg(not(loom))]
    #[inline]
    fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        match self.0.try_lock() {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(poison)) => Some(poison.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Another thread holds the lock. If it were taken the moment it is free, the lock and all that it guards would move from core to
    /// core with each transaction, which costs more than the transaction itself. A thread that finds the lock taken backs off briefly,
    /// longer each time, while the other completes several transactions: with two threads on two cores that halved the cost of a loan.
    /// `None`: so many threads want it, or its owner runs so little, that parking is better.
    #[cfg(not(loom))]
    #[cold]
    fn keep_trying(&self) -> Option<MutexGuard<'_, T>> {
        [16, 32, 64, 128].into_iter().find_map(|pauses| {
            (0..pauses).for_each(|_| std::hint::spin_loop());
            self.try_lock()
        })
    }
}

// How often this thread has locked a mutex.
#[cfg(all(test, not(loom)))]
thread_local!(pub(crate) static LOCKED: Cell<u64> = const { Cell::new(0) });

/// A condition variable whose wait takes an optional deadline.
#[derive(Debug)]
pub(crate) struct Condvar(imp::Condvar);

impl Condvar {
    pub(crate) fn new() -> Self {
        Self(imp::Condvar::new())
    }

    pub(crate) fn notify_one(&self) {
        self.0.notify_one();
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }

    /// Waits until notified or, except in a model, until `deadline`. May wake early, so the caller must look again.
    pub(crate) fn wait<'a, T>(&self, guard: MutexGuard<'a, T>, deadline: Option<Instant>) -> MutexGuard<'a, T> {
        #[cfg(not(loom))]
        if let Some(deadline) = deadline {
            let left = deadline.saturating_duration_since(now());
            return match self.0.wait_timeout(guard, left) {
                Ok((guard, _)) => guard,
                Err(poison) => poison.into_inner().0,
            };
        }
        let _ = deadline;
        self.0.wait(guard).unwrap_or_else(|poison| poison.into_inner())
    }
}

/// A cell whose content threads swap without a lock. The swap acquires and releases.
#[cfg(not(loom))]
pub(crate) struct SwapCell<T>(AtomicCell<Option<Box<T>>>);

#[cfg(not(loom))]
impl<T> SwapCell<T> {
    pub(crate) fn new() -> Self {
        const { assert!(AtomicCell::<Option<Box<T>>>::is_lock_free()) };
        Self(AtomicCell::new(None))
    }

    #[inline]
    pub(crate) fn swap(&self, value: Option<Box<T>>) -> Option<Box<T>> {
        self.0.swap(value)
    }
}

/// In a model: the number of a value that is stored elsewhere, so that the order of the swap itself is modelled.
#[cfg(loom)]
pub(crate) struct SwapCell<T> {
    number: imp::atomic::AtomicUsize,
    values: std::sync::Mutex<Vec<Option<Box<T>>>>,
}

#[cfg(loom)]
impl<T> SwapCell<T> {
    pub(crate) fn new() -> Self {
        Self { number: imp::atomic::AtomicUsize::new(0), values: std::sync::Mutex::default() }
    }

    pub(crate) fn swap(&self, value: Option<Box<T>>) -> Option<Box<T>> {
        let order = if seeded::bug("swaps_without_order") { Ordering::Relaxed } else { Ordering::AcqRel };
        let values = || self.values.lock().expect("nothing panics here");
        let number = value.map_or(0, |value| {
            values().push(Some(value));
            values().len()
        });
        let before = self.number.swap(number, order);
        before.checked_sub(1).and_then(|place| values()[place].take())
    }
}

/// Where the thread that created it can park.
#[cfg(not(loom))]
#[derive(Debug)]
pub(crate) struct Parker(std::thread::Thread);

#[cfg(not(loom))]
impl Parker {
    pub(crate) fn new() -> Self {
        Self(std::thread::current())
    }

    /// Parks this thread until it is unparked, or was since it last parked, or until `deadline`. May return early.
    ///
    /// It uses the thread's own token: an unpark by other code meanwhile is lost to that code.
    pub(crate) fn park(&self, deadline: Option<Instant>) {
        match deadline {
            Some(deadline) => std::thread::park_timeout(deadline.saturating_duration_since(now())),
            None => std::thread::park(),
        }
    }

    pub(crate) fn name(&self) -> Option<String> {
        self.0.name().map(str::to_owned)
    }

    pub(crate) fn unpark(&self) {
        self.0.unpark();
    }
}

/// In a model: loom's own `unpark` also wakes a thread that waits for a lock, and shuttle's has rules of its own.
#[cfg(loom)]
#[derive(Debug)]
pub(crate) struct Parker(Mutex<bool>, Condvar);

#[cfg(loom)]
impl Parker {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(false), Condvar::new())
    }

    pub(crate) fn park(&self, deadline: Option<Instant>) {
        let mut unparked = self.0.lock();
        while !*unparked {
            unparked = self.1.wait(unparked, deadline);
        }
        *unparked = false;
    }

    pub(crate) fn name(&self) -> Option<String> {
        None
    }

    pub(crate) fn unpark(&self) {
        *self.0.lock() = true;
        self.1.notify_one();
    }
}

/// The monotonic clock.
#[cfg(not(loom))]
#[inline]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// A model's clock: each look at it comes a microsecond after the last, so that a replayed schedule sees the same order of events, and a
/// busy machine changes nothing. All threads of a model run on one thread of the system.
#[cfg(loom)]
pub(crate) fn now() -> Instant {
    advance(Duration::from_micros(1))
}

/// Lets time pass in a model. Returns the new time.
#[cfg(loom)]
pub(crate) fn advance(span: Duration) -> Instant {
    thread_local!(static TIME: std::cell::Cell<Instant> = std::cell::Cell::new(Instant::now()));
    TIME.with(|time| {
        time.set(time.get() + span);
        time.get()
    })
}

/// The source of randomness.
#[cfg(not(loom))]
pub(crate) fn random() -> fastrand::Rng {
    fastrand::Rng::new()
}

/// In a model randomness is the same each time, or a replayed schedule would go another way.
#[cfg(loom)]
pub(crate) fn random() -> fastrand::Rng {
    fastrand::Rng::with_seed(0)
}

/// The wall clock, as time since 1970. Only its jumps against [`now`] matter.
#[cfg(not(loom))]
pub(crate) fn wall() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

/// A model's wall clock never jumps.
#[cfg(loom)]
pub(crate) fn wall() -> Duration {
    thread_local!(static START: Instant = advance(Duration::ZERO));
    START.with(|start| now().saturating_duration_since(*start))
}

/// `at + span`, or `None` (no limit) if that is beyond the range of the clock. `Duration::MAX` means no limit.
#[inline]
pub(crate) fn after(at: Instant, span: Duration) -> Option<Instant> {
    at.checked_add(span)
}

/// Starts a thread. An error means that no more can be created at present.
pub(crate) fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(work)
}

/// The process in which it was created. A child of `fork` has its memory, but none of its threads.
#[derive(Debug)]
pub(crate) struct Process(forkguard::Guard);

impl Process {
    pub(crate) fn current() -> Self {
        // It fails only for lack of memory, as any allocation may.
        Self(forkguard::new())
    }

    /// Whether this is still the process in which it was created. Costs one read from memory, and no system call.
    #[inline]
    pub(crate) fn is_current(&self) -> bool {
        // The guard records what it has seen; the check of a copy leaves it as it was.
        !self.0.clone().detected_fork()
    }
}

/// A value for a process, and a new one for each child that was forked off it. No lock is taken on the way, because a thread that does
/// not exist in the child may have held it. Locks held by the parent's value do not matter in the child.
pub(crate) struct PerProcess<T> {
    process: Process,
    value: T,
    child: OnceLock<Box<Self>>,
}

impl<T> PerProcess<T> {
    /// The value of this process, created by `new` if there is none.
    pub(crate) fn present(first: &'static OnceLock<Self>, new: impl Fn() -> T) -> &'static T {
        let make = || Self { process: Process::current(), value: new(), child: OnceLock::new() };
        let mut present = first.get_or_init(make);
        while !present.process.is_current() {
            present = present.child.get_or_init(|| Box::new(make()));
        }
        &present.value
    }
}

/// Sleeps between two attempts at a transaction.
pub(crate) fn pause(span: Duration) {
    std::thread::sleep(span);
}

/// A number that no other thread of this process has, or ever had. Cheap, and safe in a dying thread. A thread that has none yet first
/// runs `first`.
#[inline]
pub(crate) fn thread_mark(first: impl FnOnce()) -> usize {
    thread_local!(static MARK: Cell<usize> = const { Cell::new(0) });
    MARK.with(|mark| match mark.get() {
        0 => first_mark(mark, first),
        known => known,
    })
}

#[cold]
fn first_mark(mark: &Cell<usize>, first: impl FnOnce()) -> usize {
    static LAST: AtomicUsize = AtomicUsize::new(0);
    first();
    mark.set(LAST.fetch_add(1, Ordering::Relaxed) + 1);
    #[cfg(not(loom))]
    SEAT.set(mark.get());
    mark.get()
}

/// Selects the cell of this thread. Threads that come one after the other have neighbouring seats.
#[cfg(not(loom))]
#[inline]
pub(crate) fn seat() -> usize {
    SEAT.get()
}

/// Another thread has the same seat: from here on this thread has the next.
#[cfg(not(loom))]
#[cold]
pub(crate) fn change_seat() {
    SEAT.set(SEAT.get().wrapping_add(1));
}

#[cfg(not(loom))]
thread_local!(static SEAT: Cell<usize> = const { Cell::new(0) });

/// A model's threads all have the same seat, so that they collide.
#[cfg(loom)]
pub(crate) fn seat() -> usize {
    0
}

#[cfg(loom)]
pub(crate) fn change_seat() {}

/// How many threads can run at the same time.
#[cfg(not(loom))]
pub(crate) fn cores() -> usize {
    static CORES: OnceLock<usize> = OnceLock::new();
    *CORES.get_or_init(|| std::thread::available_parallelism().map_or(1, std::num::NonZero::get))
}

#[cfg(loom)]
pub(crate) fn cores() -> usize {
    1
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_thread_keeps_its_number_and_no_later_thread_has_it() {
        let mut firsts = 0;
        let mine = thread_mark(|| firsts += 1);
        let others: Vec<usize> = (0..100).map(|_| std::thread::spawn(|| thread_mark(|| ())).join().unwrap()).collect();
        let mut all: Vec<usize> = others.into_iter().chain([mine]).collect();
        all.sort_unstable();
        all.dedup();
        let again = thread_mark(|| firsts += 1);
        assert_eq!((firsts, again), (1, mine));
        assert_eq!(all.len(), 101, "threads that end one after the other share an address");
    }
}
