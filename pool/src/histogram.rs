//! Histograms of durations: the waits, loans and openings of a pool.

use std::fmt;
use std::time::Duration;

/// A histogram of durations with four buckets per doubling: a quantile is at most a quarter too large.
///
/// ```
/// # use cabrank::Pool;
/// # use cabrank::doc_toy::Toy;
/// # let pool = Pool::builder().build(Toy)?;
/// drop(pool.get()?);
/// let loans = pool.stats().use_time;
/// println!("mean {:?}, half within {:?}, 99 % within {:?}", loans.mean(), loans.quantile(0.5), loans.quantile(0.99));
/// assert!(loans.count() == 1 && loans.quantile(0.99) <= loans.max());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct Histogram {
    /// As many as the longest duration needs; few pools need the last one.
    buckets: Vec<u64>,
    count: u64,
    /// In nanoseconds, as is the longest.
    total: u64,
    longest: u64,
}

impl Histogram {
    /// Returns the number of durations.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Returns the mean; zero if there are no durations.
    pub fn mean(&self) -> Duration {
        Duration::from_nanos(self.total / self.count.max(1))
    }

    /// Returns the sum of all durations.
    pub fn sum(&self) -> Duration {
        Duration::from_nanos(self.total)
    }

    /// Returns the buckets, from the shortest to the longest recorded durations, as pairs of the bucket's inclusive upper bound and its
    /// count. The last possible bucket holds all durations from 70 minutes on, with the bound [`Duration::MAX`].
    ///
    /// Exporters can sum them to cumulative counts or wider buckets: four of these make one that spans a doubling.
    ///
    /// ```
    /// # use cabrank::Pool;
    /// # use cabrank::doc_toy::Toy;
    /// # use std::time::Duration;
    /// # let pool = Pool::builder().build(Toy)?;
    /// drop(pool.get()?);
    /// let waits = pool.stats().wait_time;
    /// let within_a_second: u64 = waits.buckets().filter(|(end, _)| *end <= Duration::from_secs(1)).map(|(_, count)| count).sum();
    /// assert_eq!((within_a_second, waits.count()), (1, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn buckets(&self) -> impl Iterator<Item = (Duration, u64)> + '_ {
        self.buckets.iter().enumerate().map(|(bucket, &count)| (end_of(bucket), count))
    }

    /// Returns the longest duration.
    pub fn max(&self) -> Duration {
        Duration::from_nanos(self.longest)
    }

    /// Returns the duration that a fraction `q` (0 to 1) of all does not exceed, rounded up to its bucket's bound. Zero if there are
    /// none.
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

    /// Counts this many durations of zero.
    pub(crate) fn count_zeros(&mut self, zeros: u64) {
        self.count += zeros;
        self.add(0, zeros);
    }

    /// The sum of all durations, in nanoseconds.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// Adds another histogram: its bucket counts from the shortest on, its sum, and its longest duration.
    pub(crate) fn add_all(&mut self, counts: impl Iterator<Item = u64>, total: u64, longest: u64) {
        for (bucket, count) in counts.enumerate().filter(|&(_, count)| count > 0) {
            self.count += count;
            self.add(bucket, count);
        }
        self.total = self.total.saturating_add(total);
        self.longest = self.longest.max(longest);
    }

    /// Records the counts so far, for [`Self::quantile_since`]; below `from` only their total.
    pub(crate) fn mark(&self, from: Duration) -> Mark {
        let from = bucket_of(nanos(from));
        let last = self.buckets.iter().rposition(|&count| count > 0).unwrap_or(0);
        Mark { count: self.count, from, longer: self.buckets.get(from..=last).unwrap_or_default().into() }
    }

    /// The quantile of durations counted since `mark`. `None` if it is below the mark's `from`, or nothing was counted.
    pub(crate) fn quantile_since(&self, mark: &Mark, q: f64) -> Option<Duration> {
        let since = self.count - mark.count;
        let wanted = (q.clamp(0.0, 1.0) * since as f64).ceil().max(1.0) as u64;
        let mut above = since.checked_sub(wanted)?;
        for (bucket, &count) in self.buckets.iter().enumerate().skip(mark.from).rev() {
            let count = count - mark.longer.get(bucket - mark.from).unwrap_or(&0);
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
        self.add(bucket_of(nanos), 1);
    }

    #[inline]
    fn add(&mut self, bucket: usize, count: u64) {
        match self.buckets.get_mut(bucket) {
            Some(known) => *known += count,
            None => self.add_longer(bucket, count),
        }
    }

    /// Grows in whole steps, because each is an allocation.
    #[cold]
    fn add_longer(&mut self, bucket: usize, count: u64) {
        let bucket = bucket.min(BUCKETS - 1);
        let room = ((bucket / STEP + 1) * STEP).min(BUCKETS);
        self.buckets.reserve_exact(room.saturating_sub(self.buckets.len()));
        self.buckets.resize(room, 0);
        self.buckets[bucket] += count;
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

/// The counts at some moment: the total, and those of the buckets from `from` on, which are few: a mark is smaller than a copy.
pub(crate) struct Mark {
    count: u64,
    from: usize,
    longer: Box<[u64]>,
}

/// In nanoseconds, at most 584 years.
#[inline]
pub(crate) fn nanos(span: Duration) -> u64 {
    span.as_secs().saturating_mul(1_000_000_000).saturating_add(u64::from(span.subsec_nanos()))
}

/// Bucket 0 holds all below 256 ns, then four per doubling; the last holds all from about 70 minutes on.
pub(crate) const BUCKETS: usize = 4 * 34 + 1;
/// Four doublings.
const STEP: usize = 16;
const SMALLEST_BIT: u32 = 8;

/// Durations beyond the last bucket belong to it.
#[inline]
pub(crate) fn bucket_of(nanos: u64) -> usize {
    if nanos >> SMALLEST_BIT == 0 {
        return 0;
    }
    let bit = nanos.ilog2();
    let quarter = (nanos >> (bit - 2)) & 3;
    1 + 4 * (bit - SMALLEST_BIT) as usize + quarter as usize
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
            let (span, bucket) = (Duration::from_nanos(nanos), bucket_of(nanos).min(BUCKETS - 1));
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
    fn its_buckets_add_up_and_each_ends_after_the_one_before() {
        let mut histogram = Histogram::default();
        let spans = [0, 255, 256, 1_000, 5_000_000, u64::MAX / 2].map(Duration::from_nanos);
        spans.into_iter().for_each(|span| histogram.record(span));
        let buckets: Vec<_> = histogram.buckets().collect();
        assert_eq!(buckets.iter().map(|(_, count)| count).sum::<u64>(), histogram.count());
        assert!(buckets.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert_eq!(buckets.last().map(|(end, count)| (*end, *count)), Some((Duration::MAX, 1)));
        for end in [Duration::from_nanos(255), Duration::from_micros(2), Duration::from_secs(1)] {
            let below: u64 = buckets.iter().filter(|(bucket, _)| *bucket <= end).map(|(_, count)| count).sum();
            assert_eq!(below as usize, spans.iter().filter(|span| **span <= end).count(), "{end:?}");
        }
        assert_eq!(histogram.sum(), spans.iter().sum());
        assert_eq!(Histogram::default().buckets().count(), 0);
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
    fn a_histogram_takes_the_room_that_its_longest_duration_needs() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.buckets.capacity(), 0);
        for (longest, buckets) in [(Duration::ZERO, 16), (Duration::from_millis(1), 64), (Duration::MAX, BUCKETS)] {
            histogram.record(longest);
            assert_eq!(histogram.buckets.capacity(), buckets, "{longest:?}");
            histogram.record(Duration::ZERO);
            assert_eq!(histogram.buckets.capacity(), buckets, "{longest:?}");
        }
        assert_eq!(histogram.count(), 6);
    }

    #[test]
    fn a_mark_keeps_nothing_of_short_spans() {
        let mut histogram = Histogram::default();
        (0..1_000).for_each(|n| histogram.record(Duration::from_micros(n)));
        assert!(histogram.mark(Duration::from_secs(1)).longer.is_empty());
    }
}
