//! The bounds on a scenario's figures, and the code that plays tables of scenarios against them.

use super::figures::{Figures, HEAD, millis};
use super::scenario::Scenario;
use super::world::World;
use std::time::Duration;

/// Upper bounds for every run, and the least number of gets served; `None`: no bound.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Bounds {
    pub(super) served: Option<usize>,
    pub(super) failed: Option<usize>,
    pub(super) beside_idle: Option<usize>,
    pub(super) erred: Option<usize>,
    pub(super) left: Option<usize>,
    pub(super) told: Option<usize>,
    pub(super) told_after: Option<Duration>,
    pub(super) wait: Option<Duration>,
    pub(super) attempts: Option<usize>,
    pub(super) judged_attempts: Option<usize>,
    pub(super) at_once: Option<usize>,
    pub(super) closed: Option<usize>,
}

/// Plays a table of scenarios, and fails if a bound is broken.
pub(super) fn play(title: &str, scenarios: impl IntoIterator<Item = Scenario>) {
    println!("\n# {title}\n| {:<WIDTH$} | {HEAD} |", "");
    let (mut broken, only) = (Vec::new(), std::env::var("CABRANK_SIMULATION_ONLY").ok());
    for scenario in scenarios {
        if only.as_ref().is_none_or(|only| scenario.name.contains(only)) {
            broken.extend(scenario.play());
        }
    }
    assert!(broken.is_empty(), "bounds are broken:\n{}", broken.join("\n"));
}

impl Scenario {
    /// Plays it with each seed. Prints its row, and returns the bounds that it broke.
    fn play(&self) -> Vec<String> {
        let mut total: Option<Figures> = None;
        let (mut broken, only) = (Vec::new(), only_seed());
        for seed in (0..self.seeds).filter(|seed| only.is_none_or(|only| only == *seed)) {
            let run = Run(&self.name, seed);
            let mut world = World::new(self, seed);
            world.run(self.length);
            drop(run);
            for broke in self.bounds.broken_by(&world.figures) {
                broken.push(format!("{} (seed {seed}): {broke}", self.name));
            }
            match &mut total {
                Some(total) => total.merge(&world.figures),
                None => total = Some(world.figures),
            }
        }
        let mark = if broken.is_empty() { "" } else { " BROKEN" };
        println!("| {:<width$} | {} |{mark}", self.name, total.expect("a seed at least"), width = WIDTH);
        broken
    }
}

impl Bounds {
    /// No get fails, and no healthy session is closed.
    pub(super) fn calm() -> Self {
        Self { failed: Some(0), beside_idle: Some(0), closed: Some(0), ..Self::default() }
    }

    pub(super) fn broken_by(&self, figures: &Figures) -> Vec<String> {
        let mut broken = Vec::new();
        let mut count = |what: &str, is: usize, most: Option<usize>| {
            broken.extend(most.filter(|&most| is > most).map(|most| format!("{is} {what}, at most {most}")));
        };
        count("gets failed", figures.failed, self.failed);
        count("timed out beside an idle one", figures.beside_idle, self.beside_idle);
        count("loans spoilt", figures.erred, self.erred);
        count("still waiting at the end", figures.left, self.left);
        count("gets refused", figures.told, self.told);
        count("attempts to connect", figures.attempts, self.attempts);
        count("attempts in the judged time", figures.judged_attempts, self.judged_attempts);
        count("simultaneous attempts", figures.at_once, self.at_once);
        count("healthy sessions closed", figures.healthy_closed, self.closed);
        let too_few = self.served.filter(|&least| figures.served < least);
        broken.extend(too_few.map(|least| format!("{} gets served, at least {least}", figures.served)));
        let mut span = |what: &str, is: Duration, most: Option<Duration>| {
            let over = most.filter(|&most| is > most);
            broken.extend(over.map(|most| format!("{what} {} ms, at most {}", millis(is), millis(most))));
        };
        span("the longest wait was", figures.longest_wait, self.wait);
        span("refused after", figures.told_after, self.told_after);
        broken
    }
}

/// Names the run when a broken invariant ends it.
struct Run<'a>(&'a str, u64);

impl Drop for Run<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("this was {} with seed {}", self.0, self.1);
        }
    }
}

/// Selects a single run.
fn only_seed() -> Option<u64> {
    std::env::var("CABRANK_SIMULATION_SEED").ok()?.parse().ok()
}

const WIDTH: usize = 78;
