//! Another server takes over: eight threads that write on a pool of eight, which asks for a primary.
//!
//! A primary and a streaming standby, and a proxy as the name that leads to one of them. The figures count the failing and the succeeding
//! writes. Ten seconds later no session is left at the server that accepts no writes, and no connection to a dead or frozen server.

use super::load::{Load, Record};
use super::slack::Slack;
use crate::postgres::Postgres;
use crate::subject::{Conn, Subject, SubjectPool};
use cabrank::Pool;
use cabrank_postgres::postgres::NoTls;
use cabrank_postgres::{PostgresManager, Role};
use cabrank_testing::{Proxy, assert_closes_clean, eventually};
use integration_tests::harness::leave_server;
use integration_tests::running::Running;
use integration_tests::{Case, Needs, Pair, figure};
use std::thread;
use std::time::{Duration, Instant};

pub(crate) fn cases(cases: &mut Vec<Case>) {
    let case = |name, run| Case { engine: Postgres::ENGINE, name, needs: Needs::Control, run };
    cases.extend([
        case(
            "recovery::failover::a_killed_primary_costs_what_was_in_flight_and_no_get",
            a_killed_primary_costs_what_was_in_flight_and_no_get,
        ),
        case(
            "recovery::failover::a_name_that_lags_behind_a_switchover_costs_one_error_a_connection",
            a_name_that_lags_behind_a_switchover_costs_one_error_a_connection,
        ),
        case(
            "recovery::failover::a_frozen_primary_costs_no_get_of_those_who_come_later",
            a_frozen_primary_costs_no_get_of_those_who_come_later,
        ),
        case(
            "recovery::failover::a_primary_that_turns_read_only_costs_one_error_a_connection",
            a_primary_that_turns_read_only_costs_one_error_a_connection,
        ),
    ]);
}

fn a_killed_primary_costs_what_was_in_flight_and_no_get() {
    let pair = Pair::start().expect("two servers");
    let pool = pool(&pair.url_of_both(), 8);
    let load = write(&pool, 8);
    load.warm_up();
    let killed = Instant::now();
    pair.first().container().expect("a container").kill().expect("a death");
    thread::sleep(BEFORE_PROMOTION);
    pair.promote().expect("another primary");
    let (slack, promoted) = (Slack::begin(), Instant::now());
    load.go_on_from(promoted);
    let record = load.stop();
    record.is_within(8);
    let (away, recovery) = (promoted - killed, record.first_success_after(promoted));
    assert!(recovery < Duration::from_secs(1) + slack.get(), "{recovery:?}");
    tell(&format!("primary killed, standby promoted after {away:.1?}"), &record, "the promotion", recovery);
    let left = ten_seconds_after(promoted, &pool, 8, || Pair::sockets(pair.first()));
    assert!(left.is_none_or(|left| left == 0), "{left:?} connections to the dead server");
    is_over(&pool, pair.second());
}

/// The old primary is back as a standby while the name still leads to it.
fn a_name_that_lags_behind_a_switchover_costs_one_error_a_connection() {
    let pair = Pair::start().expect("two servers");
    let name = Proxy::start(Pair::address(pair.first())).expect("a proxy");
    let pool = pool(&pair.url_at(name.address()), 8);
    let load = write(&pool, 8);
    load.warm_up();
    pair.switch_over().expect("another primary");
    thread::sleep(LAG);
    name.lead_to(Pair::address(pair.second())).expect("an address");
    let (slack, right) = (Slack::begin(), Instant::now());
    load.go_on_from(right);
    let record = load.stop();
    record.is_within(8 + 8);
    let recovery = record.first_success_after(right);
    assert!(recovery < Duration::from_millis(600) + slack.get(), "{recovery:?}");
    tell(&format!("switchover, the name lags {LAG:?}"), &record, "the name was right", recovery);
    assert_eq!(ten_seconds_after(right, &pool, 8, || sessions(pair.first())), 0, "sessions at the old primary");
    is_over(&pool, pair.second());
}

/// Its kernel still works: connections are accepted, and nothing is sent on them.
fn a_frozen_primary_costs_no_get_of_those_who_come_later() {
    let pair = Pair::start().expect("two servers");
    let pool = pool(&pair.url_of_both(), 16);
    drop((0..16).map(|_| pool.get().expect("a connection")).collect::<Vec<_>>());
    let hanging = write(&pool, 8);
    hanging.warm_up();
    eventually("there are 16 connections", || Pair::sockets(pair.first()).is_none_or(|count| count == 16));
    let opening = pool.stats().open_time.max();
    pair.first().container().expect("a container").pause().expect("a frost");
    // Earlier borrowers get a connection that was proved just before, and hang with the others.
    thread::sleep(pool.config().check_after + Duration::from_millis(100));
    let later = write(&pool, 4);
    thread::sleep(BEFORE_PROMOTION);
    pair.promote().expect("another primary");
    let (slack, promoted) = (Slack::begin(), Instant::now());
    later.go_on_from(promoted);
    let record = later.stop();
    let recovery = record.first_success_after(promoted);
    record.is_within(0);
    // An attempt that met the standby just before its promotion continues to the silent host, and the next comes after a pause.
    let most = PATIENCE + PAUSE + opening;
    assert!(recovery < most + slack.get(), "{recovery:?}, an opening {opening:?}");
    // That one begins with the host that answered last.
    let last = pool.stats().open_time.max();
    assert!(last < opening + slack.get(), "an opening of {last:?}, and {opening:?} before the frost");
    tell("primary frozen, 4 threads come later", &record, "the promotion", recovery);
    let left = ten_seconds_after(promoted, &pool, 4, || Pair::sockets(pair.first()));
    assert!(left.is_none_or(|left| left == 8), "{left:?} connections to the frozen server, where 8 hang");
    // The hanging threads wait for an answer of the frozen server.
    pair.first().container().expect("a container").kill().expect("a death");
    let record = hanging.stop();
    assert!(record.failed_gets.is_empty(), "{:?}", record.failed_gets);
    is_over(&pool, pair.second());
}

fn a_primary_that_turns_read_only_costs_one_error_a_connection() {
    let pair = Pair::start().expect("two servers");
    let name = Proxy::start(Pair::address(pair.first())).expect("a proxy");
    let pool = pool(&pair.url_at(name.address()), 8);
    let load = write(&pool, 8);
    load.warm_up();
    pair.promote().expect("another primary");
    name.lead_to(Pair::address(pair.second())).expect("an address");
    let mut admin = pair.first().log_in().expect("a login");
    admin.execute("ALTER SYSTEM SET default_transaction_read_only = on").expect("a setting");
    admin.execute("SELECT pg_reload_conf()").expect("a reload");
    let (slack, turned) = (Slack::begin(), Instant::now());
    eventually("no session is left at the wrong server", || sessions(pair.first()) == 0);
    let left = turned.elapsed();
    assert!(left < TEN_SECONDS, "{left:?}");
    load.go_on_from(Instant::now());
    let record = load.stop();
    record.is_within(8);
    // Sessions that have not noticed it yet continue to write.
    let gap = record.longest_gap_after(turned);
    assert!(gap < Duration::from_secs(1) + slack.get(), "{gap:?}");
    figure(format!(
        "primary turned read-only, sessions alive: failed gets 0, failed writes {}, no session after {left:.0?}, no success for \
         {gap:.0?} at most",
        record.failed_queries.len(),
    ));
    assert_eq!(ten_seconds_after(turned, &pool, 8, || sessions(pair.first())), 0, "sessions at the old primary");
    is_over(&pool, pair.second());
}

pub(super) fn pool(url: &str, max_size: u32) -> SubjectPool<Postgres> {
    let manager = PostgresManager::from_url(url, NoTls).expect("a URL").role(Role::Primary);
    let settings = Pool::builder().max_size(max_size).acquire_timeout(Duration::from_secs(60));
    settings.build(manager).expect("a pool")
}

pub(super) fn write(pool: &SubjectPool<Postgres>, threads: usize) -> Load {
    Load::asking::<Postgres>(WRITE, pool, threads, pool.config().acquire_timeout)
}

pub(super) fn tell(what: &str, record: &Record, since: &str, recovery: Duration) {
    let failed = record.failed_queries.len();
    figure(format!("{what}: failed gets 0, failed writes {failed}, first success {recovery:.0?} after {since}"));
}

pub(super) fn sessions(server: &Running) -> usize {
    Pair::sessions(server).expect("a server that is there")
}

/// The count ten seconds after this moment, while this many threads write without an error. They use all connections with little load,
/// and other cases may run meanwhile.
pub(super) fn ten_seconds_after<T>(
    moment: Instant,
    pool: &SubjectPool<Postgres>,
    threads: usize,
    count: impl FnOnce() -> T,
) -> T {
    leave_server();
    let write_and_rest = |conn: &mut Conn<Postgres>| {
        let written = Postgres::number(conn, WRITE).map(|_| ());
        thread::sleep(Duration::from_millis(20));
        written
    };
    let load = Load::doing::<Postgres>(write_and_rest, pool, threads, pool.config().acquire_timeout);
    thread::sleep(TEN_SECONDS.saturating_sub(moment.elapsed()));
    let counted = count();
    load.stop().is_within(0);
    counted
}

/// Asserts that the closed pool leaves no session at its last server.
pub(super) fn is_over(pool: &SubjectPool<Postgres>, server: &Running) {
    assert_closes_clean(pool);
    eventually("no session is left", || sessions(server) == 0);
}

const WRITE: &str = "WITH it AS (INSERT INTO written VALUES (7) RETURNING n) SELECT n FROM it";

pub(super) const BEFORE_PROMOTION: Duration = Duration::from_secs(2);
const LAG: Duration = Duration::from_secs(5);
const TEN_SECONDS: Duration = Duration::from_secs(10);
/// The longest pause between two attempts in an outage.
pub(super) const PAUSE: Duration = Duration::from_millis(500);
/// The time after which a host that has not answered four consecutive attempts is abandoned for the next.
const PATIENCE: Duration = Duration::from_millis(500);
