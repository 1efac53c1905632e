//! The progress bar: which part of the expected time has passed.

use crate::cases::Case;
use indicatif::{ProgressBar, ProgressStyle};

pub struct Progress {
    bar: ProgressBar,
    /// How long the earlier cases, and the current one, should take, in milliseconds.
    behind: u64,
    current: u64,
    /// The current part of the case, and the number of its parts, which take about the same time.
    part: (usize, usize),
}

impl Progress {
    pub fn new(cases: &[&Case], quick: bool) -> Self {
        let bar = ProgressBar::new(cases.iter().map(|case| case.millis(quick)).sum());
        let style =
            ProgressStyle::with_template("{bar:30} {percent:>3} %  {elapsed}  {msg}").expect("a valid template");
        bar.set_style(style);
        Self { bar, behind: 0, current: 0, part: (0, 1) }
    }

    pub fn case(&mut self, case: &Case, quick: bool) {
        self.behind += self.current;
        self.current = case.millis(quick);
        self.part = (0, 1);
        self.bar.set_position(self.behind);
        self.bar.set_message(case.name);
        if self.bar.is_hidden() {
            eprintln!("{}: about {} s", case.name, self.current / 1000);
        }
    }

    pub fn part(&mut self, part: usize, parts: usize) {
        self.part = (part, parts);
    }

    pub fn round(&self, case: &str, pool: &str, round: usize, rounds: usize) {
        let (part, parts) = self.part;
        let share = (part as f64 + round as f64 / rounds as f64) / parts as f64;
        self.bar.set_position(self.behind + (self.current as f64 * share) as u64);
        self.bar.set_message(format!("{case}: {pool}, round {} of {rounds}", round + 1));
    }

    /// Prints a line above the bar.
    pub fn say(&self, line: &str) {
        // Without a terminal the bar is hidden and would discard the line.
        self.bar.suspend(|| eprintln!("{line}"));
    }

    pub fn end(&self) {
        self.bar.finish_and_clear();
    }
}
