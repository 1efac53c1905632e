//! The process is stopped while one of the pool's own calls waits for an answer, for longer than the call's limit. An answer that is
//! there when it continues counts. A later one may be too late.

use super::process::{QUESTION, is_over, none_was_refused, recipe, start, unanswered};
use crate::cases::add;
use crate::subject::Remote;
use cabrank_testing::{NetworkFault, Proxy, Way, eventually};
use integration_tests::borrower::Moment;
use integration_tests::{Borrower, Case, Engine, figure};
use std::thread;
use std::time::Duration;

pub(crate) fn cases<S: Remote>(cases: &mut Vec<Case>) {
    add!(cases, S, Server, a_stop_while_it_connects_costs_one_connection_at_most);
    add!(cases, S, Server, a_stop_in_a_check_costs_one_connection_at_most);
    add!(cases, S, Server, a_stop_in_a_reset_costs_one_connection_at_most);
    add!(cases, S, Server, a_stop_in_a_goodbye_costs_nothing_else);
}

/// A call of the pool, and the commands that lead to it.
struct Call {
    /// The name in the pool's numbers.
    name: &'static str,
    /// Earlier commands, one after the other.
    before: Vec<String>,
    /// The command that begins the call.
    begins: String,
}

fn a_stop_while_it_connects_costs_one_connection_at_most<S: Remote>() {
    stopped_in::<S>(&Call { name: "opening", before: vec!["evict".into()], begins: format!("get {QUESTION}") });
}

fn a_stop_in_a_check_costs_one_connection_at_most<S: Remote>() {
    stopped_in::<S>(&Call { name: "checking", before: Vec::new(), begins: format!("get {QUESTION}") });
}

fn a_stop_in_a_reset_costs_one_connection_at_most<S: Remote>() {
    let before = vec!["take".into(), format!("run {}", S::DIRT[0].0)];
    stopped_in::<S>(&Call { name: "resetting", before, begins: "give".into() });
}

fn a_stop_in_a_goodbye_costs_nothing_else<S: Remote>() {
    stopped_in::<S>(&Call { name: "closing", before: vec!["take".into(), "evict".into()], begins: "give".into() });
}

fn stopped_in<S: Remote>(call: &Call) {
    for comes_late in [false, true] {
        let subject = S::new();
        // An aborted session remains at the server for a moment.
        subject.watch().expect("it has a server").allow(2);
        let proxy = subject.database().proxy().expect("a proxy");
        let mut recipe = recipe(subject.database().url_through(&proxy), 1);
        recipe.variables.extend(LIMITS.map(|name| (name, format!("{}ms", LIMIT.as_millis()))));
        recipe.variables.push(("DB_POOL_CHECK_AFTER", "0s".into()));
        let mut borrower = start(&recipe);
        borrower.have("take");
        borrower.have("give");
        call.before.iter().for_each(|command| borrower.have(command));
        eventually("what was evicted is gone", || borrower.stats()["closing"] == 0);

        begin::<S>(call, &mut borrower, &proxy);
        borrower.freeze().expect("a stop");
        thread::sleep(LIMIT * 2);
        let before = proxy.counts().to_client.bytes;
        if !comes_late {
            proxy.set(NetworkFault::None);
            // A goodbye gets only the end of the stream, which is counted before it is passed on.
            let has_come = || proxy.counts().to_client.bytes > before || call.name == "closing";
            eventually("the answer has come", has_come);
        }
        let thawed = Moment::now();
        borrower.thaw().expect("the end of it");
        borrower.tell(&format!("get {QUESTION}"));
        if comes_late {
            thread::sleep(LATE);
            proxy.set(NetworkFault::None);
        }
        eventually("a loan is served", || borrower.served_since(thawed) >= 1);
        let took = thawed.elapsed();
        let loans = borrower.loans();
        none_was_refused(&loans);
        assert_eq!(unanswered(&loans), 0, "{loans:?}");
        let lost = lost(&mut borrower);
        assert!(lost <= u64::from(comes_late), "{:?}", borrower.stats());
        is_over(&subject, borrower);
        let (name, when) = (call.name, if comes_late { "comes later" } else { "is there" });
        let stop = LIMIT * 2;
        figure(format!(
            "stopped for {stop:?} in {name}, the answer {when}: lost {lost}, a get served {took:.0?} after it"
        ));
    }
}

/// Begins the call, whose answer is held back.
fn begin<S: Remote>(call: &Call, borrower: &mut Borrower, proxy: &Proxy) {
    proxy.set(NetworkFault::Stall(Way::ToClient));
    let before = proxy.counts();
    borrower.tell(&call.begins);
    eventually("the call is under way", || borrower.stats()[call.name] == 1);
    eventually("the server has been asked", || {
        let counts = proxy.counts();
        let is_greeted_first = S::ENGINE != Engine::Postgres;
        counts.to_server != before.to_server || is_greeted_first && counts.attempts.len() > before.attempts.len()
    });
}

/// The number of connections and attempts that were lost, apart from evicted ones, once no call is under way.
fn lost(borrower: &mut Borrower) -> u64 {
    eventually("nothing is under way", || {
        let stats = borrower.stats();
        ["opening", "checking", "resetting", "closing", "in_use", "aborted"].iter().all(|name| stats[*name] == 0)
    });
    let stats = borrower.stats();
    stats["opened"] - stats["open"] - stats["closed_evicted"] + stats["open_failures"]
}

const LIMITS: [&str; 4] =
    ["DB_POOL_CONNECT_TIMEOUT", "DB_POOL_CHECK_TIMEOUT", "DB_POOL_RESET_TIMEOUT", "DB_POOL_CLOSE_TIMEOUT"];
/// For each call.
const LIMIT: Duration = Duration::from_millis(300);
/// How long after the thaw an answer arrives.
const LATE: Duration = Duration::from_millis(50);
