//! Borrowers that are threads: blocking pools under a load, and async pools where no async driver is at work.

use crate::load;
use crate::load::{Clock, End, Failure, Load, Loan, Next, Outcome, Pace, Query, Work};
use crate::pools::Peer;
use anyhow::{Result, anyhow};
use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// A pool that blocks the calling thread.
pub trait Blocking: Send + Sync {
    type Loan;

    fn get(&self) -> Result<Self::Loan, Failure>;

    fn query(&self, loan: &mut Self::Loan, query: Query) -> Result<(), Failure>;

    /// Held by each borrower's thread while it runs.
    fn enter(&self) -> Option<tokio::runtime::EnterGuard<'_>> {
        None
    }
}

/// Several pools of one kind, used in turn.
pub struct InTurn<P> {
    pools: Vec<P>,
    next: AtomicUsize,
}

impl<P> InTurn<P> {
    pub fn new(pools: Vec<P>) -> Self {
        Self { pools, next: AtomicUsize::new(0) }
    }
}

impl<P: Blocking> Blocking for InTurn<P> {
    type Loan = P::Loan;

    fn get(&self) -> Result<Self::Loan, Failure> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        self.pools[turn % self.pools.len()].get()
    }

    fn query(&self, loan: &mut Self::Loan, query: Query) -> Result<(), Failure> {
        self.pools[0].query(loan, query)
    }
}

/// A peer whose borrowers are threads.
pub struct OnThreads<P> {
    pub name: &'static str,
    pub pool: P,
}

impl<P: Blocking> Peer for OnThreads<P> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn run(&self, load: &Load) -> Result<Outcome> {
        let clock = Clock::new(load.pace);
        let start = Barrier::new(load.borrowers + 1);
        let failure = Mutex::new(None);
        let (began, ended) = thread::scope(|scope| {
            let borrower = |number| {
                let (clock, start, failure) = (&clock, &start, &failure);
                move || {
                    load::be_borrower(number);
                    let _entered = self.pool.enter();
                    start.wait();
                    let began = Instant::now();
                    let loans = self.borrow(load, clock, began, failure);
                    (loans, began, Instant::now())
                }
            };
            // Small stacks, because there may be ten thousand threads.
            let builder = || thread::Builder::new().stack_size(256 * 1024);
            let spawn = |number| builder().spawn_scoped(scope, borrower(number)).expect("a thread can be started");
            let handles: Vec<_> = (0..load.borrowers).map(spawn).collect();
            start.wait();
            let began = Instant::now();
            let ended: Vec<_> = handles.into_iter().map(|handle| handle.join().expect("no borrower panics")).collect();
            (began, ended)
        });
        if let (Pace::Loans(_), Some(failure)) = (load.pace, failure.lock().unwrap().take()) {
            return Err(anyhow!("{}: {failure}", self.name));
        }
        let last = ended.iter().map(|(_, _, ended)| *ended).max().unwrap_or(began);
        // Under load the thread that opens the barrier may be the last to continue.
        let first = ended.iter().map(|(_, began, _)| *began).min().unwrap_or(began);
        let failure = failure.into_inner().unwrap();
        let loans = ended.into_iter().map(|(loans, _, _)| loans).collect();
        Ok(Outcome { began: first, elapsed: last - first, loans, failure })
    }
}

impl<P: Blocking> OnThreads<P> {
    /// The life of one borrower.
    fn borrow(&self, load: &Load, clock: &Clock, began: Instant, failure: &Mutex<Option<String>>) -> Vec<Loan> {
        let note = |error: Failure| {
            failure.lock().unwrap().get_or_insert_with(|| error.to_string());
        };
        if let Pace::Loans(count) = load.pace {
            for _ in 0..count {
                let loan = self.pool.get().and_then(|loan| self.work(black_box(loan), load.work));
                if let Err(error) = loan {
                    note(error);
                    break;
                }
            }
            return Vec::new();
        }
        let mut loans = Vec::with_capacity(1 << 14);
        loop {
            let mut asked = began.elapsed();
            match clock.next(loans.len() as u64, asked) {
                Next::Now => {}
                Next::At(due) => {
                    thread::sleep(due.saturating_sub(asked));
                    asked = due;
                }
                Next::Stop => return loans,
            }
            let (waited, end) = match self.pool.get() {
                Ok(loan) => {
                    let waited = since(began, asked);
                    match self.work(loan, load.work) {
                        Ok(()) => (waited, End::Good),
                        Err(error) => {
                            note(error);
                            (waited, End::FailedQuery)
                        }
                    }
                }
                Err(error) => {
                    note(error);
                    (since(began, asked), End::FailedGet)
                }
            };
            let ended = began.elapsed().as_nanos() as u64;
            loans.push(Loan { asked: asked.as_nanos() as u64, waited, ended, end });
            if let (End::FailedGet, Some(pause)) = (end, clock.pause()) {
                thread::sleep(pause);
            }
        }
    }

    fn work(&self, mut loan: P::Loan, work: Work) -> Result<(), Failure> {
        match work {
            Work::Query(query) => self.pool.query(&mut loan, query),
            other => {
                other.idle_away();
                Ok(())
            }
        }
    }
}

fn since(began: Instant, asked: Duration) -> u64 {
    began.elapsed().saturating_sub(asked).as_nanos() as u64
}
