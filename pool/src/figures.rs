//! Durations and counts as texts show them.

use std::fmt;
use std::time::Duration;

/// A duration to one decimal place. One that is too short to matter is shown as such.
pub(crate) struct Span(pub(crate) Duration);

impl Span {
    /// Whether it is too short to matter.
    pub(crate) fn is_nothing(&self) -> bool {
        self.0 < Duration::from_micros(1)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_nothing() { f.write_str("less than 1µs") } else { write!(f, "{:.1?}", self.0) }
    }
}

/// A limit without fractions of a millisecond, which no user has set.
pub(crate) fn whole(limit: Duration) -> Duration {
    match u64::try_from(limit.as_millis()) {
        Ok(millis) if millis > 0 => Duration::from_millis(millis),
        _ => limit,
    }
}

/// A number of things of a kind whose plural takes an "s".
pub(crate) struct Count(pub(crate) usize, pub(crate) &'static str);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(count, thing) = self;
        write!(f, "{count} {thing}{}", if *count == 1 { "" } else { "s" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_one_decimal_place_and_no_fractions_of_what_is_nothing() {
        for (nanos, text) in [
            (0, "less than 1µs"),
            (999, "less than 1µs"),
            (1_000, "1.0µs"),
            (30_000_000, "30.0ms"),
            (1_234_567_891, "1.2s"),
        ] {
            assert_eq!(Span(Duration::from_nanos(nanos)).to_string(), text);
        }
    }

    #[test]
    fn a_limit_is_told_in_whole_milliseconds_unless_it_is_shorter() {
        for (limit, text) in [(1_234_567_891, "1.234s"), (10_000_000, "10ms"), (1_500, "1.5µs")] {
            assert_eq!(format!("{:?}", whole(Duration::from_nanos(limit))), text);
        }
    }

    #[test]
    fn one_thing_is_told_in_the_singular() {
        assert_eq!([0, 1, 2].map(|count| Count(count, "thread").to_string()), ["0 threads", "1 thread", "2 threads"]);
    }
}
