//! The time of each step, as a table with the budgets.
//!
//! A step over its budget is reported in capitals but does not fail: on a busy machine everything takes longer.

use std::fmt::Write;
use std::time::{Duration, Instant};

/// The budgets on a fresh machine of two cores: for single steps, for `ci`, and for `ci --full`.
const STEP_BUDGETS: &[(&str, Duration)] = &[("test", minutes(20))];
const BUDGET: Duration = minutes(60);
const FULL_BUDGET: Duration = minutes(75);

/// The steps that ran, in order.
#[derive(Debug, Default)]
pub(super) struct Times(Vec<(&'static str, Duration)>);

impl Times {
    /// Prints a heading, runs the step and records its time.
    pub(super) fn measure<T>(&mut self, step: &'static str, run: impl FnOnce() -> T) -> T {
        println!("\n== {step}");
        let begun = Instant::now();
        let done = run();
        self.0.push((step, begun.elapsed()));
        done
    }

    /// A line for each step, one for the total, and one for each that was over its budget.
    pub(super) fn table(&self, full: bool) -> String {
        let all = ("total", self.0.iter().map(|(_, time)| *time).sum(), Some(if full { FULL_BUDGET } else { BUDGET }));
        let steps = self.0.iter().map(|(step, time)| {
            let budget = STEP_BUDGETS.iter().find(|(name, _)| name == step).map(|(_, budget)| *budget);
            (*step, *time, budget)
        });
        let (mut table, mut over) = (format!("{:>12} {:>9} {:>9}\n", "step", "seconds", "at most"), String::new());
        for (step, time, budget) in steps.chain([all]) {
            let at_most = budget.map(|budget| budget.as_secs().to_string()).unwrap_or_default();
            let _ = writeln!(table, "{}", format!("{step:>12} {:>9.1} {at_most:>9}", time.as_secs_f64()).trim_end());
            if let Some(budget) = budget.filter(|budget| time > *budget) {
                let beyond = (time - budget).as_secs_f64();
                let _ = writeln!(over, "OVER BUDGET: {step} took {beyond:.0} s longer than its {} s", budget.as_secs());
            }
        }
        table + &over
    }

    #[cfg(test)]
    pub(super) fn names(&self) -> Vec<&str> {
        self.0.iter().map(|(step, _)| *step).collect()
    }
}

const fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(60 * minutes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_each_step_the_total_and_the_budgets() {
        let times = Times(vec![("fmt", Duration::from_millis(1_234)), ("test", minutes(20))]);
        let table = times.table(false);
        let lines: Vec<_> = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).collect();
        assert_eq!(lines[1], ["fmt", "1.2"]);
        assert_eq!(lines[2], ["test", "1200.0", "1200"]);
        assert_eq!(lines[3], ["total", "1201.2", "3600"]);
        assert_eq!(lines.len(), 4);
        assert!(times.table(true).contains("4500"));
    }

    #[test]
    fn what_took_too_long_is_said() {
        let times = Times(vec![("test", minutes(21)), ("models", minutes(40))]);
        let table = times.table(false);
        assert!(table.contains("OVER BUDGET: test took 60 s longer than its 1200 s\n"), "{table}");
        assert!(table.contains("OVER BUDGET: total took 60 s longer than its 3600 s\n"), "{table}");
        assert!(!times.table(true).contains("OVER BUDGET: total"));
    }

    #[test]
    fn a_step_is_measured_whatever_comes_of_it() {
        let mut times = Times::default();
        assert_eq!(times.measure("one", || Err::<(), _>("broken")), Err("broken"));
        assert_eq!(times.names(), ["one"]);
    }
}
