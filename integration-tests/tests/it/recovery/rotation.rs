//! Passwords that change every two seconds while the pool is in use and its connections grow old: from each change on the old one is
//! refused.

use super::load::Load;
use super::whole::is_whole;
use crate::cases::add;
use crate::subject::Remote;
use integration_tests::harness::takes_longer;
use integration_tests::{Admin, Case, figure};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

pub(crate) fn cases<S: Remote>(cases: &mut Vec<Case>) {
    add!(cases, S, Server, passwords_that_change_every_two_seconds_cost_no_get);
}

/// The pool queries the password before each connect. Every second time its source lags behind the server.
fn passwords_that_change_every_two_seconds_cost_no_get<S: Remote>() {
    let subject = S::new();
    let vault = Arc::new(Mutex::new(subject.database().url()));
    let asked = vault.clone();
    let pool = subject.build(S::manager_asking(move || asked.lock().unwrap().clone()), |builder| {
        builder.max_size(8).max_lifetime(LIFETIME).lifetime_jitter(0.5)
    });
    let load = Load::on::<S>(&pool, 16);
    load.warm_up();
    let times = if takes_longer() { 12 } else { 3 };
    for time in 0..times {
        thread::sleep(INTERVAL);
        let mut url = vault.lock().unwrap();
        let old = url.clone();
        let new = subject.database().with_password(old.clone(), &format!("number {time}"));
        subject.database().set_password(&format!("number {time}")).unwrap();
        if time % 2 == 1 {
            drop(url);
            thread::sleep(LAG);
            url = vault.lock().unwrap();
        }
        *url = new;
        drop(url);
        assert!(Admin::log_in(S::ENGINE, &old).is_err(), "the old password is refused");
    }
    thread::sleep(INTERVAL);
    let record = load.stop();
    record.is_within(0);
    let (stats, longest) = (pool.stats(), record.longest_get);
    is_whole(&subject, &pool);
    figure(format!(
        "password changed {times} times, every {INTERVAL:?}, under load: failed gets 0, failed queries 0, {} connections opened, \
         {} openings refused, longest get {longest:.0?}",
        stats.opened, stats.open_failures,
    ));
}

const INTERVAL: Duration = Duration::from_secs(2);
const LAG: Duration = Duration::from_millis(200);
/// Short enough to open a connection several times a second.
const LIFETIME: Duration = Duration::from_secs(4);
