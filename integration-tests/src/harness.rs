//! The `main` of the suite: runs the cases, tells what did not run and why, and removes the containers at the end.
//!
//! The standard harness would leave them behind, for it never drops what is static. Each case is a test of its own with
//! its own name, chosen and counted as usual.

use crate::engine::Engine;
use crate::server::Server;
use crate::{census, server};
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::{env, panic};

/// One test on one engine.
pub struct Case {
    /// The engine that it runs on.
    pub engine: Engine,
    /// `module::what_holds`.
    pub name: &'static str,
    /// What must be there.
    pub needs: Needs,
    /// Panics if it does not hold.
    pub run: fn(),
}

impl std::fmt::Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}::{}", self.engine, self.name)
    }
}

/// What a case needs of its engine's server. An engine without a server needs nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Needs {
    /// No server.
    Nothing,
    /// A server, which it shares with others.
    Server,
    /// The server for itself, to stop, kill or pause it.
    Control,
}

/// Ends a case that finds on the spot that it does not apply to this machine. It counts as not run.
pub fn skip(reason: impl Into<String>) -> ! {
    panic::resume_unwind(Box::new(Skip(reason.into())))
}

/// Puts what a case has measured into the table that closes the run. For the thread that the case began in.
pub fn figure(text: impl Into<String>) {
    FIGURES.with_borrow_mut(|figures| figures.push(text.into()));
}

/// Runs the cases as the command line and the environment choose. `CABRANK_ENGINE` confines them to one engine.
pub fn run(cases: Vec<Case>) -> ExitCode {
    let arguments = Arguments::from_args();
    let chosen = env::var("CABRANK_ENGINE").ok().filter(|name| !name.is_empty());
    let cases = cases.into_iter().filter(|case| chosen.as_ref().is_none_or(|name| name == case.engine.name()));
    let conclusion = {
        let _removal = Removal;
        libtest_mimic::run(&arguments, cases.map(trial).collect())
    };
    if !arguments.list {
        report(&COUNTS.lock().unwrap_or_else(PoisonError::into_inner));
    }
    conclusion.exit_code()
}

fn trial(case: Case) -> Trial {
    Trial::ignorable_test(format!("{}::{}", case.engine, case.name), move || {
        let outcome = attempt(&case);
        let figures = FIGURES.take();
        let mut counts = COUNTS.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(case.engine.name()).or_default();
        match &outcome {
            Ok(Completion::Completed) => {
                count.passed += 1;
                count.figures.extend(figures.into_iter().map(|text| (case.name, text)));
            }
            Ok(Completion::Ignored { reason }) => {
                *count.skipped.entry(reason.clone().unwrap_or_default()).or_default() += 1
            }
            Err(_) => count.failed += 1,
        }
        outcome
    })
}

fn attempt(case: &Case) -> Result<Completion, Failed> {
    // Held until the case is over.
    let (_shared, _alone);
    if case.needs != Needs::Nothing && case.engine.has_server() {
        if env::var("CABRANK_SKIP_SERVERS").is_ok_and(|value| !value.is_empty() && value != "0") {
            return Ok(Completion::ignored_with("CABRANK_SKIP_SERVERS is set"));
        }
        let server = Server::of(case.engine).map_err(|error| Failed::from(format!("{error:#}")))?;
        if case.needs == Needs::Server {
            _shared = server.share();
        } else if server.container().is_none() {
            let variable = case.engine.url_variable();
            return Ok(Completion::ignored_with(format!("{variable} names a server that is not ours to stop")));
        } else {
            _alone = server.alone();
        }
    }
    match panic::catch_unwind(AssertUnwindSafe(case.run)) {
        Ok(()) => Ok(Completion::Completed),
        Err(payload) => match payload.downcast::<Skip>() {
            Ok(skip) => Ok(Completion::ignored_with(skip.0)),
            Err(payload) => Err(Failed::from(message(&*payload))),
        },
    }
}

fn message(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or(payload.downcast_ref::<&str>().copied()).unwrap_or("it panicked").to_owned()
}

/// The table that closes the run: engine by engine, how many ran and how many did not, and why; then what was measured.
fn report(counts: &BTreeMap<&'static str, Count>) {
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

/// What unwinds out of a case that does not apply.
struct Skip(String);

/// Removes the containers when the run is over, however it ends.
struct Removal;

impl Drop for Removal {
    fn drop(&mut self) {
        server::remove_all();
    }
}

thread_local! {
    /// What the case that runs in this thread has measured.
    static FIGURES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

static COUNTS: Mutex<BTreeMap<&'static str, Count>> = Mutex::new(BTreeMap::new());
