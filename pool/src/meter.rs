//! The counts for the loans that bypass the lock: how many there were, how long they took, and who has the connection now.
//!
//! Only the thread that has the connection writes, and by plain stores; others may read meanwhile. The meter is cleared when its
//! connection is back with the state.

use crate::histogram::{BUCKETS, Histogram, bucket_of, nanos};
use crate::seeded;
use crate::sync::{AtomicU32, AtomicU64, Ordering};
use crossbeam_utils::CachePadded;
use crossbeam_utils::atomic::AtomicCell;
use std::panic::Location;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The meter of one connection, from the loan with which the state gives it until the connection is back.
pub(crate) struct Meter {
    birth: Instant,
    /// Incremented at the end of each loan and at the beginning of the next: odd while the connection is parked.
    turns: AtomicU64,
    /// The loan: since when, and whose.
    since: AtomicU64,
    call_site: AtomicCell<Option<&'static Location<'static>>>,
    thread: AtomicU64,
    /// When the last loan that used the connection ended; zero if none has.
    answered: AtomicU64,
    /// How long the loans that have ended took.
    total: AtomicU64,
    longest: AtomicU64,
    buckets: [AtomicU32; BUCKETS],
}

/// The borrower: where in the code, and which thread.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Borrower {
    pub(crate) call_site: &'static Location<'static>,
    pub(crate) thread: usize,
}

impl Borrower {
    /// The thread's number, if a thread and not a task borrows.
    pub(crate) fn number(&self) -> Option<u64> {
        (self.thread != 0).then_some(self.thread as u64)
    }
}

/// A loan: since when, and whose.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Loan {
    pub(crate) since: Instant,
    pub(crate) borrower: Borrower,
}

/// How many loans of a meter's connection have begun and ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Turns(u64);

impl Turns {
    pub(crate) fn begun(self) -> u64 {
        self.0 / 2
    }

    pub(crate) fn ended(self) -> u64 {
        self.0.div_ceil(2)
    }

    pub(crate) fn is_parked(self) -> bool {
        self.0 % 2 == 1
    }
}

impl Meter {
    pub(crate) fn new(birth: Instant) -> Arc<CachePadded<Self>> {
        Arc::new(CachePadded::new(Self {
            birth,
            turns: AtomicU64::new(0),
            since: AtomicU64::new(0),
            call_site: AtomicCell::new(None),
            thread: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            total: AtomicU64::new(0),
            longest: AtomicU64::new(0),
            buckets: [const { AtomicU32::new(0) }; BUCKETS],
        }))
    }

    /// A time in the meter's ticks: nanoseconds since its birth. Computing with numbers costs less than with `Instant`s.
    #[inline]
    pub(crate) fn ticks(&self, at: Instant) -> u64 {
        nanos(at.saturating_duration_since(self.birth))
    }

    /// The state lends the connection.
    pub(crate) fn start(&self, now: u64, borrower: Borrower) {
        self.write(now, borrower);
        self.turns.store(0, Ordering::Release);
    }

    /// Begins a loan of the parked connection.
    #[inline]
    pub(crate) fn begin(&self, now: u64, borrower: Borrower) {
        let counts_first = seeded::bug("counts_a_loan_before_it_writes_it");
        if counts_first {
            self.turn();
        }
        self.write(now, borrower);
        if !counts_first {
            self.turn();
        }
    }

    /// Ends a loan that took `used`, and the connection is parked.
    #[inline]
    pub(crate) fn end(&self, used: u64, touched: bool, now: u64) {
        let bucket = &self.buckets[bucket_of(used).min(BUCKETS - 1)];
        bucket.store(bucket.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        self.total.store(self.total.load(Ordering::Relaxed).saturating_add(used), Ordering::Relaxed);
        if used > self.longest.load(Ordering::Relaxed) {
            self.longest.store(used, Ordering::Relaxed);
        }
        if touched {
            self.answered.store(now.max(1), Ordering::Relaxed);
        }
        self.turn();
    }

    /// Whether it has counted as many loans as it can.
    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        self.turns.load(Ordering::Relaxed) >= FULL
    }

    pub(crate) fn turns(&self) -> Turns {
        Turns(self.turns.load(Ordering::Acquire))
    }

    /// The loan, unless the connection is parked. A loan that lasts throughout this call is found; one that ends meanwhile may not be.
    pub(crate) fn loan(&self) -> Option<Loan> {
        let before = self.turns();
        if before.is_parked() {
            return None;
        }
        // Each is read no sooner than the turns, and the turns again no sooner than these: the values of a later loan would show in
        // them.
        let since = self.since.load(Ordering::Acquire);
        let call_site = self.call_site.load();
        let thread = self.thread.load(Ordering::Acquire);
        let borrower = Borrower { call_site: call_site?, thread: thread as usize };
        (self.turns() == before).then(|| Loan { since: self.birth + Duration::from_nanos(since), borrower })
    }

    /// When a loan that used the connection last ended.
    pub(crate) fn answered(&self) -> Option<Instant> {
        let after_birth = self.answered.load(Ordering::Relaxed);
        (after_birth > 0).then(|| self.birth + Duration::from_nanos(after_birth))
    }

    /// When a parked connection began to rest, at the earliest: when its last loan ended, if that used the connection, or else when it
    /// began.
    pub(crate) fn rests_since(&self) -> Instant {
        let since = self.since.load(Ordering::Acquire).max(self.answered.load(Ordering::Relaxed));
        self.birth + Duration::from_nanos(since)
    }

    /// Adds the times of the loans that have ended.
    pub(crate) fn add_to(&self, use_time: &mut Histogram) {
        let longest = self.longest.load(Ordering::Relaxed);
        let counts = self.used_buckets(longest).iter().map(|count| u64::from(count.load(Ordering::Relaxed)));
        use_time.add_all(counts, self.total.load(Ordering::Relaxed), longest);
    }

    /// Resets all counts. Only for the state, while it has the connection.
    pub(crate) fn clear(&self) {
        let Self { turns, answered, total, longest, .. } = self;
        let used = self.used_buckets(longest.load(Ordering::Relaxed));
        used.iter().for_each(|bucket| bucket.store(0, Ordering::Relaxed));
        [turns, answered, total, longest].into_iter().for_each(|number| number.store(0, Ordering::Relaxed));
    }

    fn used_buckets(&self, longest: u64) -> &[AtomicU32] {
        &self.buckets[..=bucket_of(longest).min(BUCKETS - 1)]
    }

    #[inline]
    fn write(&self, now: u64, Borrower { call_site, thread }: Borrower) {
        self.since.store(now, Ordering::Release);
        self.call_site.store(Some(call_site));
        self.thread.store(thread as u64, Ordering::Release);
    }

    #[inline]
    fn turn(&self) {
        self.turns.store(self.turns.load(Ordering::Relaxed) + 1, Ordering::Release);
    }
}

/// No bucket can count further.
const FULL: u64 = u32::MAX as u64;
