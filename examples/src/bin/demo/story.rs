//! The output of the demo: section titles, sentences, numbers, and for each expectation the result and whether it holds.

use crate::engine::Engine;
use cabrank::{Pool, Stats};
use std::fmt::{Debug, Display};
use std::io::Write;
use std::time::{Duration, Instant};

/// Prints the story and records the expectations that do not hold.
pub(crate) struct Story {
    began: Instant,
    sections: u32,
    expectations: u32,
    mismatches: Vec<String>,
    /// The number of loans that had begun when each section ended.
    loans: Vec<u64>,
    /// What was printed last. A blank line separates it from anything of another kind.
    above: Kind,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Title,
    Sentences,
    Table,
    Quote,
}

impl Story {
    pub(crate) fn new() -> Self {
        let began = Instant::now();
        Self { began, sections: 0, expectations: 0, mismatches: Vec::new(), loans: Vec::new(), above: Kind::Title }
    }

    /// Begins a section.
    pub(crate) fn section(&mut self, title: &str) {
        if self.sections == 0 {
            print("cabrank: the life of a connection pool");
            print("");
            print("`ok` marks a checked expectation: this value was expected, or one within the bound in parentheses.");
        }
        self.sections += 1;
        print(&format!("\n{}. {title}", self.sections));
        self.above = Kind::Title;
    }

    /// Counts the loans of the section that has ended.
    pub(crate) fn section_has_ended<M: Engine>(&mut self, pool: &Pool<M>) {
        self.loans.push(borrowed(&pool.stats()));
    }

    /// The loans of each section so far, such as `3 + 45 = 48`.
    pub(crate) fn loans_by_section(&self, stats: &Stats) -> String {
        let totals = self.loans.iter().copied().chain([borrowed(stats)]);
        let mut before = 0;
        let loans: Vec<_> = totals.map(|total| (total - std::mem::replace(&mut before, total)).to_string()).collect();
        format!("{} = {before}", loans.join(" + "))
    }

    /// Prints a few sentences, broken into lines.
    pub(crate) fn say(&mut self, sentences: &str) {
        self.follow_with(Kind::Sentences);
        for line in wrapped(sentences, WIDTH - 3) {
            print(&format!("   {line}"));
        }
    }

    /// Prints what a program would print, word for word.
    pub(crate) fn quote(&mut self, text: &str) {
        self.follow_with(Kind::Quote);
        for line in wrapped(text, WIDTH - 7) {
            print(&format!("     | {line}"));
        }
    }

    /// Prints a number or a word without an expectation.
    pub(crate) fn fact(&mut self, what: &str, is: impl Display) {
        self.follow_with(Kind::Table);
        print(&format!("     {what:<44} {is}"));
    }

    /// Expects exactly this.
    pub(crate) fn expect<T: PartialEq + Display>(&mut self, what: &str, expected: T, came: T) {
        self.judge(what, &expected.to_string(), &came.to_string(), expected == came);
    }

    pub(crate) fn expect_at_most<T: PartialOrd + Display>(&mut self, what: &str, limit: T, came: T) {
        self.judge(what, &format!("at most {limit}"), &came.to_string(), came <= limit);
    }

    pub(crate) fn expect_at_least<T: PartialOrd + Display>(&mut self, what: &str, limit: T, came: T) {
        self.judge(what, &format!("at least {limit}"), &came.to_string(), came >= limit);
    }

    /// Expects an error of one kind. `is_kind` looks at the error that came.
    pub(crate) fn expect_error<T, E: Display + Debug>(
        &mut self,
        what: &str,
        kind: &str,
        came: &Result<T, E>,
        is_kind: impl FnOnce(&E) -> bool,
    ) {
        match came {
            Ok(_) => self.judge(what, kind, "no error", false),
            Err(error) if is_kind(error) => self.judge(what, kind, kind, true),
            Err(error) => self.judge(what, kind, &format!("another error: {error:?}"), false),
        }
    }

    /// Prints how many expectations did not hold, and which. Returns whether all of them held.
    pub(crate) fn end(self) -> bool {
        let (count, took) = (self.expectations, time(self.began.elapsed()));
        if self.mismatches.is_empty() {
            print(&format!("\nAll {count} expectations held, 0 mismatches, in {took}."));
        } else {
            print(&format!("\n{} mismatches among {count} expectations, in {took}:", self.mismatches.len()));
            for mismatch in &self.mismatches {
                print(&format!("   {mismatch}"));
            }
        }
        self.mismatches.is_empty()
    }

    fn judge(&mut self, what: &str, expected: &str, came: &str, holds: bool) {
        self.follow_with(Kind::Table);
        self.expectations += 1;
        let verdict = if holds { "ok" } else { "MISMATCH" };
        let shown = match holds {
            true if expected == came => came.to_owned(),
            true => format!("{came} ({expected})"),
            false => format!("{came} (expected {expected})"),
        };
        print(&format!("     {what:<44} {shown:<28} {verdict}"));
        if !holds {
            self.mismatches.push(format!("section {}: {what}: expected {expected}, got {came}", self.sections));
        }
    }

    fn follow_with(&mut self, kind: Kind) {
        let above = std::mem::replace(&mut self.above, kind);
        if above != kind && above != Kind::Title {
            print("");
        }
    }
}

/// The number of loans that have begun.
pub(crate) fn borrowed(stats: &Stats) -> u64 {
    stats.checked_out_at_once + stats.checked_out_after_waiting - stats.rejected_at_checkout
}

/// Formats a measured duration in one unit, with few digits.
pub(crate) fn time(span: Duration) -> String {
    match span {
        span if span < Duration::from_micros(1) => format!("{} ns", span.as_nanos()),
        span if span < Duration::from_millis(1) => format!("{:.1} us", span.as_secs_f64() * 1e6),
        span if span < Duration::from_secs(1) => format!("{:.1} ms", span.as_secs_f64() * 1e3),
        span if span < Duration::from_secs(120) => format!("{:.2} s", span.as_secs_f64()),
        span => format!("{} min", span.as_secs() / 60),
    }
}

/// Prints text. A closed output does not stop the demo, because its exit status still counts.
pub(crate) fn print(text: &str) {
    let text = text.trim_end();
    if cfg!(test) {
        println!("{text}"); // The harness captures `println` only.
    } else {
        let _ = writeln!(std::io::stdout(), "{text}");
    }
}

fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is one from the beginning");
        if line.is_empty() {
            *line = word.to_owned();
        } else if line.chars().count() + 1 + word.chars().count() <= width {
            *line = format!("{line} {word}");
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

const WIDTH: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_come_as_expected_is_remembered() {
        let mut story = Story::new();
        story.section("Numbers");
        story.expect("one", 1, 1);
        story.expect_at_most("two", 2, 1);
        story.expect_at_least("three", 3, 4);
        assert_eq!(story.mismatches, [""; 0]);

        story.expect("four", 4, 5);
        story.expect_at_most("five", 5, 6);
        story.expect_at_least("six", 6, 5);
        story.expect_error("seven", "a refusal", &Ok::<_, String>(7), |_| true);
        story.expect_error("eight", "a refusal", &Err::<(), _>("a crash"), |error| *error == "a refusal");
        assert_eq!(story.mismatches.len(), 5);
        assert_eq!(story.mismatches[0], "section 1: four: expected 4, got 5");
        assert!(!story.end());
    }
}
