//! A pool on its own set of workers, which can run short of threads.

use super::*;
use crate::builder::open_the_first;
use crate::limit::Limit;
use crate::manager::AbortHandle;
use crate::pool::Pool;
use crate::reason::CloseReason;
use crate::sync::Ordering::SeqCst;
use crate::sync::{AtomicBool, AtomicUsize};
use crate::waiter::{Waiter, Wake};
use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

/// Counts what the driver was asked to do.
#[derive(Default)]
struct Book {
    connects: AtomicUsize,
    open: AtomicUsize,
    goodbyes: AtomicUsize,
    aborts: AtomicUsize,
    /// The server does not answer goodbyes.
    is_silent: AtomicBool,
    manager_was_dropped_by: Mutex<Option<String>>,
}

#[derive(Default)]
struct Fake(Arc<Book>);

struct Conn {
    book: Arc<Book>,
    abort: Sender<()>,
    aborted: Receiver<()>,
}

impl Manager for Fake {
    type Connection = Conn;
    type Error = io::Error;

    fn connect(&self, _: &Limit) -> Result<Conn, io::Error> {
        self.0.connects.fetch_add(1, SeqCst);
        self.0.open.fetch_add(1, SeqCst);
        let (abort, aborted) = channel();
        Ok(Conn { book: Arc::clone(&self.0), abort, aborted })
    }
    fn is_valid(&self, _: &mut Conn, _: &Limit) -> Result<(), io::Error> {
        Ok(())
    }
    fn has_broken(&self, _: &mut Conn) -> bool {
        false
    }
    fn close(&self, conn: Conn, _: &Limit) {
        self.0.goodbyes.fetch_add(1, SeqCst);
        if self.0.is_silent.load(SeqCst) {
            conn.aborted.recv().unwrap();
        }
    }
    fn abort_handle(&self, conn: &Conn) -> Option<Box<dyn AbortHandle>> {
        Some(Box::new(Handle(Arc::clone(&conn.book), conn.abort.clone())))
    }
}

struct Handle(Arc<Book>, Sender<()>);

impl AbortHandle for Handle {
    fn abort(&self) {
        self.0.aborts.fetch_add(1, SeqCst);
        let _ = self.1.send(());
    }
}

impl Drop for Conn {
    fn drop(&mut self) {
        self.book.open.fetch_sub(1, SeqCst);
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        *self.0.manager_was_dropped_by.lock() = Some(std::thread::current().name().unwrap_or_default().to_owned());
    }
}

fn set() -> WorkerSet {
    WorkerSet::new(Duration::from_secs(60))
}

/// A pool of this size, which opens nothing on its own, and the book of its driver.
fn pool(set: &WorkerSet, max_size: u32) -> (Pool<Fake>, Arc<Book>) {
    let book = Arc::new(Book::default());
    let builder = Pool::builder().max_size(max_size).acquire_timeout(LONG).connect_timeout(LONG);
    (builder.build_on(set, Fake(Arc::clone(&book))).unwrap(), book)
}

fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let until = sync::now() + LONG;
    while !is_so() {
        assert!(sync::now() < until, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Waits until this many jobs have no thread, and lets the set create threads again. Returns the time of that.
fn relieve_when_queued(set: &WorkerSet, jobs: usize) -> Instant {
    eventually("they have no threads", || set.queued() >= jobs);
    let relieved = sync::now();
    set.fill(false);
    relieved
}

#[test]
fn get_and_build_are_served_soon_after_threads_can_be_had_again() {
    let set = set();
    set.fill(true);
    let (waited_for, _) = pool(&set, 1);
    let (built, _) = pool(&set, 1);
    let (got, opened, relieved) = std::thread::scope(|scope| {
        let got = scope.spawn(|| {
            drop(waited_for.get().unwrap());
            sync::now()
        });
        let opened = scope.spawn(|| {
            open_the_first(&built).unwrap();
            sync::now()
        });
        let relieved = relieve_when_queued(&set, 2);
        (got.join().unwrap(), opened.join().unwrap(), relieved)
    });
    for served in [got, opened] {
        assert!(served > relieved, "there was no thread before");
        assert!(served < relieved + LONG / 4, "{:?} after that", served - relieved);
    }
}

#[test]
fn what_the_last_drop_leaves_without_a_thread_is_closed_when_there_is_one() {
    let set = set();
    let (pool, book) = pool(&set, 3);
    drop((0..3).map(|_| pool.get().unwrap()).collect::<Vec<_>>());
    // The state after ten seconds without work: only the timer is left.
    set.fill(true);
    set.dismiss_workers();
    drop(pool);
    // Nothing may be closed in this time, so the test can only wait.
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(book.open.load(SeqCst), 3, "there is no thread to close them");
    set.fill(false);
    eventually("all are closed", || book.open.load(SeqCst) == 0);
    assert_eq!(book.goodbyes.load(SeqCst), 3);
    eventually("the manager is gone, too", || book.manager_was_dropped_by.lock().is_some());
}

#[test]
fn close_within_does_what_has_no_thread_as_soon_as_there_is_one() {
    let set = set();
    let (pool, book) = pool(&set, 2);
    drop((0..2).map(|_| pool.get().unwrap()).collect::<Vec<_>>());
    set.fill(true);
    set.dismiss_workers();
    std::thread::scope(|scope| {
        scope.spawn(|| relieve_when_queued(&set, 2));
        let report = pool.close_within(LONG);
        assert!(report.is_clean() && report.threads_left == 0, "{report}");
    });
    assert_eq!(book.open.load(SeqCst), 0);
}

#[test]
fn a_connection_that_has_no_thread_yet_when_the_pool_is_closed_is_not_opened() {
    let set = set();
    set.fill(true);
    let (pool, book) = pool(&set, 2);
    assert!(pool.try_get().unwrap().is_none());
    assert_eq!(pool.stats().opening, 1);
    pool.close();
    set.fill(false);
    assert!(pool.close_within(LONG).is_clean());
    assert_eq!(book.connects.load(SeqCst), 0);
}

#[test]
fn those_who_wait_are_woken_before_anything_that_needs_the_set() {
    let set = set();
    let (pool, _) = pool(&set, 2);
    let (tell, told) = channel();
    let shared = Arc::clone(pool.shared());
    std::thread::scope(|scope| {
        let waiter = scope.spawn(move || {
            let waiter = Waiter::new();
            tell.send(Wake::Thread(Arc::clone(&waiter))).unwrap();
            waiter.park(Some(sync::now() + LONG))
        });
        let wake = told.recv().unwrap();
        set.while_locked(|| {
            let now = sync::now();
            let performing = scope.spawn(move || {
                let alarm = Action::Alarm(now + LONG);
                shared.with(now, |_, actions| actions.extend([alarm, Action::Wake(wake)]));
            });
            assert!(waiter.join().unwrap(), "it waited for the set's lock");
            assert!(!performing.is_finished());
        });
    });
}

#[test]
fn a_goodbye_that_waits_for_a_thread_is_aborted_when_its_slot_is_wanted() {
    let set = set();
    let (pool, book) = pool(&set, 3);
    drop((0..3).map(|_| pool.get().unwrap()).collect::<Vec<_>>());
    set.fill(true);
    set.dismiss_workers();
    pool.evict_all();
    assert_eq!(pool.stats().closing, 3);
    let now = sync::now();
    pool.shared().with(now, |_, actions| actions.push(Action::Hasten(1)));
    set.fill(false);
    eventually("all are gone", || book.open.load(SeqCst) == 0 && pool.stats().closing == 0);
    assert_eq!((book.aborts.load(SeqCst), book.goodbyes.load(SeqCst)), (1, 2));
    assert_eq!(pool.stats().closed.by(CloseReason::Evicted), 3);
}

#[test]
fn where_goodbyes_hang_on_all_threads_there_are_one_of_these_makes_room() {
    let (set, book) = (set(), Arc::new(Book::default()));
    let builder = Pool::builder().max_size(3).acquire_timeout(LONG).close_timeout(LONG);
    let pool = builder.build_on(&set, Fake(Arc::clone(&book))).unwrap();
    drop((0..3).map(|_| pool.get().unwrap()).collect::<Vec<_>>());
    book.is_silent.store(true, SeqCst);
    set.dismiss_workers();
    // There is one thread, and no other can be created.
    pool.shared().workers.submit(Job::Tell(Arc::clone(pool.shared()), Vec::new()));
    set.fill(true);
    pool.evict_all();
    eventually("the first goodbye hangs, and the others are queued", || book.goodbyes.load(SeqCst) == 1);
    assert_eq!(pool.stats().closing, 3);
    let began = sync::now();
    drop(pool.get().unwrap());
    assert!(began.elapsed() < LONG / 2, "{:?}", began.elapsed());
    set.fill(false);
    pool.close();
    eventually("all are gone, one aborted after the other", || {
        pool.shared().with(sync::now(), |state, actions| state.abort_calls(actions));
        book.open.load(SeqCst) == 0
    });
}

#[test]
fn where_goodbyes_hang_on_all_threads_there_are_one_of_these_gives_its_thread_to_an_opening_or_a_check() {
    for case in ["all are evicted", "the pool was shrunk", "an idle one must be checked"] {
        let (set, book) = (set(), Arc::new(Book::default()));
        let settings =
            Pool::builder().max_size(5).acquire_timeout(LONG).close_timeout(LONG).check_after(Duration::ZERO);
        let pool = settings.build_on(&set, Fake(Arc::clone(&book))).unwrap();
        let mut held: Vec<_> = (0..3).map(|_| pool.get().unwrap()).collect();
        let kept = held.pop().unwrap();
        drop(held);
        book.is_silent.store(true, SeqCst);
        set.dismiss_workers();
        // There is one thread, and no other can be created.
        pool.shared().workers.submit(Job::Tell(Arc::clone(pool.shared()), Vec::new()));
        set.fill(true);
        if case == "all are evicted" {
            pool.evict_all();
        } else {
            pool.resize(1, 0).unwrap();
            pool.resize(5, 0).unwrap();
        }
        eventually("a goodbye hangs, and slots are free", || book.goodbyes.load(SeqCst) == 1);
        let kept = Some(kept).filter(|_| case != "an idle one must be checked");
        let began = sync::now();
        drop(pool.get().unwrap());
        assert!(began.elapsed() < LONG / 2, "{case}: {:?}", began.elapsed());
        set.fill(false);
        drop(kept);
        pool.close();
        eventually("all are gone, one aborted after the other", || {
            pool.shared().with(sync::now(), |state, actions| state.abort_calls(actions));
            book.open.load(SeqCst) == 0
        });
    }
}

#[test]
fn the_timer_leaves_the_end_of_a_pool_and_what_is_the_users_to_a_worker() {
    struct Listens(Arc<AtomicBool>);
    impl EventHandler for Listens {
        fn leaked(&self, _: &str, _: &crate::report::Holder) {
            self.0.store(std::thread::current().name() == Some("cabrank-worker"), SeqCst);
        }
    }
    let (set, book, in_worker) = (set(), Arc::new(Book::default()), Arc::new(AtomicBool::new(false)));
    let builder =
        Pool::builder().leak_after(Duration::from_millis(5)).event_handler(Arc::new(Listens(Arc::clone(&in_worker))));
    let pool = builder.build_on(&set, Fake(Arc::clone(&book))).unwrap();
    let held = pool.get().unwrap();
    eventually("the leak is reported, in a worker", || in_worker.load(SeqCst));
    let shared = Arc::clone(pool.shared());
    drop(held);
    drop(pool);
    eventually("this is the last handle", || Arc::strong_count(&shared) == 1);
    shared.leave_to_worker();
    eventually("the manager is gone", || book.manager_was_dropped_by.lock().is_some());
    assert_eq!(book.manager_was_dropped_by.lock().as_deref(), Some("cabrank-worker"));
}

#[test]
fn a_reset_in_the_returning_thread_that_was_answered_during_a_stall_is_not_aborted() {
    let set = set();
    let (pool, book) = pool(&set, 1);
    let held = pool.get().unwrap();
    let shared = pool.shared();
    let abort_handle: Arc<dyn AbortHandle> = Arc::new(Handle(Arc::clone(&book), channel().0));
    let reset = |has_answer: bool| {
        let outcome = shared.call_here(0, Duration::from_millis(20), Some(&abort_handle), |limit| {
            // During this stall no alarm rings. It is long enough for the longest last look.
            set.while_locked(|| std::thread::sleep(Duration::from_millis(600)));
            let (tell, told) = channel();
            shared.workers.at(sync::now(), move || tell.send(()).unwrap());
            told.recv_timeout(LONG).expect("the timer is there, and the call's own alarm has rung before");
            if !has_answer {
                eventually("its last look ends", || limit.is_over());
            }
        });
        (outcome.over, book.aborts.load(SeqCst))
    };
    assert_eq!(reset(true), (false, 0));
    assert_eq!(reset(false), (true, 1));
    drop(held);
}

const LONG: Duration = Duration::from_secs(10);

#[test]
fn what_a_task_has_run_begins_as_soon_as_a_thread_can_be_had() {
    let (workers, threads) = (set(), set());
    let (pool, _) = pool(&workers, 1);
    pool.shared().runners.stand_on(&threads);
    threads.fill(true);
    let (ran, has_run) = channel();
    pool.shared().run_on_own_thread(Box::new(move || ran.send(()).unwrap()));
    assert!(has_run.try_recv().is_err());
    threads.fill(false);
    // Nobody else asks for a thread, only the timer.
    has_run.recv_timeout(Duration::from_secs(60)).unwrap();
}
