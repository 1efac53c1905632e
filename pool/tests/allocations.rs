//! A loan of an idle connection allocates nothing, its end included: by a thread or by a task, outside the lock or under it. The test is
//! a process of its own because it replaces the allocator.

use cabrank::{Builder, CheckedIn, CheckedOut, EventHandler, Limit, Manager, Pool, PooledConnection};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

#[test]
fn a_loan_of_what_is_idle_allocates_nothing() {
    let ways: [(&str, fn(&Pool<Nothing>) -> PooledConnection<Nothing>); 2] =
        [("get", |pool| pool.get().unwrap()), ("get_async", |pool| at_once(pool.get_async()).unwrap())];
    let settings: [(&str, fn(Builder<Nothing>) -> Builder<Nothing>); 3] = [
        ("defaults", |builder| builder),
        ("an event handler", |builder| builder.event_handler(Arc::new(Counts::default()))),
        ("leak_after", |builder| builder.leak_after(Duration::from_secs(1))),
    ];
    for (way, get) in ways {
        for (setting, set) in settings {
            let pool = set(Pool::builder()).max_size(1).check_after(Duration::MAX).build(Nothing).unwrap();
            let beside_the_lock = || allocations(|| (0..LOANS).for_each(|_| drop(black_box(get(&pool)))));
            let by_the_lock = || (0..LOANS).map(|_| by_the_lock(&pool, get)).sum::<u64>();
            // The first loans allocate what later ones use. So does a loan longer than any before: it adds a place for its duration.
            let least = |count: &dyn Fn() -> u64| (0..4).map(|_| count()).min();
            let counts = (least(&beside_the_lock), least(&by_the_lock));
            assert_eq!(counts, (Some(0), Some(0)), "of {LOANS} loans each by {way}, with {setting}");
        }
    }
}

/// The allocations of a loan that finds the cells shut, as they are after a request that found nothing.
fn by_the_lock(pool: &Pool<Nothing>, get: fn(&Pool<Nothing>) -> PooledConnection<Nothing>) -> u64 {
    let mut conn = None;
    let of_the_beginning = allocations(|| conn = Some(get(pool)));
    assert!(pool.try_get().unwrap().is_none());
    of_the_beginning + allocations(|| drop(conn.take()))
}

fn at_once<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("one is idle"),
    }
}

const LOANS: u32 = 1_000;

/// An event handler that counts, as most handlers do.
#[derive(Default)]
struct Counts(AtomicU64);

impl EventHandler for Counts {
    fn checked_out(&self, _: &CheckedOut<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
    fn checked_in(&self, _: &CheckedIn<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A driver whose connections cost nothing.
struct Nothing;

impl Manager for Nothing {
    type Connection = ();
    type Error = io::Error;

    fn connect(&self, _: &Limit) -> io::Result<()> {
        Ok(())
    }
    fn is_valid(&self, (): &mut (), _: &Limit) -> io::Result<()> {
        Ok(())
    }
    fn has_broken(&self, (): &mut ()) -> bool {
        false
    }
}

/// The number of allocations by this thread during `work`.
fn allocations(work: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.get();
    work();
    ALLOCATIONS.get() - before
}

thread_local!(static ALLOCATIONS: Cell<u64> = const { Cell::new(0) });

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: The system allocator does all the work, with the caller's own arguments; we only count, in a cell that allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: The caller upholds the same contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: As above; the pointer came from this allocator.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[test]
fn what_allocates_is_counted() {
    assert_eq!(allocations(|| drop(black_box(Box::new(7)))), 1);
    let mut grows = Vec::with_capacity(1);
    assert_eq!(allocations(|| grows.extend_from_slice(&[1, 2])), 1);
}
