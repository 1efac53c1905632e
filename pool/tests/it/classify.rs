//! `Builder::classify`: the user's classification of an error takes precedence over the manager's.

use crate::support::{SLACK, builder, closed_by};
use crate::transactions::error;
use cabrank::{BuildError, Cause, CloseReason, Fault, GetError, PooledConnection, TransactionError};
use cabrank_testing::fake::{Call, FakeError, FakeServer, Outcome};
use cabrank_testing::timed;
use std::time::Duration;

/// Classifies the errors of one fault as those of another.
fn instead(of: Fault, fault: Fault) -> impl Fn(&FakeError) -> Option<Fault> + Send + Sync + 'static {
    move |error| (error.fault == of).then_some(fault)
}

#[test]
fn classify_is_asked_first_for_errors_of_opening() {
    for call in [Call::Connect, Call::OnOpen] {
        // The manager would retry for a minute.
        let server = FakeServer::new();
        server.order(call, Outcome::Err(Fault::Unavailable));
        let settings = || {
            let settings = builder().on_open(server.set_up()).build_timeout(Duration::from_secs(60));
            settings.classify(instead(Fault::Unavailable, Fault::Permanent))
        };
        let (outcome, took) = timed(|| settings().build(server.manager()));
        assert!(matches!(outcome, Err(BuildError::Connect(Cause::Driver(_)))) && took < SLACK, "{outcome:?}: {took:?}");
        assert_eq!(server.count(call), 1, "{call:?}");

        let pool = settings().build_lazy(server.manager()).unwrap();
        let refused = pool.get();
        assert!(matches!(refused, Err(GetError::Connect(_))), "{call:?}: {refused:?}");
        let refused = pool.try_get();
        assert!(matches!(refused, Err(GetError::Connect(_))), "{call:?}: {refused:?}");

        // The manager would give up at once.
        let server = FakeServer::new();
        server.next(call, Outcome::Err(Fault::Permanent));
        let settings = builder().on_open(server.set_up()).classify(instead(Fault::Permanent, Fault::Unavailable));
        let pool = settings.build(server.manager()).unwrap();
        assert_eq!(server.count(call), 2, "{call:?}");
        server.assert_no_leaks(&pool);
    }
}

#[test]
fn classify_is_asked_first_for_errors_of_loans() {
    let server = FakeServer::new();
    let settings = builder().max_size(1).classify(instead(Fault::Statement, Fault::Fatal));
    let pool = settings.build(server.manager()).unwrap();
    let broken = || closed_by(&pool, CloseReason::Broken);

    let mut conn = pool.get().unwrap();
    assert_eq!(PooledConnection::report_error(&mut conn, &error(Fault::Retry)), Fault::Retry);
    assert_eq!(PooledConnection::report_error(&mut conn, &error(Fault::Statement)), Fault::Fatal);
    drop(conn);
    assert_eq!(broken(), 1, "reported");
    let _ = pool.run(|_| Err::<(), _>(anyhow::Error::new(error(Fault::Statement))));
    assert_eq!(broken(), 2, "in `run`");
    let _ = pool.transaction().run(|_| Err::<(), _>(error(Fault::Statement)));
    assert_eq!(broken(), 3, "in a transaction");
    server.next(Call::Begin, Outcome::Err(Fault::Statement));
    let _ = pool.transaction().run(|_| Ok::<_, FakeError>(()));
    assert_eq!(broken(), 4, "at its beginning");
    server.next(Call::Commit, Outcome::Err(Fault::Statement));
    let outcome = pool.transaction().run(|_| Ok::<_, FakeError>(()));
    assert!(matches!(outcome, Err(TransactionError::Unknown(_))), "{outcome:?}");
    assert_eq!(broken(), 5, "at its commit");
    server.assert_no_leaks(&pool);
}

#[test]
fn the_manager_sees_what_classify_decides() {
    let server = FakeServer::new();
    let pool = builder().classify(instead(Fault::Statement, Fault::Retry)).build(server.manager()).unwrap();
    let mut conn = pool.get().unwrap();
    let before = server.count(Call::Fault);
    assert_eq!(PooledConnection::report_error(&mut conn, &error(Fault::Statement)), Fault::Retry);
    assert_eq!(server.count(Call::Fault), before + 1);
    server.next(Call::Fault, Outcome::Panic);
    assert_eq!(PooledConnection::report_error(&mut conn, &error(Fault::Statement)), Fault::Retry, "the manager panics");
    drop(conn);
    server.assert_no_leaks(&pool);
}

#[test]
fn classify_decides_what_is_run_again() {
    let server = FakeServer::new();
    let pool = builder().classify(instead(Fault::Statement, Fault::Retry)).build(server.manager()).unwrap();
    let mut runs = 0;
    let outcome = pool.transaction().retries(2).run(|_| {
        runs += 1;
        if runs < 3 { Err(error(Fault::Statement)) } else { Ok(()) }
    });
    assert!(outcome.is_ok() && runs == 3, "{outcome:?} after {runs}");
    server.assert_no_leaks(&pool);
}

#[test]
fn what_classify_leaves_open_or_panics_at_is_the_managers_to_say() {
    let nothing = |_: &FakeError| None;
    let panics = |_: &FakeError| -> Option<Fault> { panic!("{}", cabrank_testing::panics::ORDERED) };
    let server = FakeServer::new();
    for settings in [builder().classify(nothing), builder().classify(panics)] {
        let pool = settings.build(server.manager()).unwrap();
        let mut conn = pool.get().unwrap();
        for fault in [Fault::Statement, Fault::Retry, Fault::Unavailable, Fault::Fatal] {
            assert_eq!(PooledConnection::report_error(&mut conn, &error(fault)), fault);
        }
        server.next(Call::Fault, Outcome::Panic);
        assert_eq!(PooledConnection::report_error(&mut conn, &error(Fault::Retry)), Fault::Fatal, "both panic");
        drop(conn);
        server.assert_no_leaks(&pool);
    }
}
