//! The server goes down under load and comes back.

use super::load::Load;
use super::slack::Slack;
use super::whole::is_whole;
use crate::cases::add;
use crate::subject::Remote;
use anyhow::Result;
use integration_tests::{Case, Server, figure};
use std::time::{Duration, Instant};

pub(crate) fn cases<S: Remote>(cases: &mut Vec<Case>) {
    add!(cases, S, Control, a_restart_costs_what_was_in_flight_and_no_get);
    add!(cases, S, Control, a_crash_costs_what_was_in_flight_and_no_get);
}

fn a_restart_costs_what_was_in_flight_and_no_get<S: Remote>() {
    goes_down::<S>("restarted", Server::restart);
}

fn a_crash_costs_what_was_in_flight_and_no_get<S: Remote>() {
    goes_down::<S>("crashed", Server::crash);
}

/// Through a proxy, which counts the attempts to connect.
fn goes_down<S: Remote>(how: &str, act: fn(&Server) -> Result<()>) {
    let slack = Slack::begin();
    let subject = S::new();
    let proxy = subject.database().proxy().unwrap();
    let pool = subject.pool_by(subject.database().url_through(&proxy), |builder| {
        builder.max_size(8).acquire_timeout(Duration::from_secs(60)).connect_timeout(ATTEMPT)
    });
    let load = Load::on::<S>(&pool, 16);
    load.warm_up();
    let begun = Instant::now();
    act(subject.database().server()).unwrap();
    let back = Instant::now();
    load.go_on_from(back);
    let record = load.stop();
    let attempts = proxy.counts().attempts.iter().filter(|&&at| at > begun && at < back).count();
    let (down, recovery) = (back - begun, record.first_success_after(back));
    record.is_within(8);
    // The pauses are 255 ms on average once they have grown.
    let bearable = 20 + down.as_millis() as usize / 100;
    assert!(attempts <= bearable, "{attempts} attempts in {down:?}");
    // The last attempt before may have begun while the container had no network yet, and then takes its full time.
    assert!(recovery < CAP + ATTEMPT + slack.get(), "{recovery:?}");
    is_whole(&subject, &pool);
    figure(format!(
        "{how}, away for {down:.1?}: failed gets 0, failed queries {} (in flight 8), {attempts} attempts, \
         first success {recovery:.0?} after it was back, 0 sessions left",
        record.failed_queries.len(),
    ));
}

const ATTEMPT: Duration = Duration::from_secs(1);
const CAP: Duration = Duration::from_millis(500);
