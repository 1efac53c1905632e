//! How long this server's answers and this pool's loans have lately taken, and therefore how long a waiter relies on a call.
//!
//! No constant alone decides: a distant server gets the time that its answers take, and a near one no more than that.

use crate::config::Config;
use crate::histogram::Histogram;
use crate::state::promises::PromiseKind;
use std::time::{Duration, Instant};

/// The measured times, and the limits that the user has set.
pub(super) struct Patience {
    checks: Longest,
    resets: Longest,
    opens: Longest,
    open_mean: Mean,
    use_mean: Mean,
    /// The loans in this mean: how many, and their total time in nanoseconds.
    uses: (u64, u64),
    connect_timeout: Duration,
    check_timeout: Duration,
    reset_timeout: Duration,
    close_timeout: Duration,
}

/// How long a call may take until others are asked as well, and until no waiter relies on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spans {
    pub(super) late: Duration,
    pub(super) lost: Duration,
}

impl Patience {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            checks: Longest::default(),
            resets: Longest::default(),
            opens: Longest::default(),
            open_mean: Mean::default(),
            use_mean: Mean::default(),
            uses: (0, 0),
            connect_timeout: config.connect_timeout,
            check_timeout: config.check_timeout,
            reset_timeout: config.reset_timeout,
            close_timeout: config.close_timeout,
        }
    }

    /// A call of this kind was answered after `took`. (A call that is aborted for a waiter counts as an answer, too.)
    pub(super) fn answered(&mut self, kind: PromiseKind, took: Duration, now: Instant) {
        match kind {
            PromiseKind::Open => {
                self.opens.add(took, now);
                self.open_mean.add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), 1);
            }
            PromiseKind::Check => self.checks.add(took, now),
            PromiseKind::Reset => self.resets.add(took, now),
            PromiseKind::Close { .. } => {}
        }
    }

    /// Takes over all loans that have ended. Called when a request waits, to spare each return the work.
    pub(super) fn used(&mut self, loans: &Histogram) {
        let (count, total) = (loans.count(), loans.total());
        let (before, total_before) = std::mem::replace(&mut self.uses, (count, total));
        self.use_mean.add(total.saturating_sub(total_before), count - before);
    }

    /// How long a waiter relies on a call that begins now.
    pub(super) fn spans(&self, kind: PromiseKind) -> Spans {
        match kind {
            PromiseKind::Open => {
                let doubled = self.opens.longest().map_or(SHORTEST_OPENING, |longest| longest.saturating_mul(2));
                let span = doubled.max(SHORTEST_OPENING).min(self.connect_timeout);
                Spans { late: span, lost: span }
            }
            PromiseKind::Check => self.of_question(&self.checks, self.check_timeout),
            PromiseKind::Reset => self.of_question(&self.resets, self.reset_timeout),
            PromiseKind::Close { .. } => {
                let late = self.of_question(&self.checks, self.check_timeout).late.min(self.close_timeout);
                Spans { late, lost: late }
            }
        }
    }

    /// Until the first answer, the longest opening stands in, because an opening takes several round trips.
    fn of_question(&self, answers: &Longest, timeout: Duration) -> Spans {
        let doubled = answers.longest().map(|longest| longest.saturating_mul(2));
        let span = doubled.or(self.opens.longest()).unwrap_or(Duration::MAX);
        Spans { late: span.max(SHORTEST_LATE).min(timeout), lost: span.max(SHORTEST_LOST).min(timeout) }
    }

    pub(super) fn longest_opening(&self) -> Option<Duration> {
        self.opens.longest()
    }

    /// The mean time of an opening; zero if there was none.
    pub(super) fn mean_opening(&self) -> Duration {
        self.open_mean.get()
    }

    /// The mean time of the loans that ended; zero if none has.
    pub(super) fn mean_use(&self) -> Duration {
        self.use_mean.get()
    }
}

/// The longest of the last two to three minutes. During a silence the last known one stays valid.
#[derive(Default)]
struct Longest {
    /// Those of the two minutes before this one, the older first.
    before: [Duration; 2],
    present: Duration,
    present_ends: Option<Instant>,
}

impl Longest {
    fn add(&mut self, span: Duration, now: Instant) {
        if self.present_ends.is_none_or(|ends| ends <= now) {
            let before = [self.before[1], self.present];
            (self.before, self.present, self.present_ends) = (before, Duration::ZERO, Some(now + BUCKET));
        }
        self.present = self.present.max(span);
    }

    fn longest(&self) -> Option<Duration> {
        self.present_ends.map(|_| self.before[0].max(self.before[1]).max(self.present))
    }
}

/// A running mean of about the last eight, in nanoseconds; zero before the first.
#[derive(Default)]
struct Mean(u64);

impl Mean {
    /// Adds `count` calls or loans, which took `total` nanoseconds together.
    fn add(&mut self, total: u64, count: u64) {
        let Some(mean) = total.checked_div(count).map(|mean| mean.max(1)) else { return };
        let known = if self.0 == 0 { MEMORY } else { count.min(MEMORY) };
        let added = mean / MEMORY * known + mean % MEMORY * known / MEMORY;
        self.0 = (self.0 - self.0 / MEMORY * known).saturating_add(added);
    }

    fn get(&self) -> Duration {
        Duration::from_nanos(self.0)
    }
}

const MEMORY: u64 = 8;
const BUCKET: Duration = Duration::from_secs(60);
/// A late call only causes others to be asked as well, so this may be short.
const SHORTEST_LATE: Duration = Duration::from_millis(25);
/// A lost call may cost its session. This is half of the half second that dead connections may cost a get.
pub(super) const SHORTEST_LOST: Duration = Duration::from_millis(250);
/// Within a second a system has not even resent its first packet.
const SHORTEST_OPENING: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const CHECK: PromiseKind = PromiseKind::Check;

    fn patience() -> (Patience, Instant) {
        (Patience::new(&Config::default()), Instant::now())
    }

    #[test]
    fn before_any_answer_a_check_has_all_its_time_and_after_an_opening_as_long_as_that() {
        let (mut patience, now) = patience();
        assert_eq!(patience.spans(CHECK), Spans { late: 1_000 * MS, lost: 1_000 * MS });
        patience.answered(PromiseKind::Open, 600 * MS, now);
        assert_eq!(patience.spans(CHECK), Spans { late: 600 * MS, lost: 600 * MS });
        patience.answered(CHECK, MS, now);
        assert_eq!(patience.spans(CHECK), Spans { late: 25 * MS, lost: 250 * MS });
    }

    #[test]
    fn a_call_has_twice_the_longest_of_its_kind_but_never_more_than_its_limit() {
        let (mut patience, now) = patience();
        patience.answered(CHECK, 120 * MS, now);
        patience.answered(CHECK, MS, now);
        assert_eq!(patience.spans(CHECK), Spans { late: 240 * MS, lost: 250 * MS });
        assert_eq!(patience.spans(PromiseKind::Close { dead: false }).late, 240 * MS);
        patience.answered(CHECK, 900 * MS, now);
        assert_eq!(patience.spans(CHECK), Spans { late: 1_000 * MS, lost: 1_000 * MS });
        patience.answered(PromiseKind::Open, 30_000 * MS, now);
        assert_eq!(patience.spans(PromiseKind::Open).late, 10_000 * MS);
    }

    #[test]
    fn a_long_answer_is_remembered_for_two_minutes_at_least_and_through_any_silence() {
        let (mut patience, start) = patience();
        patience.answered(CHECK, 400 * MS, start);
        for (second, late) in [(59, 800), (61, 800), (119, 800), (122, 800), (179, 800), (183, 25)] {
            patience.answered(CHECK, MS, start + Duration::from_secs(second));
            assert_eq!(patience.spans(CHECK).late, late * MS, "after {second} s");
        }
        let (mut patience, start) = self::patience();
        patience.answered(CHECK, MS, start);
        patience.answered(CHECK, 400 * MS, start + Duration::from_secs(59));
        for (second, late) in [(61, 800), (121, 800), (179, 800), (182, 25)] {
            patience.answered(CHECK, MS, start + Duration::from_secs(second));
            assert_eq!(patience.spans(CHECK).late, late * MS, "{second} s, given at the end of a minute");
        }
        let later = start + Duration::from_secs(10_000);
        patience.answered(CHECK, 300 * MS, later);
        patience.answered(CHECK, MS, later + Duration::from_secs(3_600));
        assert_eq!(patience.spans(CHECK).late, 600 * MS);
    }

    #[test]
    fn a_mean_follows_what_it_is_told() {
        let mut mean = Mean::default();
        assert_eq!(mean.get(), Duration::ZERO);
        mean.add(8_000_000, 1);
        assert_eq!(mean.get(), 8 * MS);
        (0..60).for_each(|_| mean.add(80_000_000, 1));
        assert!(mean.get() > 79 * MS && mean.get() <= 80 * MS, "{:?}", mean.get());
        (0..20).for_each(|_| mean.add(u64::MAX, 1));
        (0..500).for_each(|_| mean.add(0, 1));
        assert!(mean.get() < MS, "{:?}", mean.get());
        mean.add(0, 0);
        mean.add(50_000_000, 5);
        assert!(mean.get() > 5 * MS && mean.get() < 10 * MS, "{:?}", mean.get());
        mean.add(1_000_000_000, 100);
        assert!(mean.get() > 9 * MS && mean.get() <= 11 * MS, "{:?}", mean.get());
        let mut mean = Mean::default();
        mean.add(7, 1);
        assert_eq!(mean.get(), Duration::from_nanos(7), "what is left of a division by eight counts, too");
    }

    #[test]
    fn the_mean_of_loans_follows_those_that_ended_since_the_last_look() {
        let (mut patience, _) = patience();
        let mut loans = Histogram::default();
        loans.record(10 * MS);
        patience.used(&loans);
        patience.used(&loans);
        assert_eq!(patience.mean_use(), 10 * MS);
        (0..8).for_each(|_| loans.record(20 * MS));
        patience.used(&loans);
        assert_eq!(patience.mean_use(), 20 * MS);
    }
}
