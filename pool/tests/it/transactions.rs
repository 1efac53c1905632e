//! `run` and `transaction`: the driver's error is found at any depth, retries happen only on request, and a commit whose outcome is
//! unknown is never repeated.

use crate::support::{Pool, builder, closed_by, hold, ms};
use cabrank::{CloseReason, Fault, PooledConnection, RunError, TransactionError};
use cabrank_testing::fake::{Call, FakeError, FakeServer, FakeSource, FakeTransaction, Outcome};
use cabrank_testing::panics::ORDERED;
use cabrank_testing::timed;
use std::error::Error;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// An application's own error, with the driver's inside.
#[derive(Debug)]
enum AppError {
    Database(FakeError),
    /// Like `#[error(transparent)]`: it hides the inner error, and has that error's source.
    Transparent(FakeSource),
    Own,
}

impl fmt::Display for AppError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the application failed")
    }
}

impl Error for AppError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Database(error) => Some(error),
            Self::Transparent(source) => Some(source),
            Self::Own => None,
        }
    }
}

pub(crate) const fn error(fault: Fault) -> FakeError {
    FakeError { call: Call::Query, fault }
}

fn one(server: &FakeServer) -> Pool {
    server.allow(1);
    builder().max_size(1).build_lazy(server.manager()).unwrap()
}

#[test]
fn run_finds_the_drivers_error_whatever_the_closure_returns() {
    let server = FakeServer::new();
    let pool = one(&server);
    let broken = || closed_by(&pool, CloseReason::Broken);

    assert!(matches!(pool.run(|_| Err::<(), _>(error(Fault::Fatal))), Err(RunError::User(_))));
    assert_eq!(broken(), 1, "itself");
    assert!(pool.run(|_| Err::<(), _>(AppError::Database(error(Fault::Fatal)))).is_err());
    assert_eq!(broken(), 2, "in an enum");
    assert!(pool.run(|_| Err::<(), _>(anyhow::Error::new(error(Fault::Fatal)).context("while testing"))).is_err());
    assert_eq!(broken(), 3, "in anyhow::Error");
    assert!(pool.run(|_| Err::<(), Box<dyn Error + Send + Sync>>(error(Fault::Fatal).into())).is_err());
    assert_eq!(broken(), 4, "in a box that may move");
    assert!(pool.run(|_| Err::<(), Box<dyn Error>>(error(Fault::Fatal).into())).is_err());
    assert_eq!(broken(), 5, "in a box");

    assert!(pool.run(|_| Err::<(), _>(AppError::Transparent(FakeSource(Fault::Fatal)))).is_err());
    assert_eq!(broken(), 6, "by its source, because the error itself is hidden");

    assert!(pool.run(|_| Err::<(), _>(error(Fault::Statement))).is_err());
    assert!(pool.run(|_| Err::<(), _>(AppError::Own)).is_err());
    assert_eq!(pool.run(|conn| conn.query().map(|()| 7)).unwrap(), 7);
    assert_eq!(broken(), 6, "nothing else proves a death");
    server.assert_no_leaks(&pool);
}

#[test]
fn a_transaction_is_tried_again_though_the_drivers_error_is_hidden_if_the_manager_knows_its_source() {
    let server = FakeServer::new();
    let pool = one(&server);
    let mut runs = 0;
    let outcome = pool.transaction().retries(2).run(|_| {
        runs += 1;
        Err::<(), _>(AppError::Transparent(FakeSource(Fault::Retry)))
    });
    assert!(matches!(outcome, Err(TransactionError::User(error)) if matches!(*error, AppError::Transparent(_))));
    assert_eq!(runs, 3);
}

#[test]
fn where_there_is_a_classify_a_hidden_error_closes_no_connection_and_is_tried_again_all_the_same() {
    let server = FakeServer::new();
    server.allow(1);
    let pool = builder().max_size(1).classify(|_| None).build_lazy(server.manager()).unwrap();
    let hidden = |fault| Err::<(), _>(AppError::Transparent(FakeSource(fault)));
    assert!(pool.run(|_| hidden(Fault::Fatal)).is_err());
    assert_eq!(closed_by(&pool, CloseReason::Broken), 0, "`classify` might overrule it");
    let mut runs = 0;
    let outcome = pool.transaction().retries(1).run(|_| {
        runs += 1;
        hidden(Fault::Retry)
    });
    assert!(outcome.is_err());
    assert_eq!((runs, pool.stats().opened), (2, 1));
}

#[test]
fn a_transaction_commits_or_rolls_back() {
    let server = FakeServer::new();
    let pool = one(&server);
    assert_eq!(pool.transaction().run(|tx| tx.query().map(|()| 3)).unwrap(), 3);
    assert_eq!((server.count(Call::Commit), server.count(Call::Rollback)), (1, 0));
    let outcome = pool.transaction().run(|_| Err::<(), _>(AppError::Own));
    assert!(matches!(outcome, Err(TransactionError::User(error)) if matches!(*error, AppError::Own)));
    assert_eq!((server.count(Call::Commit), server.count(Call::Rollback)), (1, 1));
    assert_eq!(pool.stats().opened, 1, "the connection is fine");
    assert_eq!(server.count(Call::Reset), 0, "and its session clean");
}

#[test]
fn a_transaction_is_tried_again_only_when_asked_and_its_closure_runs_anew() {
    let server = FakeServer::new();
    let pool = one(&server);
    let mut runs = 0;
    let outcome = pool.transaction().run(|_| {
        runs += 1;
        Err::<(), _>(error(Fault::Retry))
    });
    assert!(matches!(outcome, Err(TransactionError::User(_))));
    assert_eq!(runs, 1, "not requested");

    // Wherever the failure occurs: in the closure, however wrapped, or at the commit.
    for kind in 0..4 {
        let mut runs = 0;
        if kind == 3 {
            server.next(Call::Commit, Outcome::Err(Fault::Retry));
            server.next(Call::Commit, Outcome::Err(Fault::Retry));
        }
        let outcome = pool.transaction().retries(5).run(|_| -> anyhow::Result<u32> {
            runs += 1;
            match (kind, runs) {
                (0, 1..=2) => Err(error(Fault::Retry).into()),
                (1, 1..=2) => Err(AppError::Database(error(Fault::Retry)).into()),
                (2, 1..=2) => Err(anyhow::Error::new(error(Fault::Retry)).context("deep")),
                _ => Ok(runs),
            }
        });
        assert_eq!(outcome.unwrap(), 3, "kind {kind}");
    }

    let mut runs = 0;
    let (outcome, took) = timed(|| {
        pool.transaction().retries(3).run(|_| {
            runs += 1;
            Err::<(), _>(error(Fault::Retry))
        })
    });
    assert!(outcome.is_err());
    assert_eq!(runs, 4, "once, and three times again");
    assert!(took < ms(2 + 4 + 8) + crate::support::SLACK, "{took:?}");
    server.assert_no_leaks(&pool);
}

#[test]
fn other_errors_are_never_tried_again() {
    let others =
        [Fault::Statement, Fault::Fatal, Fault::WrongRole, Fault::Unavailable, Fault::Capacity, Fault::Permanent];
    for fault in others {
        let server = FakeServer::new();
        let pool = one(&server);
        let mut runs = 0;
        let outcome = pool.transaction().retries(5).run(|_| {
            runs += 1;
            Err::<(), _>(error(fault))
        });
        assert!(matches!(outcome, Err(TransactionError::User(_))));
        assert_eq!(runs, 1, "{fault:?}");
        server.assert_no_leaks(&pool);
    }
}

#[test]
fn a_commit_whose_connection_was_lost_is_unknown_and_never_made_twice() {
    let server = FakeServer::new();
    let pool = one(&server);
    server.order(Call::Commit, Outcome::Err(Fault::Fatal));
    let mut runs = 0;
    let outcome = pool.transaction().retries(5).run(|_| {
        runs += 1;
        Ok::<_, AppError>(())
    });
    let error = outcome.unwrap_err();
    assert!(matches!(error, TransactionError::Unknown(_)), "{error}");
    assert!(error.to_string().contains("may or may not have taken effect"), "{error}");
    assert_eq!((runs, server.count(Call::Commit)), (1, 1));
    assert_eq!(closed_by(&pool, CloseReason::Broken), 1);

    // A commit that the server refused is not unknown: nothing was done.
    for fault in [Fault::Statement, Fault::WrongRole] {
        server.order(Call::Commit, Outcome::Err(fault));
        let error = pool.transaction().run(|_| Ok::<_, AppError>(())).unwrap_err();
        assert!(matches!(error, TransactionError::Commit(_)), "{error}");
    }
    server.heal();
    server.assert_no_leaks(&pool);
}

#[test]
fn a_transaction_that_cannot_begin_or_has_no_connection_did_nothing() {
    let server = FakeServer::new();
    let pool = builder().max_size(1).acquire_timeout(ms(10)).build_lazy(server.manager()).unwrap();
    server.next(Call::Begin, Outcome::Err(Fault::Statement));
    let mut runs = 0;
    let mut work = |_: &mut FakeTransaction<'_>| {
        runs += 1;
        Ok::<_, AppError>(())
    };
    assert!(matches!(pool.transaction().run(&mut work), Err(TransactionError::Begin(_))));
    let held = hold(&pool, 1);
    let error = pool.transaction().run(&mut work).unwrap_err();
    assert!(matches!(error, TransactionError::Get(_)), "{error}");
    assert!(error.to_string().contains("no connection within"), "{error}");
    assert_eq!(runs, 0);
    drop(held);
}

#[test]
fn a_rollback_that_fails_closes_the_connection() {
    let server = FakeServer::new();
    let pool = one(&server);
    server.next(Call::Rollback, Outcome::Err(Fault::Statement));
    let mut runs = 0;
    let outcome = pool.transaction().retries(3).run(|_| {
        runs += 1;
        Err::<(), _>(error(Fault::Retry))
    });
    assert!(outcome.is_err());
    assert_eq!(runs, 1, "what is left of the transaction is not built upon");
    assert_eq!(closed_by(&pool, CloseReason::Discarded), 1);
    server.assert_no_leaks(&pool);
}

#[test]
fn a_panic_in_a_transaction_closes_the_connection() {
    let server = FakeServer::new();
    let pool = one(&server);
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        pool.transaction().retries(3).run(|_| -> Result<(), AppError> { panic!("{ORDERED}") })
    }));
    assert!(outcome.is_err());
    assert_eq!(server.count(Call::Commit), 0);
    assert_eq!(closed_by(&pool, CloseReason::Panicked), 1);
    server.assert_no_leaks(&pool);
}

#[test]
fn a_panic_in_begin_commit_or_rollback_loses_no_slot() {
    for call in [Call::Begin, Call::Commit, Call::Rollback] {
        let server = FakeServer::new();
        let pool = one(&server);
        server.next(call, Outcome::Panic);
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let fails = call == Call::Rollback;
            pool.transaction().run(|_| if fails { Err(AppError::Own) } else { Ok(()) })
        }));
        assert!(outcome.is_err(), "{call:?}");
        server.assert_no_leaks(&pool);
    }
}

#[test]
fn note_returns_what_the_manager_makes_of_an_error() {
    let server = FakeServer::new();
    let pool = one(&server);
    let mut conn = pool.get().unwrap();
    for fault in [Fault::Statement, Fault::Retry, Fault::Unavailable, Fault::Fatal] {
        assert_eq!(PooledConnection::report_error(&mut conn, &error(fault)), fault);
    }
    drop(conn);
    assert_eq!(closed_by(&pool, CloseReason::Broken), 1);
}
