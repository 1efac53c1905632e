//! Faults in the set-up of a session, and how soon they are reported: errors and panics of `on_open` and of the manager, and transactions
//! left open.

use crate::support::{SLACK, builder, closed_by, ms};
use cabrank::{
    BuildError, Cause, CloseReason, Fault, GetError, Limit, Manager, Pool, SessionPolicy, SessionState, SetUp,
    TransactionError,
};
use cabrank_testing::fake::{Call, FakeConnection, FakeError, FakeServer, Outcome};
use cabrank_testing::{Recorder, eventually, timed};
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

const POLICIES: [SessionPolicy; 3] = [SessionPolicy::Tracked, SessionPolicy::Always, SessionPolicy::Never];

#[test]
fn build_tries_for_build_timeout_and_each_attempt_for_connect_timeout() {
    let server = FakeServer::new();
    server.order(Call::Connect, Outcome::Err(Fault::Unavailable));
    let settings = || builder().connect_timeout(Duration::from_secs(60));
    let (outcome, took) = timed(|| settings().build_timeout(ms(100)).build(server.manager()));
    assert!(matches!(outcome, Err(BuildError::Connect(Cause::Driver(_)))), "{outcome:?}");
    assert!(took >= ms(100) && took < ms(100) + SLACK, "{took:?}");

    // Longer than one attempt: the first hangs, the second succeeds.
    let server = FakeServer::new();
    server.next(Call::Connect, Outcome::Never);
    let pool =
        builder().connect_timeout(ms(50)).build_timeout(Duration::from_secs(60)).build(server.manager()).unwrap();
    assert_eq!((server.count(Call::Connect), pool.stats().idle), (2, 1));
}

#[test]
fn a_panic_while_opening_is_told_by_build_at_once_and_in_words() {
    for (call, who) in [
        (Call::LookUp, "the manager panicked while connecting"),
        (Call::Connect, "the manager panicked while connecting"),
        (Call::AbortHandle, "the manager panicked while connecting"),
        (Call::Session, "the manager panicked while connecting"),
        (Call::HasBroken, "the manager panicked while connecting"),
        (Call::OnOpen, "`on_open` panicked"),
    ] {
        let server = FakeServer::new();
        server.order(call, Outcome::Panic);
        let settings = builder().on_open(server.set_up()).build_timeout(Duration::from_secs(60));
        let (outcome, took) = timed(|| settings.build(server.manager()));
        assert!(took < SLACK, "{call:?}: {took:?}");
        let Err(BuildError::Connect(Cause::Panicked(text))) = &outcome else { panic!("{call:?}: {outcome:?}") };
        assert_eq!(**text, format!("{who}: as ordered: {call:?}"));
        let error = outcome.unwrap_err();
        assert_eq!(
            format!("{error:?}"),
            format!("the first connections could not be opened: {who}: as ordered: {call:?}")
        );
        eventually("nothing is left behind", || server.live() == 0);
    }
}

#[test]
fn a_panic_while_a_pool_at_work_opens_one_may_be_chance_and_is_tried_again() {
    for call in [Call::Connect, Call::OnOpen] {
        let server = FakeServer::new();
        let pool = builder().max_size(1).on_open(server.set_up()).build_lazy(server.manager()).unwrap();
        server.next(call, Outcome::Panic);
        drop(pool.get().unwrap());
        assert_eq!((pool.stats().open_failures, pool.stats().opened), (1, 1), "{call:?}");
    }
}

#[test]
fn an_on_open_that_panics_each_time_is_throttled_and_named_by_the_time_out() {
    let server = FakeServer::new();
    let pool = builder().max_size(4).on_open(server.set_up()).build_lazy(server.manager()).unwrap();
    server.order(Call::OnOpen, Outcome::Panic);
    let error = pool.get_timeout(ms(400)).unwrap_err();
    assert!(error.is_timeout(), "{error:?}");
    assert_eq!(error.source().expect("why").to_string(), "`on_open` panicked: as ordered: OnOpen");
    let opened = server.count(Call::Connect);
    assert!((2..=20).contains(&opened), "{opened} log-ins");
    server.heal();
    drop(pool.get().unwrap());
    server.assert_no_leaks(&pool);
}

#[test]
fn a_statement_of_on_open_that_fails_in_a_sound_session_is_told_at_once() {
    for fault in [Fault::Statement, Fault::Permanent] {
        let server = FakeServer::new();
        server.order(Call::OnOpen, Outcome::Err(fault));
        let settings = || builder().max_size(4).on_open(server.set_up());
        let (outcome, took) = timed(|| settings().build_timeout(A_WHILE).build(server.manager()));
        let Err(BuildError::Connect(Cause::Driver(error))) = outcome else { panic!("{fault:?}: {outcome:?}") };
        assert_eq!(*error, FakeError { call: Call::OnOpen, fault });
        assert!(took < SLACK && server.count(Call::OnOpen) == 1, "{fault:?}: {took:?}");

        let pool = settings().build_lazy(server.manager()).unwrap();
        for _ in 0..3 {
            let (error, took) = timed(|| pool.get_timeout(A_WHILE).unwrap_err());
            assert!(matches!(error, GetError::Connect(Cause::Driver(_))) && took < SLACK, "{fault:?}: {error:?}");
        }
        assert_eq!(server.count(Call::OnOpen), 2, "{fault:?}: no attempt in between");
        server.heal();
        pool.evict_all();
        drop(pool.get().unwrap());
        server.assert_no_leaks(&pool);
    }
}

#[test]
fn an_error_of_on_open_that_may_pass_is_tried_again() {
    for fault in [Fault::Retry, Fault::Unavailable, Fault::Capacity, Fault::Fatal] {
        let server = FakeServer::new();
        server.next(Call::OnOpen, Outcome::Err(fault));
        let pool = builder().max_size(2).on_open(server.set_up()).build(server.manager()).unwrap();
        assert_eq!(server.count(Call::OnOpen), 2, "{fault:?}");
        server.assert_no_leaks(&pool);
    }
    // The statement failed because the session ended.
    let server = FakeServer::new();
    server.next(Call::OnOpen, Outcome::Err(Fault::Statement));
    server.next(Call::HasBroken, Outcome::Err(Fault::Fatal));
    let pool = builder().on_open(server.set_up()).build(server.manager()).unwrap();
    assert_eq!(server.count(Call::OnOpen), 2);
    server.assert_no_leaks(&pool);
}

#[test]
fn a_failing_statement_of_on_open_fails_the_build_though_others_are_open() {
    let server = FakeServer::new();
    server.next(Call::OnOpen, Outcome::Ok);
    server.order(Call::OnOpen, Outcome::Err(Fault::Statement));
    let settings = builder().max_size(2).min_idle(2).on_open(server.set_up());
    let (outcome, took) = timed(|| settings.build_timeout(Duration::from_secs(60)).build(server.manager()));
    assert!(matches!(outcome, Err(BuildError::Connect(Cause::Driver(_)))), "{outcome:?}");
    assert!(took < SLACK, "{took:?}");
    eventually("nothing is left behind", || server.live() == 0);
}

fn begins(conn: &mut FakeConnection, _: &SetUp<'_>) -> Result<(), FakeError> {
    conn.session = SessionState::InTransaction;
    Ok(())
}

#[test]
fn a_session_that_its_set_up_leaves_in_a_transaction_is_refused_whatever_the_policy() {
    for policy in POLICIES {
        let server = FakeServer::new();
        let settings = || builder().max_size(2).session_policy(policy).on_open(begins);
        let (outcome, took) = timed(|| settings().build_timeout(Duration::from_secs(60)).build(server.manager()));
        let error = outcome.unwrap_err();
        assert!(matches!(error, BuildError::Connect(Cause::InTransaction)), "{policy:?}: {error:?}");
        assert!(took < A_WHILE / 2 && server.count(Call::Connect) == 1, "{policy:?}: {took:?}");
        let text = format!("{error:?}");
        assert!(text.contains("left a transaction open: commit it there, or begin it in the loan"), "{text}");

        let (recorder, pool) = (Recorder::new(), settings());
        let pool = pool.event_handler(Arc::clone(&recorder) as _).build_lazy(server.manager()).unwrap();
        let (error, took) = timed(|| pool.get_timeout(Duration::from_secs(60)).unwrap_err());
        assert!(matches!(error, GetError::Connect(Cause::InTransaction)), "{policy:?}: {error:?}");
        assert!(took < A_WHILE / 2, "{policy:?}: {took:?}");
        // The waiter is woken before the event is sent.
        eventually("it is reported", || recorder.count("open failed: the set-up of the session") == 1);
        server.assert_closes_clean(&pool);
    }
}

/// Must ask the server whether a transaction is open, because `session` does not show it.
struct Asking {
    answer: fn() -> Result<SessionState, FakeError>,
    connects: Arc<AtomicU32>,
}

impl Manager for Asking {
    type Connection = ();
    type Error = FakeError;

    fn connect(&self, _: &Limit) -> Result<(), FakeError> {
        self.connects.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    fn is_valid(&self, (): &mut (), _: &Limit) -> Result<(), FakeError> {
        Ok(())
    }

    fn has_broken(&self, (): &mut ()) -> bool {
        false
    }

    fn check_set_up(&self, (): &mut (), limit: &Limit) -> Result<SessionState, FakeError> {
        assert!(limit.remaining().is_some_and(|left| left > Duration::ZERO), "the time that is left of the opening");
        (self.answer)()
    }
}

#[test]
fn a_manager_may_ask_the_server_how_the_set_up_has_left_a_session() {
    type Answer = fn() -> Result<SessionState, FakeError>;
    let open: Answer = || Ok(SessionState::InTransaction);
    let fails: Answer = || Err(FakeError { call: Call::Session, fault: Fault::Permanent });
    for policy in POLICIES {
        let build = |answer: Answer| {
            let connects = Arc::new(AtomicU32::new(0));
            let manager = Asking { answer, connects: Arc::clone(&connects) };
            let settings = Pool::builder().max_size(1).session_policy(policy).build_timeout(Duration::from_secs(60));
            (settings.build(manager), connects.load(Ordering::SeqCst))
        };
        let (outcome, connects) = build(open);
        assert!(matches!(outcome, Err(BuildError::Connect(Cause::InTransaction))), "{policy:?}: {outcome:?}");
        assert_eq!(connects, 1, "{policy:?}");
        let (outcome, connects) = build(fails);
        assert!(matches!(outcome, Err(BuildError::Connect(Cause::Driver(_)))), "{policy:?}: {outcome:?}");
        assert_eq!(connects, 1, "{policy:?}");
        let (outcome, _) = build(|| Ok(SessionState::Unknown));
        drop(outcome.unwrap().get().unwrap());
    }
}

#[test]
fn a_session_that_its_set_up_leaves_in_a_transaction_after_a_reset_is_closed() {
    let server = FakeServer::new();
    let begin = Arc::new(AtomicBool::new(false));
    let ordered = Arc::clone(&begin);
    let on_open = move |conn: &mut FakeConnection, set_up: &SetUp<'_>| {
        if ordered.swap(false, Ordering::SeqCst) { begins(conn, set_up) } else { Ok(()) }
    };
    let recorder = Recorder::new();
    let settings = builder().max_size(1).on_open(on_open).event_handler(Arc::clone(&recorder) as _);
    let pool = settings.build(server.manager()).unwrap();
    begin.store(true, Ordering::SeqCst);
    pool.get().unwrap().litter();
    eventually("it is closed", || closed_by(&pool, CloseReason::ResetFailed) == 1);
    let told = recorder.events().into_iter().filter(|line| line.contains("left a transaction open")).count();
    assert_eq!(told, 1, "{:?}", recorder.events());
    assert_eq!(pool.get().unwrap().session, SessionState::Clean, "the next is another");
    server.assert_no_leaks(&pool);
}

#[test]
fn a_set_up_that_commits_what_it_begins_is_sound() {
    for policy in POLICIES {
        let server = FakeServer::new();
        let on_open = |conn: &mut FakeConnection, set_up: &SetUp<'_>| {
            begins(conn, set_up)?;
            conn.session = SessionState::Unknown;
            Ok(())
        };
        let pool = builder().session_policy(policy).on_open(on_open).build(server.manager()).unwrap();
        drop(pool.get().unwrap());
        server.assert_no_leaks(&pool);
    }
}

#[test]
fn a_transaction_never_begins_inside_one_that_is_open() {
    let server = FakeServer::new();
    let pool = builder().max_size(1).session_policy(SessionPolicy::Never).build(server.manager()).unwrap();
    pool.get().unwrap().session = SessionState::InTransaction;
    let outcome = pool.transaction().retries(3).run(|_| -> Result<(), FakeError> { panic!("it must not run") });
    assert!(matches!(outcome, Err(TransactionError::InTransaction)), "{outcome:?}");
    assert_eq!((server.count(Call::Begin), closed_by(&pool, CloseReason::Discarded)), (0, 1));
    pool.transaction().run(|tx| tx.query()).unwrap();
    assert_eq!((server.count(Call::Begin), server.count(Call::Commit)), (1, 1), "in a new connection");
    server.assert_no_leaks(&pool);
}

#[test]
fn on_open_is_told_whether_it_is_the_first_time_and_how_long_it_has() {
    let server = FakeServer::new();
    let told = Arc::new(std::sync::Mutex::new(Vec::new()));
    let notes = Arc::clone(&told);
    let on_open = move |_: &mut FakeConnection, set_up: &SetUp<'_>| {
        let left = set_up.limit().remaining().expect("both have a limit");
        notes.lock().unwrap().push((set_up.is_first(), left.as_secs() / 100));
        Ok(())
    };
    let (connect, reset) = (Duration::from_secs(350), Duration::from_secs(750));
    let settings = builder().max_size(1).connect_timeout(connect).reset_timeout(reset).on_open(on_open);
    let pool = settings.build(server.manager()).unwrap();
    for _ in 0..2 {
        pool.get().unwrap().litter();
    }
    cabrank::PooledConnection::discard(pool.get().unwrap());
    drop(pool.get().unwrap());
    assert_eq!(*told.lock().unwrap(), [(true, 3), (false, 7), (false, 7), (true, 3)]);
    server.assert_no_leaks(&pool);
}

/// A request that runs into its time-out waits this long.
const A_WHILE: Duration = Duration::from_secs(60);
