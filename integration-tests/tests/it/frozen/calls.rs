//! The process is stopped while one of the pool's own calls waits for an answer, for longer than the call may take. The answer is there
//! when it goes on, or comes later.

use super::process::{QUESTION, is_over, none_was_refused, recipe, unanswered};
use crate::cases::add;
use crate::subject::Remote;
use cabrank_testing::{NetworkFault, Proxy, Way, eventually};
use integration_tests::borrower::Moment;
use integration_tests::{Borrower, Case, figure};
use std::thread;
use std::time::Duration;

pub(crate) fn cases<S: Remote>(cases: &mut Vec<Case>) {
    add!(cases, S, Server, a_stop_while_it_connects_costs_one_connection_at_most);
    add!(cases, S, Server, a_stop_in_a_check_costs_one_connection_at_most);
    add!(cases, S, Server, a_stop_in_a_reset_costs_one_connection_at_most);
    add!(cases, S, Server, a_stop_in_a_goodbye_costs_nothing);
}

fn a_stop_while_it_connects_costs_one_connection_at_most<S: Remote>() {
    stopped_in::<S>("opening", 1, |borrower, proxy| {
        borrower.have("evict");
        eventually("the old one is gone", || borrower.stats()["open"] + borrower.stats()["closing"] == 0);
        proxy.set(HELD);
        borrower.tell(&format!("get {QUESTION}"));
    });
}

fn a_stop_in_a_check_costs_one_connection_at_most<S: Remote>() {
    stopped_in::<S>("checking", 0, |borrower, proxy| {
        proxy.set(HELD);
        borrower.tell(&format!("get {QUESTION}"));
    });
}

fn a_stop_in_a_reset_costs_one_connection_at_most<S: Remote>() {
    stopped_in::<S>("resetting", 0, |borrower, proxy| {
        borrower.have("take");
        borrower.have(&format!("run {}", S::DIRT[0].0));
        proxy.set(HELD);
        borrower.have("give");
    });
}

fn a_stop_in_a_goodbye_costs_nothing<S: Remote>() {
    stopped_in::<S>("closing", 1, |borrower, proxy| {
        borrower.have("take");
        borrower.have("evict");
        proxy.set(HELD);
        borrower.have("give");
    });
}

/// `act` begins the call, of which the pool's numbers have one under way by that name, and evicts so many connections.
fn stopped_in<S: Remote>(call: &str, evicted: u64, act: impl Fn(&mut Borrower, &Proxy)) {
    for comes_late in [false, true] {
        let subject = S::new();
        // One that was aborted lives on at the server for a moment.
        subject.watch().expect("it has a server").allow(2);
        let proxy = subject.database().proxy().expect("a proxy");
        let mut recipe = recipe(subject.database().url_through(&proxy), 1);
        recipe.variables.extend(LIMITS.map(|name| (name, format!("{}ms", LIMIT.as_millis()))));
        recipe.variables.push(("DB_POOL_CHECK_AFTER", "0s".into()));
        let mut borrower = Borrower::start(&recipe).expect("a process");
        borrower.have("take");
        borrower.have("give");

        act(&mut borrower, &proxy);
        eventually("the call is under way", || borrower.stats()[call] == 1);
        borrower.freeze().expect("a stop");
        thread::sleep(LIMIT * 2);
        let before = proxy.counts().to_client.bytes;
        if !comes_late {
            proxy.set(NetworkFault::None);
            // Of a goodbye there is only the end of the stream, which is counted before it is passed on.
            let has_come = || proxy.counts().to_client.bytes > before || call == "closing";
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
        eventually("nothing is under way", || {
            let stats = borrower.stats();
            ["opening", "checking", "resetting", "closing", "in_use", "aborted"].iter().all(|name| stats[*name] == 0)
        });
        let stats = borrower.stats();
        let lost = stats["opened"] - stats["open"] - stats["evicted"] + stats["open_failures"];
        assert_eq!(stats["evicted"], evicted, "{stats:?}");
        assert!(lost <= 1, "{stats:?}");
        is_over(&subject, borrower);
        let when = if comes_late { "comes later" } else { "is there" };
        figure(format!(
            "stopped for {:?} in {call}, the answer {when}: lost {lost}, a get served {took:.0?} after it",
            LIMIT * 2
        ));
    }
}

/// What the server says is kept back.
const HELD: NetworkFault = NetworkFault::Stall(Way::ToClient);
const LIMITS: [&str; 4] =
    ["DB_POOL_CONNECT_TIMEOUT", "DB_POOL_CHECK_TIMEOUT", "DB_POOL_RESET_TIMEOUT", "DB_POOL_CLOSE_TIMEOUT"];
/// Of each call.
const LIMIT: Duration = Duration::from_millis(300);
/// How much later than the thaw an answer comes.
const LATE: Duration = Duration::from_millis(50);
