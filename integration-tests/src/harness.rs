//! The `main` of the suite: runs the cases, reports what did not run and why, and removes the containers at the end.
//!
//! The standard harness would leave the containers behind, because it never drops statics. Each case is a test with its own name,
//! selected and counted as usual.

use crate::server::Server;
use crate::{census, server};
use cabrank_testing::harness::{Ended, Test};
use cabrank_testing::servers;
use cabrank_testing::servers::Engine;
use std::any::Any;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

/// One test on one engine.
pub struct Case {
    /// Its engine.
    pub engine: Engine,
    /// `module::what_holds`.
    pub name: &'static str,
    /// Its requirements.
    pub needs: Needs,
    /// Panics if it fails.
    pub run: fn(),
}

impl std::fmt::Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}::{}", self.engine, self.name)
    }
}

/// What a case requires of its engine's server. An engine without a server satisfies all of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Needs {
    /// No server.
    Nothing,
    /// A server, shared with other cases.
    Server,
    /// The server for itself, to stop, kill or pause it.
    Control,
}

/// Adds a measurement of the case to the table at the end of the run. Call it in the thread in which the case began.
pub fn figure(text: impl Into<String>) {
    FIGURES.with_borrow_mut(|figures| figures.push(text.into()));
}

/// From now on the case in this thread uses only servers of its own, and disturbs no other case: those may continue.
pub fn leave_server() {
    drop(LEASE.take());
}

/// Runs the cases that the command line and the environment select. `CABRANK_ENGINE` confines them to one engine.
pub fn run(cases: Vec<Case>) -> ExitCode {
    let chosen = cases.into_iter().filter(|case| case.engine.is_chosen());
    let code = {
        let _removal = Removal;
        cabrank_testing::harness::run([chosen.map(test).collect()])
    };
    report(&COUNTS.lock().unwrap_or_else(PoisonError::into_inner));
    code
}

/// Returns whether the longer tests run, too, as in `cargo xtask ci --full`. They do if `CABRANK_LONGER` is set.
pub fn takes_longer() -> bool {
    servers::variable("CABRANK_LONGER").is_some()
}

fn test(case: Case) -> Test {
    Test::reporting(format!("{}::{}", case.engine, case.name), move || {
        let ended = attempt(&case);
        let figures = FIGURES.take();
        let mut counts = COUNTS.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(case.engine.name()).or_default();
        match &ended {
            Ended::Passed => {
                count.passed += 1;
                count.figures.extend(figures.into_iter().map(|text| (case.name, text)));
            }
            Ended::Ignored(reason) => *count.skipped.entry(reason.clone()).or_default() += 1,
            Ended::Failed(_) => count.failed += 1,
        }
        ended
    })
}

fn attempt(case: &Case) -> Ended {
    if case.needs != Needs::Nothing && case.engine.has_server() {
        if servers::are_skipped() {
            return Ended::Ignored(servers::SKIPPED.into());
        }
        let server = match Server::of(case.engine) {
            Ok(server) => server,
            Err(error) => return Ended::Failed(format!("{error:#}")),
        };
        if case.needs == Needs::Server {
            LEASE.set(Some(Box::new(server.share())));
        } else if server.container().is_none() {
            let variable = case.engine.url_variable();
            return Ended::Ignored(format!("{variable} names a server that is not ours to stop"));
        } else {
            LEASE.set(Some(Box::new(server.alone())));
        }
    }
    let ended = Ended::of(case.run);
    leave_server();
    ended
}

/// The table at the end of the run: for each engine, how many cases ran and how many did not, and why; then the measurements.
fn report(counts: &BTreeMap<&'static str, Count>) {
    // Nothing was selected, or the cases were only listed.
    if counts.is_empty() {
        return;
    }
    println!("{:>10} {:>7} {:>7} {:>8}", "", "passed", "failed", "not run");
    for (engine, count) in counts {
        let skipped: usize = count.skipped.values().sum();
        println!("{engine:>10} {:>7} {:>7} {skipped:>8}", count.passed, count.failed);
        count.skipped.iter().for_each(|(reason, times)| println!("{:>34} not run: {reason}", times));
    }
    println!();
    for (engine, (watched, samples)) in census::totals() {
        let rate = samples as f64 / watched.as_secs_f64();
        println!("{engine:>10} sessions counted at the server {samples} times, {rate:.0} times a second");
    }
    for (engine, count) in counts {
        count.figures.iter().for_each(|(case, text)| println!("{engine:>10} {case}: {text}"));
    }
    println!();
}

#[derive(Default)]
struct Count {
    passed: usize,
    failed: usize,
    skipped: BTreeMap<String, usize>,
    figures: BTreeSet<(&'static str, String)>,
}

/// Removes the containers when the run is over, however it ends.
struct Removal;

impl Drop for Removal {
    fn drop(&mut self) {
        server::remove_all();
    }
}

thread_local! {
    /// The measurements of the case that runs in this thread.
    static FIGURES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };

    /// The lease of the case that runs in this thread on its engine's server.
    static LEASE: RefCell<Option<Box<dyn Any>>> = const { RefCell::new(None) };
}

static COUNTS: Mutex<BTreeMap<&'static str, Count>> = Mutex::new(BTreeMap::new());
