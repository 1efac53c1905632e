//! The text format: a family of series with its help and type, and lines with labels and a value.

use cabrank::Histogram;
use std::fmt::{Display, Write};
use std::time::Duration;

#[derive(Default)]
pub(crate) struct Text(String);

/// Names and values.
pub(crate) type Labels<'l> = &'l [(&'l str, &'l str)];

impl Text {
    pub(crate) fn family(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!("# HELP {name} {help}"));
        self.line(format_args!("# TYPE {name} {kind}"));
    }

    pub(crate) fn sample(&mut self, name: &str, labels: Labels<'_>, value: impl Display) {
        let labels: Vec<_> = labels.iter().map(|(label, value)| format!("{label}=\"{}\"", escaped(value))).collect();
        self.line(format_args!("{name}{{{}}} {value}", labels.join(",")));
    }

    /// Cumulative counts, the sum and the count. `labels` has room at its end for `le`.
    pub(crate) fn histogram(&mut self, name: &str, pool: (&str, &str), histogram: &Histogram) {
        let (bucket, mut below) = (format!("{name}_bucket"), 0);
        let mut buckets = histogram.buckets().peekable();
        for end in ends() {
            while let Some((_, count)) = buckets.next_if(|(bucket, _)| *bucket <= end) {
                below += count;
            }
            self.sample(&bucket, &[pool, ("le", &end.as_secs_f64().to_string())], below);
        }
        self.sample(&bucket, &[pool, ("le", "+Inf")], histogram.count());
        self.sample(&format!("{name}_sum"), &[pool], histogram.sum().as_secs_f64());
        self.sample(&format!("{name}_count"), &[pool], histogram.count());
    }

    pub(crate) fn finish(self) -> String {
        self.0
    }

    fn line(&mut self, line: impl Display) {
        writeln!(self.0, "{line}").expect("a string takes all");
    }
}

/// Each is twice the one before, and the bound of one of the pool's own buckets, which makes the counts exact.
fn ends() -> impl Iterator<Item = Duration> {
    (10..=35).map(|bit| Duration::from_nanos((1 << bit) - 1))
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
