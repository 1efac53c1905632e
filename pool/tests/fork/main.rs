//! The fate of pools when a process forks, as servers do that start their workers that way. A binary of its own: each test briefly leaves
//! children behind.
#![cfg(unix)]

mod tasks;

use cabrank::{
    AbortHandle, CancelOutcome, CheckedIn, ConnectionClosed, EventHandler, Fault, GetError, Limit, Manager,
    PooledConnection, Refused, ResizeError, RunError, SessionPolicy, Verdict,
};
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::time::{Duration, Instant};

type Pool = cabrank::Pool<Counting>;

/// Counts the ends of its connections. A child has its own count, which starts at its parent's.
struct Counting;

struct Conn;

static ENDED: AtomicUsize = AtomicUsize::new(0);
static CANCELLED: AtomicUsize = AtomicUsize::new(0);
static MANAGERS_DROPPED: AtomicUsize = AtomicUsize::new(0);

impl Manager for Counting {
    type Connection = Conn;
    type Error = std::io::Error;

    fn connect(&self, _: &Limit) -> Result<Conn, std::io::Error> {
        Ok(Conn)
    }
    fn is_valid(&self, _: &mut Conn, _: &Limit) -> Result<(), std::io::Error> {
        Ok(())
    }
    fn has_broken(&self, _: &mut Conn) -> bool {
        false
    }
    fn abort_handle(&self, _: &Conn) -> Option<Box<dyn AbortHandle>> {
        Some(Box::new(Cancels))
    }
}

/// Counts the calls of a connection's abort handle.
struct Cancels;

impl AbortHandle for Cancels {
    fn cancel(&self, _: &Limit) -> bool {
        CANCELLED.fetch_add(1, SeqCst);
        true
    }
    fn abort(&self) {
        CANCELLED.fetch_add(1, SeqCst);
    }
}

impl Drop for Conn {
    fn drop(&mut self) {
        ENDED.fetch_add(1, SeqCst);
    }
}

impl Drop for Counting {
    fn drop(&mut self) {
        MANAGERS_DROPPED.fetch_add(1, SeqCst);
    }
}

/// Counts the ends of loans and of connections, and the requests that got none.
#[derive(Default)]
struct Ends(AtomicUsize);

impl EventHandler for Ends {
    fn checked_in(&self, _: &CheckedIn<'_>) {
        self.0.fetch_add(1, SeqCst);
    }
    fn closed(&self, _: &ConnectionClosed<'_>) {
        self.0.fetch_add(1, SeqCst);
    }
    fn refused(&self, _: &Refused<'_>) {
        self.0.fetch_add(1, SeqCst);
    }
}

fn pool() -> Pool {
    Pool::builder().max_size(4).acquire_timeout(Duration::from_secs(5)).build(Counting).unwrap()
}

/// Runs `script` in a child, which exits at its end. The script must not panic, and must end in time.
fn in_a_child(script: impl FnOnce()) {
    // SAFETY: the child has a copy of this process, with only the current thread. It uses what the script uses, whose locks no other
    // thread held, and the allocator, which the system's `fork` leaves usable; it ends by `_exit`, so nothing of the harness runs in it.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "no child could be made");
    if child == 0 {
        let ended = catch_unwind(AssertUnwindSafe(script));
        // SAFETY: it ends the child, and runs nothing else of this process.
        unsafe { libc::_exit(i32::from(ended.is_err())) }
    }
    let (until, mut status) = (Instant::now() + Duration::from_secs(20), 0);
    loop {
        // SAFETY: `child` is a child of this process that was not waited for yet, and `status` is our own integer.
        if unsafe { libc::waitpid(child, &raw mut status, libc::WNOHANG) } == child {
            break;
        }
        if Instant::now() >= until {
            // SAFETY: as before: it has not been waited for, so the number is still its own.
            unsafe { libc::kill(child, libc::SIGKILL) };
            panic!("the child hangs");
        }
        std::thread::sleep(Duration::from_millis(2)); // Between two looks.
    }
    assert_eq!(status, 0, "the child failed, with the words above");
}

#[test]
fn a_pool_that_is_built_in_a_child_works_and_closes_clean() {
    let parents = pool();
    let held = parents.get().unwrap();
    in_a_child(|| {
        let own = pool();
        let loans: Vec<_> = (0..4).map(|_| own.get().unwrap()).collect();
        assert!(own.get_timeout(Duration::from_millis(20)).unwrap_err().is_timeout());
        drop(loans);
        PooledConnection::discard(own.get().unwrap());
        drop(own.get().unwrap());
        let report = own.close_within(Duration::from_secs(5));
        assert!(report.is_clean(), "{report}");
    });
    drop(held);
    drop(parents.get().unwrap());
}

#[test]
fn a_pool_that_was_built_before_refuses_in_the_child_and_touches_nothing_of_its_parents() {
    let ends = Arc::new(Ends::default());
    let pool = Pool::builder().max_size(4).event_handler(Arc::clone(&ends) as _).build(Counting).unwrap();
    drop((0..3).map(|_| pool.get().unwrap()).collect::<Vec<_>>());
    let mut held = Some(pool.get().unwrap());
    let other = pool.clone();
    in_a_child(move || {
        let count = || (ENDED.load(SeqCst), MANAGERS_DROPPED.load(SeqCst), ends.0.load(SeqCst));
        let before = count();
        for _ in 0..3 {
            let error = pool.get().unwrap_err();
            assert!(matches!(error, GetError::Forked), "{error}");
        }
        assert!(pool.get_timeout(Duration::ZERO).is_err_and(|error| matches!(error, GetError::Forked)));
        assert!(pool.try_get().is_err_and(|error| matches!(error, GetError::Forked)));
        let run = pool.run(|_| -> Result<(), std::io::Error> { panic!("it has no connection") });
        assert!(matches!(run, Err(RunError::Get(GetError::Forked))));
        assert!(pool.is_closed() && pool.holders().is_empty() && pool.stats().open == 0);
        pool.evict_all();
        for outcome in [pool.resize(9, 1), pool.set_max_size(9), pool.set_min_idle(1)] {
            assert!(matches!(outcome, Err(ResizeError::Forked)), "{outcome:?}");
        }
        pool.close();
        assert!(format!("{pool:?} {:?}", held.as_ref().unwrap()).contains("open: 0"));
        let error = std::io::ErrorKind::BrokenPipe.into();
        assert_eq!(PooledConnection::report_error(held.as_mut().unwrap(), &error), Fault::Statement);
        drop(held.take());
        assert!(pool.close_within(Duration::from_secs(60)).is_clean());
        drop((pool, other));
        assert_eq!(count(), before, "a session of the parent was ended, or a handler was called");
    });
}

#[test]
fn a_child_runs_no_hook_of_a_pool_that_was_built_before() {
    let runs = Arc::new(AtomicUsize::new(0));
    let (opens, out, back) = (Arc::clone(&runs), Arc::clone(&runs), Arc::clone(&runs));
    let returns = Arc::new(AtomicUsize::new(0));
    let returned = Arc::clone(&returns);
    let settings = Pool::builder().max_size(5).min_idle(1).session_policy(SessionPolicy::Always);
    let settings = settings.on_open(move |_, _| {
        opens.fetch_add(1, SeqCst);
        Ok(())
    });
    let settings = settings.on_checkout(move |_, _| {
        out.fetch_add(1, SeqCst);
        Verdict::Keep
    });
    let settings = settings.on_return(move |_, _| {
        back.fetch_add(1, SeqCst);
        returned.fetch_add(1, SeqCst);
        Verdict::Keep
    });
    let pool = settings.build(Counting).unwrap();
    let loans = RefCell::new((0..4).map(|_| pool.get().unwrap()).collect::<Vec<_>>());
    in_a_child(|| {
        let before = runs.load(SeqCst);
        assert!(pool.get().is_err() && pool.try_get().is_err());
        assert!(pool.run(|_| -> Result<(), std::io::Error> { Ok(()) }).is_err());
        let loan = || loans.borrow_mut().pop().unwrap();
        let mut touched = loan();
        let _ = &mut *touched;
        drop(touched);
        PooledConnection::discard(loan());
        drop(PooledConnection::detach(loan()));
        pool.evict_all();
        pool.close();
        assert_eq!(runs.load(SeqCst), before, "a hook ran for a connection of the parent's");
    });
    let before = returns.load(SeqCst);
    drop(loans.borrow_mut().pop());
    assert_eq!(returns.load(SeqCst), before + 1, "`on_return` runs at home");
}

#[test]
fn the_parent_goes_on_though_its_child_drops_a_guard_and_discards_another() {
    let pool = pool();
    let loans = RefCell::new(vec![pool.get().unwrap(), pool.get().unwrap()]);
    let own: Vec<_> = loans.borrow().iter().map(PooledConnection::id).collect();
    in_a_child(|| {
        // Each child takes its own copy.
        PooledConnection::discard(loans.borrow_mut().pop().unwrap());
        loans.borrow_mut().clear();
    });
    assert_eq!(pool.stats().in_use, 2);
    loans.borrow_mut().clear();
    let again: Vec<_> = (0..2).map(|_| pool.get().unwrap()).collect();
    assert!(again.iter().all(|conn| own.contains(&PooledConnection::id(conn))), "they are the same connections");
}

#[test]
fn a_connection_that_a_child_detaches_is_told_to_nobody_and_costs_its_parent_nothing() {
    for pool_is_dropped in [false, true] {
        let ends = Arc::new(Ends::default());
        let pool = Pool::builder().max_size(1).event_handler(Arc::clone(&ends) as _).build(Counting).unwrap();
        let held = RefCell::new(Some(pool.get().unwrap()));
        let pool = (!pool_is_dropped).then_some(pool);
        in_a_child(|| {
            let before = (ENDED.load(SeqCst), MANAGERS_DROPPED.load(SeqCst));
            let conn = PooledConnection::detach(held.borrow_mut().take().unwrap());
            assert_eq!((ENDED.load(SeqCst), MANAGERS_DROPPED.load(SeqCst)), before);
            drop(conn);
            assert_eq!(ENDED.load(SeqCst), before.0 + 1, "it was the child's own");
            assert_eq!(ends.0.load(SeqCst), 0, "a handler was called");
        });
        assert!(pool.is_none_or(|pool| pool.stats().in_use == 1), "the parent's own loan continues");
        assert_eq!(ends.0.load(SeqCst), 0);
        drop(held);
        assert!(ends.0.load(SeqCst) >= 1);
    }
}

#[test]
fn a_child_cancels_nothing_of_its_parents() {
    let pool = pool();
    let mut held = Some(pool.get().unwrap());
    let canceller = PooledConnection::canceller(held.as_ref().unwrap()).unwrap();
    let before = CANCELLED.load(SeqCst);
    in_a_child(|| {
        assert_eq!(canceller.cancel(Duration::from_secs(5)), CancelOutcome::LoanEnded);
        drop(held.take());
        assert_eq!(canceller.cancel(Duration::from_secs(5)), CancelOutcome::LoanEnded);
        drop(canceller.clone());
        assert_eq!(CANCELLED.load(SeqCst), before);
    });
    assert_eq!(canceller.cancel(Duration::from_secs(5)), CancelOutcome::Asked, "the parent's own loan continues");
    drop(held);
    assert_eq!(canceller.cancel(Duration::from_secs(5)), CancelOutcome::LoanEnded);
}

#[test]
fn a_child_hangs_in_no_lock_that_a_thread_of_its_parent_held() {
    let pool = pool();
    let busy = AtomicBool::new(true);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while busy.load(SeqCst) {
                    drop(pool.get().unwrap());
                }
            });
        }
        for _ in 0..50 {
            in_a_child(|| {
                assert!(matches!(pool.get(), Err(GetError::Forked)));
                let own = Pool::builder().build(Counting).unwrap();
                drop(own.get().unwrap());
                drop(own);
            });
        }
        busy.store(false, SeqCst);
    });
}
