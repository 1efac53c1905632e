//! The frozen process, and its loans after it continues.

use crate::recovery::Slack;
use crate::subject::Remote;
use cabrank_testing::eventually;
use integration_tests::borrower::{Loan, Moment, Recipe};
use integration_tests::{Borrower, skip};
use std::time::Duration;
use url::Url;

/// The recipe for a process that borrows from a pool of this size.
pub(crate) fn recipe(url: Url, max_size: u32) -> Recipe<'static> {
    Recipe { program: PROGRAM, url, variables: vec![("DB_POOL_MAX_SIZE", max_size.to_string())] }
}

/// Starts it on this machine, where a stopped process can be observed.
pub(crate) fn start(recipe: &Recipe<'_>) -> Borrower {
    if !cfg!(target_os = "linux") {
        skip("the state of a process and its threads is read from Linux's /proc");
    }
    Borrower::start(recipe).expect("a process")
}

/// Lets threads borrow until all are running, each with its own connection.
pub(crate) fn warm_up(borrower: &mut Borrower, threads: u32) {
    let begun = Moment::now();
    borrower.tell(&format!("load {threads} {QUESTION}"));
    eventually("a hundred loans were served", || borrower.served_since(begun) >= 100);
    eventually("each thread has a connection", || borrower.stats()["open"] == u64::from(threads));
}

/// All its loans requested since it continued, once a hundred were served; then ends the load.
pub(crate) fn loans_since(borrower: &mut Borrower, thawed: Moment) -> Vec<Loan> {
    eventually("a hundred loans were served", || borrower.served_since(thawed) >= 100);
    borrower.tell("rest");
    eventually("all are back", || borrower.stats()["in_use"] == 0);
    borrower.loans().into_iter().filter(|loan| loan.asked >= thawed).collect()
}

/// Asserts that no loan failed for lack of a connection.
pub(crate) fn none_was_refused(loans: &[Loan]) {
    let refused: Vec<_> = loans.iter().filter(|loan| loan.is_refused()).collect();
    assert!(refused.is_empty(), "{} gets failed, the first so: {}", refused.len(), refused[0].outcome);
}

/// The number of loans that got a connection and no answer.
pub(crate) fn unanswered(loans: &[Loan]) -> usize {
    loans.iter().filter(|loan| !loan.is_served() && !loan.is_refused()).count()
}

/// The first wait and the longest one. The first may include one opening, and any other one more, which comes before it.
pub(crate) fn waits(loans: &[Loan], opening: Duration, slack: &Slack) -> (Duration, Duration) {
    let first = loans.iter().filter(|loan| loan.is_served()).min_by_key(|loan| loan.asked).expect("a hundred").waited;
    let longest = loans.iter().map(|loan| loan.waited).max().expect("a hundred");
    assert!(first < opening + slack.get(), "{first:?}, an opening {opening:?}");
    assert!(longest < opening * 2 + slack.get(), "{longest:?}, an opening {opening:?}");
    (first, longest)
}

/// The duration of the longest opening.
pub(crate) fn longest_opening(borrower: &mut Borrower) -> Duration {
    Duration::from_micros(borrower.stats()["longest_opening_us"])
}

/// Asserts that it closes its pool in an orderly way, and leaves no session.
pub(crate) fn is_over<S: Remote>(subject: &S, borrower: Borrower) {
    borrower.finish().expect("a good end");
    eventually("no session is left", || subject.sessions() == 0);
}

pub(crate) const QUESTION: &str = "SELECT 7";
const PROGRAM: &str = env!("CARGO_BIN_EXE_borrower");
