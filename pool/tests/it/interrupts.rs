//! `cancel_on_drop` with an engine in this process: its line is interrupted, and lent again. An interrupt reaches the loan whose future
//! was dropped, and no later one.

use crate::support::ms;
use cabrank::{AbortHandle, Limit, Manager, Pool, PooledConnection, SessionState, Verdict, Work};
use cabrank_testing::eventually;
use cabrank_testing::fake::{Call, FakeManager, FakeServer, Outcome};
use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::{io, thread};

fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn a_dropped_future_interrupts_its_line_which_is_lent_again() {
    let server = FakeServer::new();
    let pool = Pool::builder().max_size(1).build_lazy(server.engine()).unwrap();
    let (tell, told) = channel();
    server.next(Call::Query, Outcome::Never);
    let work = move |conn: &mut PooledConnection<FakeManager<false>>| {
        let outcome = conn.query();
        tell.send((PooledConnection::id(conn), outcome.is_err())).unwrap();
        outcome
    };
    let mut future = pool.run_async(work).cancel_on_drop();
    eventually("it runs", || poll(&mut future).is_pending() && server.now_in(Call::Query) == 1);
    drop(future);
    let (id, was_interrupted) = told.recv().unwrap();
    assert!(was_interrupted);
    assert_eq!(server.by_thread(Call::Cancel), (0, 1), "in the thread that drops it");
    let mut next = pool.get().unwrap();
    assert_eq!(PooledConnection::id(&next), id);
    next.query().expect("the next holder is not interrupted");
    drop(next);
    assert_eq!((pool.stats().closed.total(), pool.stats().returned), (0, 2));
    server.assert_closes_clean(&pool);
}

#[test]
fn a_future_that_is_dropped_when_its_work_has_ended_interrupts_nobody() {
    let server = FakeServer::new();
    let (send, works) = channel::<Work>();
    let settings = Pool::builder().max_size(1).run_on(move |work: Work| send.send(work).unwrap());
    let pool = settings.build_lazy(server.engine()).unwrap();
    drop(pool.get().unwrap());
    let mut future = pool.run_async(|conn| conn.query()).cancel_on_drop();
    assert!(poll(&mut future).is_pending());
    works.recv().unwrap()();
    // Its answer is ready, and its task is not polled.
    let mut next = pool.get().unwrap();
    server.next(Call::Query, Outcome::Never);
    thread::scope(|scope| {
        let running = scope.spawn(|| next.query());
        eventually("the next holder's statement runs", || server.now_in(Call::Query) == 1);
        drop(future);
        assert_eq!(server.count(Call::Cancel), 0);
        server.release(Call::Query);
        running.join().unwrap().expect("it was not interrupted");
    });
    drop(next);
    server.assert_no_leaks(&pool);
}

/// An engine with one line, which records the loans that were interrupted.
struct Engine(Arc<Line>);

#[derive(Default)]
struct Line {
    /// The number of loans so far.
    loans: AtomicU64,
    /// The number of the current loan, or zero between two.
    loan: AtomicU64,
    /// The running statement must end.
    is_interrupted: AtomicBool,
    /// The loans that were interrupted.
    interrupts: Mutex<Vec<u64>>,
}

struct Interrupt(Arc<Line>);

impl Manager for Engine {
    type Connection = Arc<Line>;
    type Error = io::Error;

    const REMOTE: bool = false;

    fn connect(&self, _: &Limit) -> io::Result<Arc<Line>> {
        Ok(Arc::clone(&self.0))
    }
    fn is_valid(&self, _: &mut Arc<Line>, _: &Limit) -> io::Result<()> {
        Ok(())
    }
    /// Called at the end of each loan, when nothing may interrupt it any more.
    fn has_broken(&self, line: &mut Arc<Line>) -> bool {
        line.loan.store(0, Ordering::SeqCst);
        false
    }
    fn session(&self, _: &mut Arc<Line>) -> SessionState {
        SessionState::Clean
    }
    fn abort_handle(&self, line: &Arc<Line>) -> Option<Box<dyn AbortHandle>> {
        Some(Box::new(Interrupt(Arc::clone(line))))
    }
}

impl AbortHandle for Interrupt {
    fn cancel(&self, _: &Limit) -> bool {
        self.0.interrupts.lock().unwrap().push(self.0.loan.load(Ordering::SeqCst));
        self.0.is_interrupted.store(true, Ordering::SeqCst);
        true
    }
    fn abort(&self) {}
}

impl Line {
    /// Runs a statement of this many steps. Earlier interrupts do not affect it.
    fn run(&self, steps: u32) -> io::Result<()> {
        self.is_interrupted.store(false, Ordering::SeqCst);
        for _ in 0..steps {
            if self.is_interrupted.load(Ordering::SeqCst) {
                return Err(io::ErrorKind::Interrupted.into());
            }
            thread::yield_now();
        }
        Ok(())
    }
}

#[test]
fn whenever_a_future_is_dropped_it_interrupts_its_own_loan_or_none() {
    let line = Arc::new(Line::default());
    let settings = Pool::builder().max_size(1).on_checkout(|line: &mut Arc<Line>, _| {
        line.loan.store(line.loans.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        Verdict::Keep
    });
    let pool = settings.build(Engine(Arc::clone(&line))).unwrap();
    let (loans_of_dropped, cut_short) = (Arc::new(Mutex::new(BTreeSet::new())), Arc::new(AtomicU64::new(0)));
    thread::scope(|scope| {
        for seed in 0..2 {
            let (pool, loans_of_dropped, cut_short) = (&pool, &loans_of_dropped, &cut_short);
            scope.spawn(move || {
                let mut random = fastrand::Rng::with_seed(seed);
                for _ in 0..2_000 {
                    let (steps, wait) = (random.u32(0..20), random.u32(0..30));
                    let (own, short) = (Arc::clone(loans_of_dropped), Arc::clone(cut_short));
                    let has_begun = Arc::new(AtomicBool::new(false));
                    let begun = Arc::clone(&has_begun);
                    let work = move |line: &mut PooledConnection<Engine>| {
                        own.lock().unwrap().insert(line.loan.load(Ordering::SeqCst));
                        begun.store(true, Ordering::SeqCst);
                        let outcome = line.run(steps);
                        short.fetch_add(u64::from(outcome.is_err()), Ordering::SeqCst);
                        outcome
                    };
                    let mut future = pool.run_async(work).cancel_on_drop();
                    while poll(&mut future).is_pending() && !has_begun.load(Ordering::SeqCst) {
                        thread::yield_now();
                    }
                    // The work has ended, is ending, or will end.
                    (0..wait).for_each(|_| thread::yield_now());
                    drop(future);
                }
            });
        }
        let pool = &pool;
        scope.spawn(move || {
            for number in 0..1_000 {
                let kept = match number % 2 {
                    0 => pollster::block_on(pool.run_async(|line| line.run(20))),
                    _ => pool.get().unwrap().run(20).map_err(|error| panic!("{error}")),
                };
                assert!(kept.is_ok(), "an interrupt meant for another loan: {kept:?}");
            }
        });
    });
    eventually("all have ended", || pool.stats().in_use == 0);
    let (interrupts, own) = (line.interrupts.lock().unwrap(), loans_of_dropped.lock().unwrap());
    assert!(interrupts.len() > 100 && cut_short.load(Ordering::SeqCst) > 20, "{} interrupts", interrupts.len());
    for loan in interrupts.iter() {
        assert!(own.contains(loan), "an interrupt in loan {loan}, whose future was not dropped");
    }
    assert_eq!(pool.stats().closed.total(), 0, "it is lent again each time");
    assert!(pool.close_within(ms(10_000)).is_clean());
}
