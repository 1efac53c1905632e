//! Decides whether the process was suspended when a waiter's time ran out: stopped, throttled, or on a machine that was asleep.
//!
//! A waiter that wakes late has either overslept together with all others, and what it waited for may be there in a moment; or it is one
//! of so many that they cannot all be woken at once, and then another was woken in time.

use std::time::{Duration, Instant};

/// Returns the grace period after an alarm so late that the process must have been suspended. Nothing becomes due and no request is
/// refused, because answers that came meanwhile are processed only now. It is half of the delay, within bounds.
pub(crate) fn grace_after(late_by: Duration) -> Option<Duration> {
    (late_by > STALL).then(|| (late_by / 2).clamp(SHORTEST_GRACE, LONGEST_GRACE))
}

/// How long a call whose limit has passed may still take to return. Even a limit that rings in time may do so just after a stall in
/// which the answer came. So the answer comes first, even if the timer runs before the call's own thread.
pub(crate) fn last_look(late_by: Duration) -> Duration {
    grace_after(late_by).unwrap_or(SHORTEST_GRACE)
}

#[derive(Debug, Default)]
pub(crate) struct Stalls {
    /// When a waiter last woke in time.
    in_time: Option<Instant>,
    /// The last stall of the process that was seen: its beginning and end.
    last: Option<(Instant, Instant)>,
}

impl Stalls {
    /// A waiter whose time ended at `deadline` has woken. If the process was suspended then, returns how much longer it may wait.
    pub(super) fn grace(&mut self, deadline: Instant, now: Instant) -> Option<Duration> {
        let Some(grace) = grace_after(now.saturating_duration_since(deadline)) else {
            self.in_time = Some(now);
            return None;
        };
        if self.in_time.is_none_or(|in_time| in_time < deadline) {
            let began =
                self.last.filter(|&(_, ended)| ended >= deadline).map_or(deadline, |(began, _)| began.min(deadline));
            self.last = Some((began, now));
        }
        let overslept = self.last.is_some_and(|(began, ended)| began <= deadline && deadline <= ended);
        overslept.then_some(grace)
    }
}

/// More than this is late.
const STALL: Duration = Duration::from_millis(10);
const SHORTEST_GRACE: Duration = Duration::from_millis(20);
const LONGEST_GRACE: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn who_wakes_in_time_has_no_grace_nor_has_one_of_many_of_whom_the_first_woke_in_time() {
        let (mut stalls, deadline) = (Stalls::default(), Instant::now());
        assert_eq!(stalls.grace(deadline, deadline + ms(1)), None);
        for late in [11, 50, 3_000] {
            assert_eq!(stalls.grace(deadline, deadline + ms(late)), None);
        }
    }

    #[test]
    fn all_whose_time_ran_out_while_the_process_stood_still_have_grace() {
        let (mut stalls, thaw) = (Stalls::default(), Instant::now() + ms(60_000));
        // The first thread to wake has neither the earliest nor the latest deadline.
        for early in [ms(2_000), ms(20_000), ms(500), ms(11)] {
            assert!(stalls.grace(thaw - early, thaw + ms(1)).is_some(), "{early:?}");
        }
        assert_eq!(stalls.grace(thaw + ms(20), thaw + ms(21)), None, "its time was over after that");
        assert!(stalls.grace(thaw - ms(5_000), thaw + ms(25)).is_some(), "though others wake in time by now");
        assert_eq!(stalls.grace(thaw + ms(15), thaw + ms(30)), None, "it is late, but the process ran");
    }

    #[test]
    fn the_grace_is_half_the_lateness_within_bounds() {
        for (late, grace) in [(11, 20), (60, 30), (400, 200), (20_000, 250)] {
            let deadline = Instant::now();
            assert_eq!(Stalls::default().grace(deadline, deadline + ms(late)), Some(ms(grace)));
        }
    }
}
