//! Panicking destructors, wherever the pool drops values of the user: none costs a thread, a slot or the caller.

use crate::support::ms;
use cabrank::{
    CheckedIn, CheckedOut, ConnectionClosed, EventHandler, Limit, Manager, Opened, Pool, PooledConnection,
    SessionState, Verdict,
};
use cabrank_testing::eventually;
use cabrank_testing::panics::hush;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::{fmt, thread};

#[test]
fn errors_whose_destructors_panic_cost_no_worker() {
    hush();
    // More of them than there are workers.
    let pool = Pool::builder().max_size(1).check_after(Duration::ZERO).build_lazy(Remote(AtomicUsize::new(4))).unwrap();
    for _ in 0..20 {
        let _ = pool.get_timeout(ms(200));
    }
    drop(pool.get_timeout(Duration::from_secs(10)).expect("checks succeed by now"));
    assert!(pool.close_within(Duration::from_secs(10)).is_clean());
}

#[test]
fn an_error_or_an_abort_whose_destructor_panics_does_not_come_out_of_a_guards_drop() {
    hush();
    let pool = Pool::builder().max_size(1).build_lazy(Engine).unwrap();
    let mut conn = pool.get().unwrap();
    *conn += 1;
    assert!(catch_unwind(AssertUnwindSafe(|| drop(conn))).is_ok());
    assert_eq!(pool.stats().resets_failed, 1);
    assert!(pool.get_timeout(Duration::from_secs(10)).is_ok(), "its slot is lost");
}

#[test]
fn a_manager_whose_destructor_panics_does_not_come_out_of_the_last_handles_drop() {
    hush();
    let pool = Pool::builder().build_lazy(Kept(Grim)).unwrap();
    assert!(catch_unwind(AssertUnwindSafe(|| drop(pool))).is_ok());
}

#[test]
fn the_destructors_of_a_manager_and_of_all_hooks_may_panic_together() {
    hush();
    let bombs = Arc::new(AtomicUsize::new(0));
    let bomb = || Mine(Arc::clone(&bombs));
    let (set_up, checkout, back, classify) = (bomb(), bomb(), bomb(), bomb());
    // Each closure owns one, and need not use it.
    let pool = Pool::builder()
        .on_open(move |_, _| set_up.keep(Ok(())))
        .on_checkout(move |_, _| checkout.keep(Verdict::Keep))
        .on_return(move |_, _| back.keep(Verdict::Keep))
        .classify(move |_| classify.keep(None))
        .event_handler(Arc::new(bomb()))
        .event_handler(Arc::new(bomb()))
        .build_lazy(Mined(bomb()))
        .unwrap();
    drop(pool.get().unwrap());
    drop(pool);
    eventually("each has gone off", || bombs.load(Ordering::SeqCst) == 7);
}

/// Counts its drop, and panics.
struct Mine(Arc<AtomicUsize>);

impl Mine {
    fn keep<T>(&self, answer: T) -> T {
        answer
    }
}

impl EventHandler for Mine {}

impl Drop for Mine {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
        panic!("a destructor");
    }
}

struct Mined(Mine);

impl Manager for Mined {
    type Connection = u8;
    type Error = fmt::Error;

    fn connect(&self, _: &Limit) -> Result<u8, fmt::Error> {
        self.0.keep(Ok(0))
    }

    fn is_valid(&self, _: &mut u8, _: &Limit) -> Result<(), fmt::Error> {
        Ok(())
    }

    fn has_broken(&self, _: &mut u8) -> bool {
        false
    }
}

#[test]
fn a_manager_is_dropped_in_a_worker_though_a_handle_or_a_guard_is_the_last_of_the_pool() {
    hush();
    for end in [End::Handle, End::Guard, End::Detached] {
        let (told, tells) = channel();
        let pool = Pool::builder().build_lazy(Watched(told)).unwrap();
        match end {
            End::Handle => drop(pool),
            End::Guard => {
                let conn = pool.get().unwrap();
                drop(pool);
                drop(conn);
            }
            End::Detached => {
                let conn = pool.get().unwrap();
                drop(pool);
                PooledConnection::detach(conn);
            }
        }
        let dropped_in = tells.recv_timeout(Duration::from_secs(60)).expect("it is dropped");
        assert_ne!(dropped_in, thread::current().id(), "{end:?}");
    }
}

#[test]
fn in_a_thread_that_unwinds_nothing_of_the_users_runs_and_the_process_goes_on() {
    hush();
    for end in [End::Handle, End::Guard] {
        let (told, tells) = channel();
        let recorder = Arc::new(Unwinds(Mutex::default()));
        let pool = Pool::builder().event_handler(Arc::clone(&recorder) as _).build_lazy(Watched(told)).unwrap();
        let unwinding = thread::spawn(move || {
            let conn = (end == End::Guard).then(|| pool.get().unwrap());
            // The pool is dropped first.
            let _both = (pool, conn);
            panic!("{}", cabrank_testing::panics::ORDERED);
        });
        assert!(unwinding.join().is_err());
        tells.recv_timeout(Duration::from_secs(60)).expect("it is dropped");
        let told = recorder.0.lock().unwrap();
        assert!(told.iter().all(|&panicking| !panicking), "{end:?}: {told:?}");
        assert_eq!(told.len(), if end == End::Guard { 4 } else { 0 }, "opened, checked out, checked in, closed");
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    Handle,
    Guard,
    Detached,
}

/// Sends the id of the thread in which it is dropped, and panics.
struct Watched(Sender<thread::ThreadId>);

impl Drop for Watched {
    fn drop(&mut self) {
        let _ = self.0.send(thread::current().id());
        panic!("{}", cabrank_testing::panics::ORDERED);
    }
}

impl Manager for Watched {
    type Connection = u8;
    type Error = std::io::Error;

    fn connect(&self, _: &Limit) -> std::io::Result<u8> {
        Ok(0)
    }
    fn is_valid(&self, _: &mut u8, _: &Limit) -> std::io::Result<()> {
        Ok(())
    }
    fn has_broken(&self, _: &mut u8) -> bool {
        false
    }
}

/// Whether the thread was unwinding, at each event.
struct Unwinds(Mutex<Vec<bool>>);

impl Unwinds {
    fn note(&self) {
        self.0.lock().unwrap().push(thread::panicking());
    }
}

impl EventHandler for Unwinds {
    fn opened(&self, _: &Opened<'_>) {
        self.note();
    }
    fn checked_out(&self, _: &CheckedOut<'_>) {
        self.note();
    }
    fn checked_in(&self, _: &CheckedIn<'_>) {
        self.note();
    }
    fn closed(&self, _: &ConnectionClosed<'_>) {
        self.note();
    }
}

#[test]
fn a_panic_that_carries_another_does_not_come_out_of_get() {
    for depth in [1, 2] {
        let pool = Pool::builder().max_size(1).build_lazy(Bomber(depth, AtomicUsize::new(0))).unwrap();
        assert!(pool.get_timeout(Duration::from_secs(10)).is_ok(), "depth {depth}");
    }
}

/// An error, or part of a manager, that panics when it is dropped.
#[derive(Debug)]
struct Grim;

impl fmt::Display for Grim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("grim")
    }
}

impl std::error::Error for Grim {}

impl Drop for Grim {
    fn drop(&mut self) {
        if !thread::panicking() {
            panic!("as ordered: a destructor");
        }
    }
}

/// Its first checks fail.
struct Remote(AtomicUsize);

impl Manager for Remote {
    type Connection = u8;
    type Error = Grim;

    fn connect(&self, _: &Limit) -> Result<u8, Grim> {
        Ok(0)
    }
    fn is_valid(&self, _: &mut u8, _: &Limit) -> Result<(), Grim> {
        let more = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        more.map_or(Ok(()), |_| Err(Grim))
    }
    fn has_broken(&self, _: &mut u8) -> bool {
        false
    }
}

/// Its resets fail, in the returning thread, and are not aborted.
struct Engine;

impl Manager for Engine {
    type Connection = u8;
    type Error = Grim;
    const REMOTE: bool = false;

    fn connect(&self, _: &Limit) -> Result<u8, Grim> {
        Ok(0)
    }
    fn is_valid(&self, _: &mut u8, _: &Limit) -> Result<(), Grim> {
        Ok(())
    }
    fn has_broken(&self, _: &mut u8) -> bool {
        false
    }
    fn session(&self, _: &mut u8) -> SessionState {
        SessionState::Slight
    }
    fn reset(&self, _: &mut u8, limit: &Limit) -> Result<(), Grim> {
        let grim = Grim;
        limit.on_abort(move || drop(grim));
        Err(Grim)
    }
}

struct Kept(#[allow(dead_code, reason = "it is there to be dropped")] Grim);

impl Manager for Kept {
    type Connection = u8;
    type Error = std::io::Error;

    fn connect(&self, _: &Limit) -> std::io::Result<u8> {
        Ok(0)
    }
    fn is_valid(&self, _: &mut u8, _: &Limit) -> std::io::Result<()> {
        Ok(())
    }
    fn has_broken(&self, _: &mut u8) -> bool {
        false
    }
}

/// Panics once, with a payload whose destructor panics with a payload whose destructor panics, and so on.
struct Bomber(u8, AtomicUsize);

struct Bomb(u8);

impl Drop for Bomb {
    fn drop(&mut self) {
        if self.0 > 0 {
            panic_any(Bomb(self.0 - 1));
        }
    }
}

impl Manager for Bomber {
    type Connection = u8;
    type Error = std::io::Error;

    fn connect(&self, _: &Limit) -> std::io::Result<u8> {
        Ok(0)
    }
    fn is_valid(&self, _: &mut u8, _: &Limit) -> std::io::Result<()> {
        Ok(())
    }
    fn has_broken(&self, _: &mut u8) -> bool {
        if self.1.fetch_add(1, Ordering::SeqCst) == 0 {
            panic_any(Bomb(self.0));
        }
        false
    }
}
