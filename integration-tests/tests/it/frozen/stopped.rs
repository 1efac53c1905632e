//! The whole process is stopped by a signal, and continues later.

use super::process::{
    QUESTION, is_over, loans_since, longest_opening, none_was_refused, recipe, start, unanswered, waits, warm_up,
};
use crate::cases::add;
use crate::recovery::Slack;
use crate::subject::Remote;
use cabrank_testing::eventually;
use integration_tests::borrower::Moment;
use integration_tests::{Borrower, Case, figure, skip};
use std::thread;
use std::time::Duration;

pub(crate) fn cases<S: Remote>(cases: &mut Vec<Case>) {
    add!(cases, S, Server, a_stop_that_the_sessions_outlive_costs_nothing);
    add!(cases, S, Server, a_stop_that_no_session_outlives_costs_what_was_lent_and_no_get);
    add!(cases, S, Server, flows_that_fall_silent_meanwhile_cost_each_get_half_a_second_at_most);
}

/// When it continues, all idle connections have been unproved for too long, and all deadlines have passed.
fn a_stop_that_the_sessions_outlive_costs_nothing<S: Remote>() {
    let subject = S::new();
    subject.watch().expect("it has a server").allow(THREADS);
    let mut borrower = start(&recipe(subject.database().url(), THREADS));
    warm_up(&mut borrower, THREADS);
    let worked = borrower.worked().unwrap_or_else(|lacking| skip(format!("{lacking:#}")));
    borrower.freeze().expect("a stop");
    thread::sleep(STOP);
    let (slack, thawed) = (Slack::begin(), Moment::now());
    borrower.thaw().expect("the end of it");
    let loans = loans_since(&mut borrower, thawed);
    let worked = borrower.worked().expect("their time").since(&worked);
    let all = borrower.loans();
    none_was_refused(&all);
    assert_eq!(unanswered(&all), 0, "{all:?}");
    assert_eq!(closed(&mut borrower), 0, "{:?}", borrower.stats());
    assert!(worked < MUCH_WORK, "the pool's own threads worked for {worked:?}");
    let (first, longest) = waits(&loans, Duration::ZERO, &slack);
    is_over(&subject, borrower);
    figure(format!(
        "stopped for {STOP:?}, sessions alive: failed gets 0, failed queries 0, closed connections 0, first get {first:.1?}, \
         longest {longest:.1?}, workers and timer {worked:.1?}"
    ));
}

/// The server ends sessions that are idle for two seconds.
fn a_stop_that_no_session_outlives_costs_what_was_lent_and_no_get<S: Remote>() {
    let subject = S::new();
    subject.watch().expect("it has a server").allow(2 * THREADS);
    let mut recipe = recipe(subject.database().url(), THREADS);
    recipe.variables.push(("BORROWER_ON_OPEN", S::IDLE_LIMIT.into()));
    let mut borrower = start(&recipe);
    warm_up(&mut borrower, THREADS);
    let begun = Moment::now();
    borrower.freeze().expect("a stop");
    eventually("the server has ended all sessions", || subject.sessions() == 0);
    let (slack, thawed) = (Slack::begin(), Moment::now());
    borrower.thaw().expect("the end of it");
    let loans = loans_since(&mut borrower, thawed);
    none_was_refused(&borrower.loans());
    let (first, longest) = waits(&loans, longest_opening(&mut borrower), &slack);
    let lost = unanswered(&borrower.loans());
    assert!(lost <= THREADS as usize, "{lost} queries failed");
    is_over(&subject, borrower);
    figure(format!(
        "stopped for {:.1?}, all {THREADS} sessions ended: failed gets 0, failed queries {lost} (in flight {THREADS} at most), \
         first get {first:.1?}, longest {longest:.1?}",
        begun.elapsed().saturating_sub(thawed.elapsed()),
    ));
}

/// Like behind a firewall that forgets idle flows.
fn flows_that_fall_silent_meanwhile_cost_each_get_half_a_second_at_most<S: Remote>() {
    let subject = S::new();
    subject.watch().expect("it has a server").allow(2 * THREADS);
    let proxy = subject.database().proxy().expect("a proxy");
    let mut recipe = recipe(subject.database().url_through(&proxy), THREADS);
    recipe.variables.push(("DB_POOL_CHECK_AFTER", "200ms".into()));
    let mut borrower = start(&recipe);
    warm_up(&mut borrower, THREADS);
    // A holder's statement on a silent flow does not concern the pool.
    borrower.tell("rest");
    eventually("all are idle", || borrower.stats()["idle"] == u64::from(THREADS));
    borrower.freeze().expect("a stop");
    proxy.swallow();
    thread::sleep(STOP);
    borrower.tell(&format!("load {THREADS} {QUESTION}"));
    let (slack, thawed) = (Slack::begin(), Moment::now());
    borrower.thaw().expect("the end of it");
    let loans = loans_since(&mut borrower, thawed);
    none_was_refused(&loans);
    assert_eq!(unanswered(&loans), 0, "{loans:?}");
    let longest = loans.iter().map(|loan| loan.waited).max().expect("a hundred");
    let most = MOST.max(PATIENCE + longest_opening(&mut borrower));
    assert!(longest < most + slack.get(), "{longest:?}");
    is_over(&subject, borrower);
    figure(format!(
        "stopped for {STOP:?}, all {THREADS} flows silent: failed gets 0, failed queries 0, longest get {longest:.0?}"
    ));
}

/// The number of closed connections, for any reason.
fn closed(borrower: &mut Borrower) -> u64 {
    let stats = borrower.stats();
    stats["opened"] - stats["open"]
}

const THREADS: u32 = 4;
/// Longer than `check_after`.
const STOP: Duration = Duration::from_secs(3);
/// The time after which the pool no longer relies on a check.
const PATIENCE: Duration = Duration::from_millis(250);
const MOST: Duration = Duration::from_millis(500);
/// For threads that check four connections and must not busy-loop.
const MUCH_WORK: Duration = Duration::from_millis(50);
