//! The process that is frozen, and what its loans were like once it went on.

use crate::recovery::Slack;
use crate::subject::Remote;
use cabrank_testing::eventually;
use integration_tests::borrower::{Loan, Moment, Recipe};
use integration_tests::{Borrower, skip};
use std::time::Duration;
use url::Url;

/// How to start a process that borrows from a pool of so many.
pub(crate) fn recipe(url: Url, max_size: u32) -> Recipe<'static> {
    Recipe { program: PROGRAM, url, variables: vec![("DB_POOL_MAX_SIZE", max_size.to_string())] }
}

/// Starts it on this machine, where a process can be watched while it stands still.
pub(crate) fn start(recipe: &Recipe<'_>) -> Borrower {
    if !cfg!(target_os = "linux") {
        skip("whether a process has stopped, and what its threads do, is read from Linux's /proc");
    }
    Borrower::start(recipe).expect("a process")
}

/// Lets threads borrow until they are in full swing, each on a connection of its own.
pub(crate) fn warm_up(borrower: &mut Borrower, threads: u32) {
    let begun = Moment::now();
    borrower.tell(&format!("load {threads} {QUESTION}"));
    eventually("a hundred loans were served", || borrower.served_since(begun) >= 100);
    eventually("each thread has a connection", || borrower.stats()["open"] == u64::from(threads));
}

/// All its loans that were asked for since it went on, once there are a hundred; the load has ended then.
pub(crate) fn loans_since(borrower: &mut Borrower, thawed: Moment) -> Vec<Loan> {
    eventually("a hundred loans were served", || borrower.served_since(thawed) >= 100);
    borrower.tell("rest");
    eventually("all are back", || borrower.stats()["in_use"] == 0);
    borrower.loans().into_iter().filter(|loan| loan.asked >= thawed).collect()
}

/// No loan of all failed for want of a connection.
pub(crate) fn none_was_refused(loans: &[Loan]) {
    let refused: Vec<_> = loans.iter().filter(|loan| loan.is_refused()).collect();
    assert!(refused.is_empty(), "{} gets failed, the first so: {}", refused.len(), refused[0].outcome);
}

/// How many loans had a connection and no answer on it.
pub(crate) fn unanswered(loans: &[Loan]) -> usize {
    loans.iter().filter(|loan| !loan.is_served() && !loan.is_refused()).count()
}

/// The first loan and the longest wait: after the first opening, and after the one that it makes way for.
pub(crate) fn waits(loans: &[Loan], opening: Duration, slack: &Slack) -> (Duration, Duration) {
    let first = loans.iter().filter(|loan| loan.is_served()).min_by_key(|loan| loan.asked).expect("a hundred").waited;
    let longest = loans.iter().map(|loan| loan.waited).max().expect("a hundred");
    assert!(first < opening + slack.get(), "{first:?}, an opening {opening:?}");
    assert!(longest < opening * 2 + slack.get(), "{longest:?}, an opening {opening:?}");
    (first, longest)
}

/// The longest that an opening took.
pub(crate) fn longest_opening(borrower: &mut Borrower) -> Duration {
    Duration::from_micros(borrower.stats()["longest_opening_us"])
}

/// It closes its pool in good order, and leaves no session.
pub(crate) fn is_over<S: Remote>(subject: &S, borrower: Borrower) {
    borrower.finish().expect("a good end");
    eventually("no session is left", || subject.sessions() == 0);
}

pub(crate) const QUESTION: &str = "SELECT 7";
const PROGRAM: &str = env!("CARGO_BIN_EXE_borrower");
