//! The process runs in a container, which Docker pauses, and later limits to a hundredth of a processor.

use super::process::{is_over, loans_since, longest_opening, none_was_refused, recipe, unanswered, waits, warm_up};
use crate::cases::add;
use crate::recovery::Slack;
use crate::subject::Remote;
use cabrank_testing::eventually;
use integration_tests::borrower::{Moment, Recipe};
use integration_tests::launch::{For, Launch};
use integration_tests::{Borrower, Case, Engine, figure, skip};
use std::thread;
use std::time::Duration;

pub(crate) fn cases<S: Remote>(cases: &mut Vec<Case>) {
    add!(cases, S, Server, a_pause_that_no_session_outlives_costs_what_was_lent_and_no_get);
    add!(cases, S, Server, a_hundredth_of_a_processor_costs_no_call_and_serves_all);
}

/// The server ends sessions that are idle for two seconds.
fn a_pause_that_no_session_outlives_costs_what_was_lent_and_no_get<S: Remote>() {
    let subject = S::new();
    subject.watch().expect("it has a server").allow(2 * THREADS);
    let mut recipe = recipe(subject.database().url(), THREADS);
    recipe.variables.push(("BORROWER_ON_OPEN", S::IDLE_LIMIT.into()));
    let mut borrower = contained(&recipe);
    warm_up(&mut borrower, THREADS);
    let begun = Moment::now();
    borrower.freeze().unwrap_or_else(|lacking| skip(format!("{lacking:#}")));
    eventually("the server has ended all sessions", || subject.sessions() == 0);
    let (slack, thawed) = (Slack::begin(), Moment::now());
    borrower.thaw().expect("the end of the pause");
    let loans = loans_since(&mut borrower, thawed);
    none_was_refused(&borrower.loans());
    let (first, longest) = waits(&loans, longest_opening(&mut borrower), &slack);
    let lost = unanswered(&borrower.loans());
    assert!(lost <= THREADS as usize, "{lost} queries failed");
    is_over(&subject, borrower);
    figure(format!(
        "paused by Docker for {:.1?}, all {THREADS} sessions ended: failed gets 0, failed queries {lost} \
         (in flight {THREADS} at most), first get {first:.1?}, longest {longest:.1?}",
        begun.elapsed().saturating_sub(thawed.elapsed()),
    ));
}

/// A millisecond in each tenth of a second, as on an overbooked node. A worker checks each connection before its loan, so calls with a
/// limit are under way all the time, and their alarms ring late.
fn a_hundredth_of_a_processor_costs_no_call_and_serves_all<S: Remote>() {
    let subject = S::new();
    subject.watch().expect("it has a server").allow(THREADS);
    let mut recipe = recipe(subject.database().url(), THREADS);
    recipe.variables.push(("DB_POOL_CHECK_AFTER", "0s".into()));
    let mut borrower = contained(&recipe);
    warm_up(&mut borrower, THREADS);
    let worked = borrower.worked().unwrap_or_else(|lacking| skip(format!("{lacking:#}")));
    let begun = Moment::now();
    borrower.throttle("0.01").unwrap_or_else(|lacking| skip(format!("{lacking:#}")));
    thread::sleep(THROTTLED);
    let busy = borrower.worked().expect("their time").since(&worked);
    borrower.throttle(&processors()).expect("the end of it");
    let (slack, free) = (Slack::begin(), Moment::now());
    let after = loans_since(&mut borrower, free);
    let all = borrower.loans();
    let meanwhile: Vec<_> = all.iter().filter(|loan| loan.asked >= begun && loan.asked < free).cloned().collect();
    none_was_refused(&all);
    assert_eq!(unanswered(&all), 0, "{all:?}");
    let stats = borrower.stats();
    assert_eq!((stats["opened"], stats["open"], stats["aborted"]), (THREADS.into(), THREADS.into(), 0), "{stats:?}");
    let longest = after.iter().map(|loan| loan.waited).max().expect("a hundred");
    assert!(longest < slack.get(), "{longest:?}");
    // And once more with nobody who borrows.
    let worked = borrower.worked().expect("their time");
    borrower.throttle("0.01").expect("again");
    thread::sleep(THROTTLED);
    let idle = borrower.worked().expect("their time").since(&worked);
    borrower.throttle(&processors()).expect("the end of it");
    let loans = meanwhile.len() as u32;
    assert!(busy < A_CHECK * loans, "the workers and the timer ran for {busy:?} in {THROTTLED:?}, for {loans} loans");
    assert!(idle < MUCH_WORK, "the workers and the timer ran for {idle:?} in {THROTTLED:?} at rest");
    is_over(&subject, borrower);
    figure(format!(
        "a hundredth of a processor for {THROTTLED:?}: {loans} loans, failed gets 0, failed queries 0, connections closed 0, \
         workers and timer {busy:.1?}, longest get afterwards {longest:.1?}; at rest workers and timer {idle:.1?}",
    ));
}

/// In the image of a server, which has all that the program needs. If it does not run there, this machine lacks something.
fn contained(recipe: &Recipe<'_>) -> Borrower {
    if !cfg!(target_os = "linux") {
        skip("this program does not run in a container");
    }
    let image = Launch::of(Engine::Postgres, For::Suite).image;
    Borrower::start_in_container(recipe, &image).unwrap_or_else(|lacking| skip(format!("{lacking:#}")))
}

/// The number of all processors.
fn processors() -> String {
    thread::available_parallelism().map_or(1, usize::from).to_string()
}

const THREADS: u32 = 4;
const THROTTLED: Duration = Duration::from_secs(4);
/// Three times the processor time of a check. Busy-looping threads would leave nothing for loans.
const A_CHECK: Duration = Duration::from_micros(1_500);
/// A tenth of what they could use in that time.
const MUCH_WORK: Duration = Duration::from_millis(4);
