//! The application: a pool built as in Diesel's documentation, and threads that check out connections and query.

use crate::Failure;
use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::r2d2::{Builder, ConnectionManager};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

pub(crate) type Pool = diesel::r2d2::Pool<ConnectionManager<PgConnection>>;

/// A pool with defaults except for its size and the time-out of requests. It opens nothing in advance.
pub(crate) fn pool(url: &str, size: u32, timeout: Duration) -> Result<Pool, Failure> {
    Ok(settings(size, timeout).build(ConnectionManager::new(url))?)
}

pub(crate) fn settings(size: u32, timeout: Duration) -> Builder<ConnectionManager<PgConnection>> {
    Pool::builder().max_size(size).min_idle(Some(0)).connection_timeout(timeout)
}

/// The cheapest possible query.
pub(crate) fn ask(conn: &mut PgConnection) -> QueryResult<()> {
    diesel::select(7_i32.into_sql::<diesel::sql_types::Integer>()).get_result::<i32>(conn).map(drop)
}

/// The outcome of one loan.
pub(crate) struct Loan {
    pub(crate) waited: Duration,
    /// Since the beginning of the load.
    pub(crate) ended: Duration,
    pub(crate) end: End,
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum End {
    Good,
    FailedGet,
    FailedQuery,
}

/// This many threads check out, work and return, from `begun` until `span` later. Returns the loans of each.
pub(crate) fn load(
    pool: &Pool,
    threads: usize,
    begun: Instant,
    span: Duration,
    work: impl Fn(&mut PgConnection) -> QueryResult<()> + Sync,
) -> Vec<Vec<Loan>> {
    load_while(pool, threads, begun, || begun.elapsed() < span, work)
}

/// The same in parallel with `meanwhile`, and until `after` its end. Also returns the result of `meanwhile`.
pub(crate) fn load_beside<T: Send>(
    pool: &Pool,
    threads: usize,
    begun: Instant,
    after: Duration,
    work: impl Fn(&mut PgConnection) -> QueryResult<()> + Sync,
    happens: impl FnOnce() -> Result<T, Failure> + Send,
) -> Result<(Vec<Vec<Loan>>, T), Failure> {
    let end = OnceLock::new();
    thread::scope(|scope| {
        let meanwhile = scope.spawn(|| {
            let outcome = happens();
            end.get_or_init(|| begun.elapsed() + after);
            outcome
        });
        let loans = load_while(pool, threads, begun, || end.get().is_none_or(|end| begun.elapsed() < *end), work);
        meanwhile.join().expect("it does not panic").map(|outcome| (loans, outcome))
    })
}

fn load_while(
    pool: &Pool,
    threads: usize,
    begun: Instant,
    goes_on: impl Fn() -> bool + Sync,
    work: impl Fn(&mut PgConnection) -> QueryResult<()> + Sync,
) -> Vec<Vec<Loan>> {
    let borrow = || {
        let mut loans = Vec::new();
        while goes_on() {
            let asked = begun.elapsed();
            let got = pool.get();
            let waited = begun.elapsed() - asked;
            let end = match got {
                Err(_) => End::FailedGet,
                Ok(mut conn) => match work(&mut conn) {
                    Ok(()) => End::Good,
                    Err(_) => End::FailedQuery,
                },
            };
            loans.push(Loan { waited, ended: begun.elapsed(), end });
            if end != End::Good {
                // Like a user who retries.
                thread::sleep(Duration::from_millis(10));
            }
        }
        loans
    };
    thread::scope(|scope| {
        let all: Vec<_> = (0..threads).map(|_| scope.spawn(borrow)).collect();
        all.into_iter().map(|thread| thread.join().expect("no borrower panics")).collect()
    })
}

pub(crate) fn count(loans: &[Vec<Loan>], end: End) -> f64 {
    loans.iter().flatten().filter(|loan| loan.end == end).count() as f64
}

pub(crate) fn longest_wait(loans: &[Vec<Loan>]) -> f64 {
    millis(loans.iter().flatten().map(|loan| loan.waited).max().unwrap_or_default())
}

/// The time from that moment until the first success; all of `otherwise` without one.
pub(crate) fn first_success(loans: &[Vec<Loan>], from: Duration, otherwise: Duration) -> f64 {
    let after = loans.iter().flatten().filter(|loan| loan.end == End::Good && loan.ended >= from);
    millis(after.map(|loan| loan.ended - from).min().unwrap_or(otherwise))
}

/// The longest span without a success from that moment on.
pub(crate) fn longest_gap(loans: &[Vec<Loan>], from: Duration, to: Duration) -> f64 {
    let good = loans.iter().flatten().filter(|loan| loan.end == End::Good).map(|loan| loan.ended);
    let mut moments: Vec<_> = good.filter(|ended| (from..to).contains(ended)).chain([from, to]).collect();
    moments.sort_unstable();
    millis(moments.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default())
}

pub(crate) fn millis(span: Duration) -> f64 {
    span.as_secs_f64() * 1e3
}

pub(crate) fn yes(is: bool) -> f64 {
    f64::from(u8::from(is))
}
