//! The numbers of a pool at one moment, and the histograms among them.

use crate::reason::CloseReason;
use std::fmt;
use std::time::Duration;

/// The numbers of a pool at one moment, read under the pool's lock, so that they always add up.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Connections that are open: idle, lent, being checked or being reset.
    pub open: u32,
    /// Open and waiting for a borrower.
    pub idle: u32,
    /// Lent.
    pub in_use: u32,
    /// Being opened.
    pub opening: u32,
    /// Being checked before a loan.
    pub checking: u32,
    /// Being reset after a loan.
    pub resetting: u32,
    /// Being closed.
    pub closing: u32,
    /// Threads that wait in [`get`](crate::Pool::get).
    pub waiting: u32,
    /// Aborted by the pool, while the call that was running on them has not returned yet. Not part of `max_size`.
    pub aborted: u32,
    /// Threads written off in a look-up that nobody can abort. Not part of `max_size`.
    pub abandoned: u32,
    /// Calls past their limit that registered no way to abort them. They keep their slots until they return.
    pub stuck: u32,
    /// The most connections this pool may hold.
    pub max_size: u32,
    /// How many idle connections are kept ready.
    pub min_idle: u32,

    /// Connections opened so far.
    pub opened: u64,
    /// Attempts to connect that failed.
    pub open_failures: u64,
    /// Loans that did not wait. Each request for a connection ends in exactly one of these counters, from here to
    /// `called_from_hook`; what is in `rejected_at_checkout` is counted twice, and must be taken off.
    pub checked_out_at_once: u64,
    /// Loans that waited.
    pub checked_out_after_waiting: u64,
    /// Loans among these that came to nothing: the borrower's look found the connection broken, `on_checkout` refused it, or the
    /// process had been frozen and it must be checked first.
    pub rejected_at_checkout: u64,
    /// Requests that ran out of time, those whose time-out is zero included.
    pub timed_out: u64,
    /// Requests refused because of `max_waiters`.
    pub overloaded: u64,
    /// Requests refused because nothing can be opened until somebody mends something
    /// ([`GetError::Connect`](crate::GetError::Connect)).
    pub refused: u64,
    /// Requests refused because the pool is closed.
    pub refused_closed: u64,
    /// Calls of [`try_get`](crate::Pool::try_get) when nothing was ready.
    pub not_available: u64,
    /// Requests refused because a hook or a manager's method may not wait for its own pool.
    pub called_from_hook: u64,
    /// Loans that ended.
    pub returned: u64,
    /// Returns that needed no reset.
    pub resets_skipped: u64,
    /// Resets that ended without an error.
    pub resets_done: u64,
    /// Resets that failed.
    pub resets_failed: u64,
    /// Loans reported as leaks.
    pub leaks: u64,
    /// Connections closed so far, by reason.
    pub closed: CloseCounts,

    /// How long borrowers waited: those who were served, at once or later, and those who timed out; not those who were refused.
    /// One who was served while waiting is counted here when its thread wakes.
    pub wait_time: Histogram,
    /// How long connections were lent.
    pub use_time: Histogram,
    /// How long opening took.
    pub open_time: Histogram,
}

impl Stats {
    /// The share of `max_size` that is lent, from 0 to 1 (more while a shrunk pool still has loans out).
    pub fn utilization(&self) -> f64 {
        f64::from(self.in_use) / f64::from(self.max_size.max(1))
    }
}

/// How many connections were closed, by reason.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct CloseCounts([u64; CloseReason::ALL.len()]);

impl CloseCounts {
    /// Closed for this reason.
    pub fn by(&self, reason: CloseReason) -> u64 {
        self.0[reason as usize]
    }

    /// Closed for any reason.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    pub(crate) fn count(&mut self, reason: CloseReason) {
        self.0[reason as usize] += 1;
    }
}

/// Only the reasons that there were.
impl fmt::Debug for CloseCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = CloseReason::ALL.iter().map(|&reason| (reason.as_str(), self.by(reason)));
        f.debug_map().entries(counts.filter(|&(_, count)| count > 0)).finish()
    }
}

/// Durations counted in buckets, four to each doubling, so that a quantile is at most a quarter too large.
#[derive(Clone)]
pub struct Histogram {
    buckets: [u64; BUCKETS],
    count: u64,
    /// In nanoseconds, as is the longest.
    total: u64,
    longest: u64,
}

impl Histogram {
    /// How many durations were counted.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their mean; zero if there are none.
    pub fn mean(&self) -> Duration {
        Duration::from_nanos(self.total / self.count.max(1))
    }

    /// The longest.
    pub fn max(&self) -> Duration {
        Duration::from_nanos(self.longest)
    }

    /// The duration that a share `q` (0 to 1) of them does not exceed, rounded up to the end of its bucket. Zero if
    /// there are none.
    pub fn quantile(&self, q: f64) -> Duration {
        let wanted = (q.clamp(0.0, 1.0) * self.count as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (bucket, &count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= wanted && count > 0 {
                return end_of(bucket).min(self.max());
            }
        }
        Duration::ZERO
    }

    /// Counts so many that took no time.
    pub(crate) fn count_zeros(&mut self, zeros: u64) {
        self.count += zeros;
        self.buckets[0] += zeros;
    }

    /// All of them together, in nanoseconds.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// Writes down what is counted so far, for [`Self::quantile_since`]; of spans below `from` only how many.
    pub(crate) fn mark(&self, from: Duration) -> Mark {
        let from = bucket_of(nanos(from));
        let last = self.buckets.iter().rposition(|&count| count > 0).unwrap_or(0);
        Mark { count: self.count, from, longer: self.buckets.get(from..=last).unwrap_or_default().into() }
    }

    /// The quantile of what was counted since `mark`. `None` if it is below the span that the mark is from, or nothing was counted.
    pub(crate) fn quantile_since(&self, mark: &Mark, q: f64) -> Option<Duration> {
        let since = self.count - mark.count;
        let wanted = (q.clamp(0.0, 1.0) * since as f64).ceil().max(1.0) as u64;
        let mut above = since.checked_sub(wanted)?;
        for bucket in (mark.from..BUCKETS).rev() {
            let count = self.buckets[bucket] - mark.longer.get(bucket - mark.from).unwrap_or(&0);
            if count > above {
                return Some(end_of(bucket).min(self.max()));
            }
            above -= count;
        }
        None
    }

    #[inline]
    pub(crate) fn record(&mut self, span: Duration) {
        let nanos = nanos(span);
        self.count += 1;
        self.total = self.total.saturating_add(nanos);
        self.longest = self.longest.max(nanos);
        self.buckets[bucket_of(nanos)] += 1;
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: [0; BUCKETS], count: 0, total: 0, longest: 0 }
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Histogram")
            .field("count", &self.count)
            .field("mean", &self.mean())
            .field("p50", &self.quantile(0.5))
            .field("p99", &self.quantile(0.99))
            .field("max", &self.max())
            .finish()
    }
}

/// What a histogram had counted at some moment: how many, and in which bucket each was that is not below the one called `from`. Few
/// are, as a rule, so this takes less than a copy.
pub(crate) struct Mark {
    count: u64,
    from: usize,
    longer: Box<[u64]>,
}

#[inline]
fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

/// Bucket 0 holds all below 256 ns; then come four to a doubling; the last holds all from about 70 minutes on.
const BUCKETS: usize = 4 * 34 + 1;
const SMALLEST_BIT: u32 = 8;

#[inline]
fn bucket_of(nanos: u64) -> usize {
    if nanos >> SMALLEST_BIT == 0 {
        return 0;
    }
    let bit = nanos.ilog2();
    let quarter = (nanos >> (bit - 2)) & 3;
    (1 + 4 * (bit - SMALLEST_BIT) as usize + quarter as usize).min(BUCKETS - 1)
}

fn end_of(bucket: usize) -> Duration {
    let Some(place) = bucket.checked_sub(1) else { return Duration::from_nanos((1 << SMALLEST_BIT) - 1) };
    let (bit, quarter) = (SMALLEST_BIT + (place / 4) as u32, (place % 4) as u64);
    if bucket == BUCKETS - 1 {
        return Duration::MAX;
    }
    Duration::from_nanos(((5 + quarter) << (bit - 2)) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_duration_lies_in_the_bucket_that_ends_at_or_after_it() {
        for nanos in (0..5_000).chain((10..60).map(|bit| (1u64 << bit) + 1)) {
            let (span, bucket) = (Duration::from_nanos(nanos), bucket_of(nanos));
            assert!(span <= end_of(bucket), "{nanos}");
            assert!(bucket == 0 || span > end_of(bucket - 1), "{nanos}");
        }
    }

    #[test]
    fn quantiles_are_at_most_a_quarter_too_large() {
        let mut histogram = Histogram::default();
        for micros in 1..=1_000 {
            histogram.record(Duration::from_micros(micros));
        }
        for (q, exact) in [(0.5, 500.0), (0.99, 990.0), (1.0, 1_000.0)] {
            let ratio = histogram.quantile(q).as_secs_f64() * 1e6 / exact;
            assert!((1.0..1.25).contains(&ratio), "{q}: {ratio}");
        }
        assert_eq!(histogram.mean(), Duration::from_nanos(500_500));
    }

    #[test]
    fn an_empty_histogram_answers_zero() {
        assert_eq!(Histogram::default().quantile(0.99), Duration::ZERO);
        assert_eq!(Histogram::default().mean(), Duration::ZERO);
    }

    #[test]
    fn the_longest_duration_is_counted_and_bounded() {
        let mut histogram = Histogram::default();
        histogram.record(Duration::MAX);
        histogram.record(Duration::MAX);
        assert_eq!(histogram.quantile(1.0), Duration::from_nanos(u64::MAX));
    }

    #[test]
    fn a_quantile_since_a_mark_is_that_of_a_histogram_of_its_own() {
        let (mut all, mut since) = (Histogram::default(), Histogram::default());
        let (ms, from) = (Duration::from_millis, Duration::from_secs(1));
        (0..100).for_each(|n| all.record(ms(n * 50)));
        let mark = all.mark(from);
        assert_eq!(all.quantile_since(&mark, 0.99), None);
        for n in 0..200 {
            let span = ms(200 + (n * 37) % 200 * 20);
            all.record(span);
            since.record(span);
        }
        for q in [0.0, 0.1, 0.3, 0.5, 0.9, 0.99, 1.0] {
            let own = since.quantile(q);
            let expected = (own >= from).then_some(own.as_millis());
            assert_eq!(all.quantile_since(&mark, q).map(|span| span.min(since.max()).as_millis()), expected, "{q}");
        }
    }

    #[test]
    fn a_mark_keeps_nothing_of_short_spans() {
        let mut histogram = Histogram::default();
        (0..1_000).for_each(|n| histogram.record(Duration::from_micros(n)));
        assert!(histogram.mark(Duration::from_secs(1)).longer.is_empty());
    }
}
