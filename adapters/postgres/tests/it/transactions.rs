//! Transactions through the pool.

use crate::fixture::{Server, builder, on_server, taken};
use cabrank_postgres::cabrank::{BuildError, Cause, CloseReason, SessionPolicy, SetUp, TransactionError};
use cabrank_postgres::postgres::error::SqlState;
use cabrank_postgres::postgres::{Error, IsolationLevel, NoTls};
use cabrank_postgres::{Connection, PostgresManager, TransactionOptions};
use cabrank_testing::{NetworkFault, Way};
use std::error::Error as StdError;
use std::time::{Duration, Instant};
use std::{fmt, thread};

fn serializable() -> TransactionOptions {
    TransactionOptions::new().isolation_level(IsolationLevel::Serializable)
}

fn increments_that_conflict_are_retried_until_all_are_done(server: Server) {
    server.table("counted", "n int");
    server.client().batch_execute("INSERT INTO counted VALUES (0)").expect("a row");
    let pool = server.pool(4);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..50 {
                    let increment =
                        pool.transaction().options(serializable()).retries(1000).run(|tx| -> Result<(), Error> {
                            let n: i32 = tx.query_one("SELECT n FROM counted", &[])?.get(0);
                            tx.execute("UPDATE counted SET n = $1", &[&(n + 1)])?;
                            Ok(())
                        });
                    increment.expect("a commit");
                }
            });
        }
    });
    let n: i32 = server.client().query_one("SELECT n FROM counted", &[]).expect("a row").get(0);
    assert_eq!(n, 200);
    assert_eq!(pool.stats().opened, u64::from(pool.stats().open), "no connection was lost over it");
}

/// Like a derived `#[error(transparent)]`: it has the text of the driver's error, and hides the error itself.
#[derive(Debug)]
struct Transparent(Error);

impl fmt::Display for Transparent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl StdError for Transparent {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source()
    }
}

fn a_conflict_is_seen_through_a_transparent_error(server: Server) {
    let pool = server.pool(1);
    let mut attempts = 0;
    let outcome = pool.transaction().retries(2).run(|tx| {
        attempts += 1;
        tx.batch_execute("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40001'; END $$").map_err(Transparent)
    });
    assert!(matches!(outcome, Err(TransactionError::User(_))), "{outcome:?}");
    assert_eq!((attempts, pool.stats().opened), (3, 1));
}

fn a_deadlock_is_retried(server: Server) {
    server.table("locked", "id int PRIMARY KEY, n int");
    server.client().batch_execute("INSERT INTO locked VALUES (1, 0), (2, 0)").expect("rows");
    let pool = server.pool(2);
    let both_hold_one = std::sync::Barrier::new(2);
    thread::scope(|scope| {
        for (first, second) in [(1, 2), (2, 1)] {
            let (pool, both_hold_one) = (&pool, &both_hold_one);
            scope.spawn(move || {
                let mut first_time = true;
                let done = pool.transaction().retries(5).run(|tx| -> Result<(), Error> {
                    tx.execute("UPDATE locked SET n = n + 1 WHERE id = $1", &[&first])?;
                    if std::mem::take(&mut first_time) {
                        both_hold_one.wait();
                    }
                    tx.execute("UPDATE locked SET n = n + 1 WHERE id = $1", &[&second])?;
                    Ok(())
                });
                done.expect("a commit");
            });
        }
    });
    let sum: i64 = server.client().query_one("SELECT sum(n) FROM locked", &[]).expect("a row").get(0);
    assert_eq!(sum, 4);
}

/// The closure ignores an error, and the server would answer COMMIT with a rollback.
fn a_commit_that_became_a_rollback_is_an_error(server: Server) {
    server.table("not_committed", "i int");
    let pool = server.pool(1);
    let outcome = pool.transaction().run(|tx| -> Result<(), Error> {
        tx.execute("INSERT INTO not_committed VALUES (1)", &[])?;
        let _ = tx.batch_execute("SELECT 1/0");
        Ok(())
    });
    let Err(TransactionError::Commit(error)) = outcome else { panic!("{outcome:?}") };
    assert_eq!(error.code(), Some(&SqlState::IN_FAILED_SQL_TRANSACTION));
    assert_eq!(pool.get().expect("a connection").query("SELECT * FROM not_committed", &[]).expect("rows").len(), 0);
    assert_eq!((pool.stats().opened, pool.stats().resets_done), (1, 0));
}

fn a_commit_that_fails_leaves_a_good_connection(server: Server) {
    server.table("deferred", "i int UNIQUE DEFERRABLE INITIALLY DEFERRED");
    let (tell, told) = std::sync::mpsc::channel();
    let mut config = server.config.clone();
    config.notice_callback(move |notice| drop(tell.send(notice.message().to_owned())));
    let pool = builder().max_size(1).build(PostgresManager::new(config, NoTls)).expect("a pool");
    for _ in 0..3 {
        let outcome = pool.transaction().run(|tx| tx.batch_execute("INSERT INTO deferred VALUES (1), (1)"));
        let Err(TransactionError::Commit(error)) = outcome else { panic!("{outcome:?}") };
        assert_eq!(error.code(), Some(&SqlState::UNIQUE_VIOLATION));
    }
    assert_eq!(told.try_iter().collect::<Vec<_>>(), Vec::<String>::new(), "no warning in the server's log");
    assert_eq!((pool.stats().opened, pool.stats().resets_done), (1, 0));
}

fn a_commit_is_one_message_and_a_good_transaction_needs_no_reset(server: Server) {
    let proxy = server.proxy();
    let pool = builder().max_size(1).build(PostgresManager::new(server.through(&proxy), NoTls)).expect("a pool");
    for _ in 0..2 {
        taken(&proxy);
        let options =
            TransactionOptions::new().read_only(true).deferrable(true).isolation_level(IsolationLevel::Serializable);
        pool.transaction().options(options).run(|tx| tx.batch_execute("SELECT 1")).expect("a commit");
        let begin = "Q START TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY, DEFERRABLE";
        assert_eq!(taken(&proxy), [begin, "Q SELECT 1", "Q SELECT 1; COMMIT"]);
    }
    assert_eq!(pool.stats().resets_skipped, 2);
}

fn an_abort_during_the_commit_leaves_the_outcome_unknown_and_is_not_retried(server: Server) {
    server.table("unknown", "i int");
    let proxy = server.proxy();
    let pool = builder().max_size(1).build(PostgresManager::new(server.through(&proxy), NoTls)).expect("a pool");
    proxy.set(NetworkFault::CloseAt(Way::ToServer, b"COMMIT"));
    let mut attempts = 0;
    let outcome = pool.transaction().retries(5).run(|tx| {
        attempts += 1;
        tx.batch_execute("INSERT INTO unknown VALUES (1)")
    });
    assert!(matches!(outcome, Err(TransactionError::Unknown(_))), "{outcome:?}");
    assert_eq!((attempts, pool.stats().closed.by(CloseReason::Broken)), (1, 1));
    pool.get().expect("another connection").batch_execute("SELECT 1").expect("an answer");
}

fn a_closure_that_fails_or_panics_commits_nothing(server: Server) {
    server.table("undone", "i int");
    let pool = server.pool(1);
    let failed = pool.transaction().run(|tx| -> Result<(), Box<dyn std::error::Error>> {
        tx.execute("INSERT INTO undone VALUES (1)", &[])?;
        Err("changed my mind".into())
    });
    assert!(matches!(failed, Err(TransactionError::User(_))));
    let panicking = pool.clone();
    let panicked = thread::spawn(move || {
        let _ = panicking.transaction().run(|tx| -> Result<(), Error> {
            tx.execute("INSERT INTO undone VALUES (2)", &[])?;
            panic!("on purpose");
        });
    });
    assert!(panicked.join().is_err());
    assert_eq!(pool.get().expect("a connection").query("SELECT * FROM undone", &[]).expect("rows").len(), 0);
}

/// The server refuses each further statement until a rollback to the savepoint.
fn an_error_that_was_passed_over_within_is_the_nested_ones_failure(server: Server) {
    server.table("passed_over", "i int");
    let pool = server.pool(1);
    let within = pool.transaction().run(|tx| -> Result<_, Error> {
        tx.execute("INSERT INTO passed_over VALUES (1)", &[])?;
        let within = tx.nested(|tx| -> Result<(), Error> {
            tx.execute("INSERT INTO passed_over VALUES (2)", &[])?;
            tx.batch_execute("SELECT 1 / 0").expect_err("an error");
            Ok(())
        });
        tx.execute("INSERT INTO passed_over VALUES (4)", &[])?;
        Ok(within)
    });
    let within = within.expect("a commit").expect_err("nothing that could be released");
    assert_eq!(within.code(), Some(&SqlState::IN_FAILED_SQL_TRANSACTION));
    let rows = pool.get().expect("a connection").query("SELECT sum(i) FROM passed_over", &[]).expect("rows");
    assert_eq!(rows[0].get::<_, i64>(0), 5);
    assert_eq!((pool.stats().resets_done, pool.stats().opened), (0, 1));
}

/// Otherwise each failure would nest the next savepoint one level deeper.
fn a_nested_transaction_that_fails_releases_its_savepoint(server: Server) {
    let proxy = server.proxy();
    let pool = builder().max_size(1).build(PostgresManager::new(server.through(&proxy), NoTls)).expect("a pool");
    taken(&proxy);
    let outcome = pool.transaction().run(|tx| -> Result<(), Error> {
        tx.nested(|tx| tx.batch_execute("SELECT 1 / 0")).expect_err("an error");
        Ok(())
    });
    outcome.expect("a commit");
    let released = taken(&proxy).iter().any(|message| message.ends_with("RELEASE cabrank_1"));
    assert!(released);
}

fn a_transaction_that_is_left_open_by_the_set_up_is_refused_at_once(server: Server) {
    server.table("kept", "i int");
    for policy in [SessionPolicy::Tracked, SessionPolicy::Always, SessionPolicy::Never] {
        for begin in ["BEGIN", "START TRANSACTION; SELECT 1", "BEGIN; SELECT 1; COMMIT AND CHAIN"] {
            let hook = move |conn: &mut Connection, _: &SetUp<'_>| conn.batch_execute(begin);
            let began = Instant::now();
            let outcome = builder().session_policy(policy).on_open(hook).build(server.manager());
            assert!(
                matches!(outcome, Err(BuildError::Connect(Cause::InTransaction))),
                "{policy:?} {begin}: {outcome:?}"
            );
            // A temporary error would be retried for ten seconds.
            assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
        }
        let commits = |conn: &mut Connection, _: &SetUp<'_>| conn.batch_execute("BEGIN; SELECT 1; COMMIT");
        let pool = builder().session_policy(policy).on_open(commits).build(server.manager()).expect("a pool");
        let insert =
            pool.transaction().run(|tx| -> Result<u64, Error> { tx.execute("INSERT INTO kept VALUES (1)", &[]) });
        insert.expect("a commit");
    }
    assert_eq!(server.client().query("SELECT * FROM kept", &[]).expect("rows").len(), 3);
}

fn a_transaction_never_begins_inside_one_that_is_open(server: Server) {
    server.table("apart", "i int");
    let pool = builder().max_size(1).session_policy(SessionPolicy::Never).build(server.manager()).expect("a pool");
    let insert =
        || pool.transaction().run(|tx| -> Result<u64, Error> { tx.execute("INSERT INTO apart VALUES (2)", &[]) });
    pool.get().expect("a connection").batch_execute("BEGIN; INSERT INTO apart VALUES (1)").expect("a transaction");
    let outcome = insert();
    assert!(matches!(outcome, Err(TransactionError::InTransaction)), "{outcome:?}");
    insert().expect("a commit");
    let rows = server.client().query("SELECT i FROM apart", &[]).expect("rows");
    assert_eq!(rows.iter().map(|row| row.get(0)).collect::<Vec<i32>>(), [2], "what was left open is not committed");
}

cabrank_testing::tests! {
    on_server:
        a_transaction_that_is_left_open_by_the_set_up_is_refused_at_once,
        a_transaction_never_begins_inside_one_that_is_open,
        increments_that_conflict_are_retried_until_all_are_done,
        a_conflict_is_seen_through_a_transparent_error,
        a_deadlock_is_retried,
        a_commit_that_became_a_rollback_is_an_error,
        a_commit_that_fails_leaves_a_good_connection,
        a_commit_is_one_message_and_a_good_transaction_needs_no_reset,
        an_abort_during_the_commit_leaves_the_outcome_unknown_and_is_not_retried,
        a_closure_that_fails_or_panics_commits_nothing,
        an_error_that_was_passed_over_within_is_the_nested_ones_failure,
        a_nested_transaction_that_fails_releases_its_savepoint,
}
