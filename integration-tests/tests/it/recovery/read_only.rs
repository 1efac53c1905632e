//! A MySQL or MariaDB server becomes read-only under its sessions, which survive, and accepts writes again: the cost for the pool's
//! users, with a role and without one.
//!
//! The pool's user is not allowed to write on a read-only server.

use super::load::Load;
use super::slack::Slack;
use super::whole::{is_over, is_whole};
use crate::cases::add;
use crate::subject::{Remote, SubjectPool};
use cabrank::{CloseReason, Fault, GetError, Pool, PooledConnection, SessionPolicy};
use cabrank_mysql::mysql::Error;
use cabrank_mysql::mysql::prelude::Queryable;
use cabrank_mysql::{Connection, MySqlManager, Role, mysql};
use cabrank_testing::{Recorder, eventually};
use integration_tests::{Case, Database, figure};
use std::time::{Duration, Instant};

pub(crate) fn cases<S: Remote<Manager = MySqlManager>>(cases: &mut Vec<Case>) {
    add!(cases, S, Control, a_server_that_turns_read_only_costs_one_error_a_connection);
    add!(cases, S, Control, a_refused_write_that_is_reported_closes_its_session);
    add!(cases, S, Control, a_check_finds_a_server_that_has_become_read_only);
    add!(cases, S, Control, a_standby_is_lent_while_the_server_is_read_only);
    add!(cases, S, Control, without_a_role_a_server_that_turns_read_only_is_told);
}

/// No connection is lent while the server is read-only, and requests meanwhile get the cause.
fn a_server_that_turns_read_only_costs_one_error_a_connection<S: Remote<Manager = MySqlManager>>() {
    let (slack, subject) = (Slack::begin(), S::new());
    let server = Access::of(subject.database());
    let pool = subject.build(subject.manager().role(Role::Primary), |builder| {
        builder.max_size(8).acquire_timeout(Duration::from_secs(60))
    });
    let load = Load::doing::<S>(insert, &pool, 8, pool.config().acquire_timeout);
    load.warm_up();
    let opening = pool.stats().open_time.max();
    server.refuse_writes();
    let turned = Instant::now();
    eventually("no session is left at the server", || subject.sessions() == 0);
    let left = turned.elapsed();
    assert!(left < Duration::from_secs(10), "{left:?}");
    let lent = lent(&pool);
    let told = told(pool.get_timeout(Duration::from_millis(1_500)));
    assert!(told.contains("read-only") && told.contains("(read_only=ON), but a primary is required"), "{told}");
    assert_eq!(self::lent(&pool), lent, "none is lent meanwhile");
    server.take_writes();
    let back = Instant::now();
    load.go_on_from(back);
    let record = load.stop();
    let recovery = record.first_success_after(back);
    record.is_within(8);
    assert!(recovery < CAP + opening + slack.get(), "{recovery:?}, an opening {opening:?}");
    is_whole(&subject, &pool);
    figure(format!(
        "read-only for {:.1?}: failed gets 0, failed writes {} (8 connections), no session after {left:.1?}, \
         first success {recovery:.0?} after it takes writes",
        back - turned,
        record.failed_queries.len(),
    ));
}

/// The session policy is `Never`, so no reset queries the role.
fn a_refused_write_that_is_reported_closes_its_session<S: Remote<Manager = MySqlManager>>() {
    let subject = S::new();
    let server = Access::of(subject.database());
    let pool = unasked(&subject, Role::Primary);
    let mut conn = pool.get().unwrap();
    insert(&mut conn).expect("a row");
    server.refuse_writes();
    let error = insert(&mut conn).expect_err("it is read-only");
    assert_eq!(code(&error), READ_ONLY);
    assert_eq!(PooledConnection::report_error(&mut conn, &error), Fault::WrongRole);
    drop(conn);
    assert_eq!(closed_by_role(&pool), 1);
    server.take_writes();
    insert(&mut pool.get().unwrap()).expect("a row");
    is_over(&subject, &pool);
}

fn a_check_finds_a_server_that_has_become_read_only<S: Remote<Manager = MySqlManager>>() {
    let subject = S::new();
    let server = Access::of(subject.database());
    let pool = unasked(&subject, Role::Primary);
    insert(&mut pool.get().unwrap()).expect("a row");
    server.refuse_writes();
    let told = told(pool.get_timeout(Duration::from_secs(1)));
    assert!(told.contains("(read_only=ON), but a primary is required"), "{told}");
    assert_eq!((closed_by_role(&pool), pool.stats().closed.total()), (1, 1));
    server.take_writes();
    insert(&mut pool.get().unwrap()).expect("a row");
    is_over(&subject, &pool);
}

fn a_standby_is_lent_while_the_server_is_read_only<S: Remote<Manager = MySqlManager>>() {
    let subject = S::new();
    let server = Access::of(subject.database());
    server.refuse_writes();
    let pool = unasked(&subject, Role::Standby);
    let mut conn = pool.get().unwrap();
    let error = insert(&mut conn).expect_err("it is read-only");
    assert_eq!(PooledConnection::report_error(&mut conn, &error), Fault::Statement, "as one must expect of a standby");
    drop(conn);
    S::number(&mut pool.get().unwrap(), "SELECT 7").expect("an answer");
    assert_eq!(pool.stats().closed.total(), 0);
    server.take_writes();
    let told = told(pool.get_timeout(Duration::from_secs(1)));
    assert!(told.contains("is not read-only, but a standby is required"), "{told}");
    assert_eq!(closed_by_role(&pool), 1);
    is_over(&subject, &pool);
}

/// Without a role, the query at opening and the query of a check report it; a reset leaves the report to the check that follows it.
fn without_a_role_a_server_that_turns_read_only_is_told<S: Remote<Manager = MySqlManager>>() {
    let (subject, recorder) = (S::new(), Recorder::new());
    let server = Access::of(subject.database());
    let pool = subject.pool(|builder| builder.max_size(2).check_after(Duration::ZERO).event_handler(recorder.clone()));
    subject.watch().expect("it has a server").allow(2);
    let mut one = pool.get().unwrap();
    insert(&mut one).expect("a row");
    assert_eq!(recorder.count("remarked"), 0);
    server.refuse_writes();
    let error = insert(&mut one).expect_err("it is read-only");
    assert_eq!((code(&error), PooledConnection::report_error(&mut one, &error)), (READ_ONLY, Fault::Statement));
    let _other = pool.get().unwrap();
    assert_eq!(recorder.count("remarked 2: the server "), 1, "{:?}", recorder.events());
    drop(one);
    let _one = pool.get().unwrap();
    assert_eq!(recorder.count("remarked 1: the server "), 1, "{:?}", recorder.events());
    let told = told(pool.get_timeout(Duration::from_millis(1)));
    assert!(told.contains("read-only") && told.contains("(read_only=ON)"), "{told}");
    assert_eq!(pool.stats().closed.total(), 0);
}

/// Whether the server accepts writes from users without special rights. Dropping this makes it accept them again.
struct Access<'a>(&'a Database);

impl<'a> Access<'a> {
    fn of(database: &'a Database) -> Self {
        Self(database)
    }

    fn refuse_writes(&self) {
        self.set("ON").expect("the right to set it");
    }

    fn take_writes(&self) {
        self.set("OFF").expect("the right to set it");
    }

    fn set(&self, value: &str) -> anyhow::Result<()> {
        self.0.log_in()?.execute(&format!("SET GLOBAL read_only = {value}"))
    }
}

impl Drop for Access<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.set("OFF") {
            eprintln!("the server stays read-only: {error:#}");
        }
    }
}

/// A pool of one that is checked before each loan and never reset.
fn unasked<S: Remote<Manager = MySqlManager>>(subject: &S, role: Role) -> SubjectPool<S> {
    subject.build(subject.manager().role(role), |builder| {
        builder.max_size(1).check_after(Duration::ZERO).session_policy(SessionPolicy::Never)
    })
}

fn insert(conn: &mut Connection) -> mysql::Result<()> {
    conn.query_drop("INSERT INTO numbered (x) VALUES (7)")
}

fn code(error: &Error) -> u16 {
    let Error::MySqlError(error) = error else { panic!("{error}") };
    error.code
}

fn told<C>(got: Result<C, GetError<Error>>) -> String {
    format!("{:?}", got.err().expect("no connection is available"))
}

fn lent(pool: &Pool<MySqlManager>) -> u64 {
    pool.stats().checked_out_at_once + pool.stats().checked_out_after_waiting
}

fn closed_by_role(pool: &Pool<MySqlManager>) -> u64 {
    pool.stats().closed.by(CloseReason::WrongRole)
}

/// ER_OPTION_PREVENTS_STATEMENT.
const READ_ONLY: u16 = 1290;

/// The longest pause between two attempts in an outage.
const CAP: Duration = Duration::from_millis(500);
