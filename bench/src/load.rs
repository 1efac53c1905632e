//! A load: how many borrowers, what each does with a loan, and when they request one. And the outcome.
//!
//! `threads` and `tasks` implement borrowers that are threads or tasks of a runtime.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use std::{hint, thread};

/// The load on a pool.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    pub borrowers: usize,
    pub work: Work,
    pub pace: Pace,
}

/// What a borrower does with a loan.
#[derive(Clone, Copy, Debug)]
pub enum Work {
    Nothing,
    Sleep(Duration),
    Spin(Duration),
    Query(Query),
}

/// A query to a server.
#[derive(Clone, Copy, Debug)]
pub enum Query {
    /// `SELECT 1` as text: one round trip.
    Select1,
    /// A read by primary key, through the statement cache of the pool or driver, if there is one.
    Prepared,
    /// The same without a statement cache.
    Unprepared,
    /// Inserts a row: in MySQL and MariaDB as `Prepared`, into a table with `AUTO_INCREMENT`; in PostgreSQL as text, into a table without
    /// keys.
    Insert,
}

/// When borrowers request loans.
#[derive(Clone, Copy, Debug)]
pub enum Pace {
    /// Each takes this many loans, one after the other. The only pace that reads no clock for each loan.
    Loans(u64),
    /// Each continues for this time, even after failures.
    For(Duration),
    /// Each continues until `over` is set. After a failed `get` it pauses before it tries again, as a user would.
    Until { over: &'static AtomicBool, pause: Duration },
    /// Loans fall due at this rate, whether or not earlier ones have ended. Times count from when each was due, so a pool that stalls
    /// cannot hide the loans not requested meanwhile.
    Arrivals { per_second: f64, during: Duration },
}

/// One loan, with times in nanoseconds since the load began.
#[derive(Clone, Copy, Debug)]
pub struct Loan {
    /// When it was requested, or due.
    pub asked: u64,
    pub waited: u64,
    pub ended: u64,
    pub end: End,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum End {
    Good,
    FailedGet,
    FailedQuery,
}

#[derive(Debug)]
pub struct Outcome {
    pub began: Instant,
    /// From the first borrower's start to the last one's end.
    pub elapsed: Duration,
    /// All loans of each borrower; none at the pace `Loans`.
    pub loans: Vec<Vec<Loan>>,
    /// The first failure, for the log.
    pub failure: Option<String>,
}

impl Outcome {
    pub fn all(&self) -> impl Iterator<Item = &Loan> {
        self.loans.iter().flatten()
    }

    pub fn count(&self, end: End) -> usize {
        self.all().filter(|loan| loan.end == end).count()
    }

    pub fn per_second(&self) -> f64 {
        self.count(End::Good) as f64 / self.elapsed.as_secs_f64()
    }

    /// The waits of all loans that were granted, in microseconds, sorted.
    pub fn waits(&self) -> Vec<f64> {
        let served = self.all().filter(|loan| loan.end != End::FailedGet);
        sorted(served.map(|loan| loan.waited as f64 / 1e3))
    }

    /// From each loan's due time to its end, in microseconds, sorted.
    pub fn responses(&self) -> Vec<f64> {
        sorted(self.all().map(|loan| (loan.ended - loan.asked) as f64 / 1e3))
    }
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

/// The error of the pool or driver.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

impl Work {
    /// Does work that needs no connection.
    pub fn idle_away(self) {
        match self {
            Self::Nothing | Self::Query(_) => {}
            Self::Sleep(time) => thread::sleep(time),
            Self::Spin(time) => {
                let end = Instant::now() + time;
                while Instant::now() < end {
                    hint::spin_loop();
                }
            }
        }
    }
}

/// When the next loan of each borrower is due.
#[derive(Debug)]
pub struct Clock {
    pace: Pace,
    arrivals: AtomicU64,
}

/// What a borrower does next.
#[derive(Clone, Copy, Debug)]
pub enum Next {
    Now,
    /// This long after the beginning.
    At(Duration),
    Stop,
}

impl Clock {
    pub fn new(pace: Pace) -> Self {
        Self { pace, arrivals: AtomicU64::new(0) }
    }

    /// `done` counts the borrower's own loans; `now` is the time since the beginning.
    pub fn next(&self, done: u64, now: Duration) -> Next {
        match self.pace {
            Pace::Loans(loans) if done < loans => Next::Now,
            Pace::For(time) if now < time => Next::Now,
            Pace::Until { over, .. } if !over.load(Ordering::Relaxed) => Next::Now,
            Pace::Loans(_) | Pace::For(_) | Pace::Until { .. } => Next::Stop,
            Pace::Arrivals { per_second, during } => {
                let due = Duration::from_secs_f64(self.arrivals.fetch_add(1, Ordering::Relaxed) as f64 / per_second);
                if due < during { Next::At(due) } else { Next::Stop }
            }
        }
    }

    /// The pause after a failed `get`; `None` to try again at once.
    pub fn pause(&self) -> Option<Duration> {
        match self.pace {
            Pace::Until { pause, .. } => Some(pause),
            _ => None,
        }
    }
}

thread_local! {
    static BORROWER: Cell<usize> = const { Cell::new(0) };
}

/// The number of the borrower on this thread, for peers that give each borrower its own connection.
pub fn borrower() -> usize {
    BORROWER.get()
}

pub fn be_borrower(number: usize) {
    BORROWER.set(number);
}
