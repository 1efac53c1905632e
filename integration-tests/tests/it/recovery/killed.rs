//! Sessions ended by an administrator, one or all of them.

use super::load::Load;
use super::slack::Slack;
use super::whole::is_whole;
use crate::cases::add;
use crate::subject::{Guard, Remote};
use cabrank_testing::eventually;
use integration_tests::{Case, figure};
use std::thread;
use std::time::{Duration, Instant};

pub(crate) fn cases<S: Remote>(cases: &mut Vec<Case>) {
    add!(cases, S, Server, one_killed_session_costs_the_query_that_it_ran);
    add!(cases, S, Server, all_killed_at_once_cost_the_queries_that_they_ran);
    add!(cases, S, Server, killed_in_a_query_some_prove_the_death_of_the_others);
    add!(cases, S, Server, killed_while_idle_all_together_cost_one_query_at_most);
}

fn one_killed_session_costs_the_query_that_it_ran<S: Remote>() {
    for check_after in CHECKS {
        under_load::<S>(check_after, 1);
    }
}

fn all_killed_at_once_cost_the_queries_that_they_ran<S: Remote>() {
    for check_after in CHECKS {
        under_load::<S>(check_after, 8);
    }
}

/// Sixteen threads on eight connections, some of which are killed.
fn under_load<S: Remote>(check_after: Duration, victims: usize) {
    let slack = Slack::begin();
    let subject = S::new();
    let pool = subject.pool(|builder| builder.max_size(8).check_after(check_after));
    let load = Load::on::<S>(&pool, 16);
    load.warm_up();
    // It need not have grown to its full size. (Nor does it keep that size: on a busy machine a check may take so long that its
    // connection is replaced.)
    drop((0..8).map(|_| pool.get().unwrap()).collect::<Vec<Guard<S>>>());
    let mut sessions = subject.database().sessions().unwrap();
    sessions.truncate(victims);
    subject.kill(&sessions);
    let killed = Instant::now();
    load.go_on_from(killed);
    let record = load.stop();
    let victims = sessions.len();
    record.is_within(victims);
    let recovery = record.first_success_after(killed);
    assert!(recovery < SOON + slack.get(), "{recovery:?}");
    is_whole(&subject, &pool);
    figure(format!(
        "{victims} of 8 killed, check_after {check_after:?}: failed gets 0, failed queries {}, \
         first success after {recovery:.0?}, 0 sessions left",
        record.failed_queries.len(),
    ));
}

/// Four of eight run a query when all are killed, and by `check_after` the other four count as fresh for an hour.
fn killed_in_a_query_some_prove_the_death_of_the_others<S: Remote>() {
    let slack = Slack::begin();
    let subject = S::new();
    let pool = subject.pool(|builder| builder.max_size(8).check_after(CHECKS[0]));
    let mut all: Vec<Guard<S>> = (0..8).map(|_| pool.get().unwrap()).collect();
    let (busy, idle) = (all.split_off(4), all);
    drop(idle);
    thread::scope(|scope| {
        let queries: Vec<_> =
            busy.into_iter().map(|mut conn| scope.spawn(move || S::number(&mut conn, S::ENDLESS).map(drop))).collect();
        subject.kill(&subject.database().sessions().unwrap());
        queries.into_iter().for_each(|query| assert!(query.join().unwrap().is_err()));
    });
    eventually("no session is left", || subject.sessions() == 0);
    let mut longest = Duration::ZERO;
    for _ in 0..16 {
        let begun = Instant::now();
        let mut conn = pool.get().expect("a connection");
        longest = longest.max(begun.elapsed());
        assert_eq!(S::number(&mut conn, "SELECT 7").expect("the death is known"), 7);
    }
    assert!(longest < SOON + slack.get(), "{longest:?}");
    is_whole(&subject, &pool);
    figure(format!(
        "8 killed, 4 of them in a query, check_after 1h: failed gets 0, failed queries 4 (in flight 4), \
         longest get {longest:.0?}, 0 sessions left"
    ));
}

/// A dead connection that has not been checked since may be lent once; its failure is the proof, and the others cost nothing.
fn killed_while_idle_all_together_cost_one_query_at_most<S: Remote>() {
    let slack = Slack::begin();
    for check_after in CHECKS {
        let subject = S::new();
        let pool = subject.pool(|builder| builder.max_size(10).check_after(check_after));
        drop((0..10).map(|_| pool.get().unwrap()).collect::<Vec<Guard<S>>>());
        subject.kill(&subject.database().sessions().unwrap());
        eventually("no session is left", || subject.sessions() == 0);
        let (mut failed, mut longest) = (0, Duration::ZERO);
        for _ in 0..20 {
            let begun = Instant::now();
            let mut conn = pool.get().expect("a connection");
            longest = longest.max(begun.elapsed());
            failed += usize::from(S::number(&mut conn, "SELECT 7").is_err());
        }
        let allowed = usize::from(!check_after.is_zero());
        assert!(failed <= allowed, "{failed} queries failed");
        assert!(longest < SOON + slack.get(), "{longest:?}");
        is_whole(&subject, &pool);
        figure(format!(
            "10 idle ones killed, check_after {check_after:?}: failed gets 0, failed queries {failed}, \
             longest get {longest:.0?}, 0 sessions left"
        ));
    }
}

/// Never during this test, and before each loan.
const CHECKS: [Duration; 2] = [Duration::from_secs(3600), Duration::ZERO];

/// Only new connections take time, and an attempt that takes half a second gets a second one beside it.
const SOON: Duration = Duration::from_secs(1);
