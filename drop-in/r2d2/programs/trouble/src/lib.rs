//! The experience of an application with Diesel and r2d2 on PostgreSQL when connections run out, when its server fails, and in normal
//! operation.
//!
//! Each case only measures. The code names no pool except `diesel::r2d2`: the workspace in which it is built decides which crate that
//! is. In this one it is the drop-in; in the benchmark's, r2d2 itself. Cases that stop a server start one of their own.

mod application;
mod exhaustion;
mod failover;
mod leftovers;
mod passwords;
mod recovery;
mod restarted;
mod server;
mod speed;

use server::Server;

/// A failed measurement.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Names of metrics, each with its value. Booleans are 1 or 0.
type Measured = Vec<(&'static str, f64)>;

/// One case.
struct Case {
    name: &'static str,
    run: fn(&Server) -> Result<Measured, Failure>,
}

/// All cases, in the order of reports.
const CASES: &[Case] = &[
    Case { name: "speed_1", run: speed::of_one },
    Case { name: "speed_16", run: speed::of_sixteen },
    Case { name: "twelve_want_ten", run: exhaustion::twelve_want_ten },
    Case { name: "crowd", run: exhaustion::crowd },
    Case { name: "in_order", run: exhaustion::in_order },
    Case { name: "one_too_many", run: exhaustion::one_too_many },
    Case { name: "get_within_a_loan", run: exhaustion::get_within_a_loan },
    Case { name: "sessions", run: exhaustion::sessions },
    Case { name: "transaction_left", run: leftovers::transaction_left },
    Case { name: "raw_transaction_left", run: leftovers::raw_transaction_left },
    Case { name: "panic_in_a_loan", run: leftovers::panic_in_a_loan },
    Case { name: "panic_in_a_customizer", run: leftovers::panic_in_a_customizer },
    Case { name: "killed", run: recovery::killed },
    Case { name: "away", run: recovery::away },
    Case { name: "restarted", run: restarted::restarted },
    Case { name: "crashed", run: restarted::crashed },
    Case { name: "refused", run: recovery::refused },
    Case { name: "silent_flows", run: recovery::silent_flows },
    Case { name: "silent_log_in", run: recovery::silent_log_in },
    Case { name: "stalled", run: recovery::stalled },
    Case { name: "wrong_password", run: passwords::wrong_password },
    Case { name: "failover", run: failover::killed },
    Case { name: "read_only", run: failover::read_only },
];

/// The names of all cases.
pub fn cases() -> impl Iterator<Item = &'static str> {
    CASES.iter().map(|case| case.name)
}

/// Runs the case in the arguments, on the server whose URL comes first, and prints its measurements.
///
/// # Errors
///
/// The arguments name no case, or the measurement failed.
pub fn run(arguments: &[String]) -> Result<(), Failure> {
    let [url, name] = arguments else { return Err("usage: diesel-trouble <url> <case>".into()) };
    let Some(case) = CASES.iter().find(|case| case.name == name) else {
        return Err(format!("no case is called {name}; there are {}", cases().collect::<Vec<_>>().join(", ")).into());
    };
    for (metric, value) in (case.run)(&Server::new(url)?)? {
        println!("{metric} {value}");
    }
    // Calls that hang in a driver would delay the end of the process.
    std::process::exit(0);
}
