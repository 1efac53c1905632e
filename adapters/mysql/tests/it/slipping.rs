//! A late reply never reaches the next user. After a time-out the driver goes on and takes the reply to one command for the answer to
//! the next; only this adapter keeps it from returning another caller's data.

use crate::server::{PATIENCE, Server, on_each_server, settle};
use cabrank_mysql::cabrank::{CloseReason, Manager, SessionPolicy, TransactionError};
use cabrank_mysql::mysql::prelude::Queryable;
use cabrank_mysql::{Connection, MySqlManager, Pool, mysql};
use cabrank_testing::eventually;
use std::thread;
use std::time::{Duration, Instant};

/// Reads time out after this many milliseconds.
fn impatient(server: &Server, max_size: u32, patience_ms: u64) -> Pool {
    let opts = server.opts().read_timeout(Some(Duration::from_millis(patience_ms)));
    server.builder(max_size).build(MySqlManager::new(opts)).expect("a pool")
}

/// Enough rows that some are sent before the last one is ready, which takes too long.
const STALLS: &str =
    "SELECT REPEAT('x', 30000), 0 UNION ALL SELECT REPEAT('x', 30000), 0 UNION ALL SELECT 'late', SLEEP(0.06)";

fn echo(conn: &mut Connection, token: &str) -> mysql::Result<Option<String>> {
    conn.query_first(format!("SELECT '{token}'"))
}

/// Gives up on a pending reply in one of five ways, at a random moment before or after it arrives.
fn give_up(conn: &mut Connection) {
    let late = format!("DO SLEEP({:.3})", 0.022 + 0.02 * fastrand::f64());
    match fastrand::u8(0..5) {
        0 => drop(conn.query_drop(late)),
        1 => drop(conn.raw().query_drop(late)),
        2 => drop(conn.exec_drop("SELECT SLEEP(?)", (0.03,))),
        3 => drop(conn.query_iter(STALLS).map(|rows| rows.take_while(Result::is_ok).count())),
        _ => {
            let _ =
                conn.raw().query_first::<String, _>("SELECT 'mine, and not yours' FROM (SELECT SLEEP(0.03)) AS late");
        }
    }
    thread::sleep(Duration::from_millis(10).mul_f64(fastrand::f64()));
}

fn a_thousand_late_replies_reach_nobody_else(server: &Server) {
    let pool = impatient(server, 2, 20);
    let rounds = |thread: u32| {
        for round in 0..250 {
            let token = format!("{thread}/{round}");
            let mut conn = pool.get().unwrap();
            match echo(&mut conn, &token) {
                Ok(answer) => assert_eq!(answer, Some(token)),
                // On a busy machine even this sometimes takes 20 ms.
                Err(_) => continue,
            }
            if fastrand::u8(0..4) == 0 {
                give_up(&mut conn);
            }
        }
    };
    thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || rounds(thread));
        }
    });
    let closed = pool.stats().closed;
    assert!(closed.total() > 100 && closed.by(CloseReason::Broken) > 0, "{closed:?}");
}

fn after_a_time_out_the_holder_too_gets_errors_and_no_late_replies(server: &Server) {
    let pool = impatient(server, 1, 20);
    let mut conn = pool.get().unwrap();
    conn.query_first::<String, _>("SELECT CONCAT('first', SLEEP(0.6))").unwrap_err();
    assert!(conn.is_broken());
    let old = conn.connection_id();
    eventually("the late reply was sent", || !server.runs(old, "first"));
    for _ in 0..3 {
        echo(&mut conn, "second").unwrap_err();
    }
    drop(conn);
    assert_ne!(pool.get().unwrap().connection_id(), old);
    assert_eq!(pool.stats().closed.by(CloseReason::Broken), 1);
}

fn an_unseen_late_reply_that_has_arrived_is_seen_by_looking(server: &Server) {
    let pool = impatient(server, 1, 1_000);
    let mut conn = pool.get().unwrap();
    conn.raw().query_drop("DO SLEEP(1.6)").unwrap_err();
    eventually("the late reply is there", || server.manager().has_broken(&mut conn));
    drop(conn);
    assert_eq!(echo(&mut pool.get().unwrap(), "mine").unwrap().as_deref(), Some("mine"));
    assert_eq!(pool.stats().closed.by(CloseReason::Broken), 1);
}

fn an_unseen_late_reply_that_is_still_on_its_way_is_found_by_the_reset(server: &Server) {
    // One second for the reset to begin, and one before its own wait for a reply ends.
    let pool = impatient(server, 1, 2_000);
    let mut conn = pool.get().unwrap();
    conn.raw().query_drop("DO SLEEP(3)").unwrap_err();
    drop(conn);
    eventually("the reset has failed", || pool.stats().resets_failed == 1);
    assert_eq!(echo(&mut pool.get().unwrap(), "mine").unwrap().as_deref(), Some("mine"));
    assert_eq!(pool.stats().closed.by(CloseReason::ResetFailed), 1);
}

fn rows_that_were_leaked_unread_are_found_by_the_reset(server: &Server) {
    let pool = server.pool(1);
    for sql in ["SELECT 1 UNION SELECT 2", "SELECT '' UNION SELECT 'a'", "SELECT 1; SELECT 2"] {
        let mut conn = pool.get().unwrap();
        let old = conn.connection_id();
        std::mem::forget(conn.query_iter(sql).unwrap());
        drop(conn);
        settle(&pool);
        let mut conn = pool.get().unwrap();
        assert_ne!(conn.connection_id(), old, "{sql}");
        assert_eq!(echo(&mut conn, "mine").unwrap().as_deref(), Some("mine"));
    }
}

fn a_check_is_not_answered_by_a_late_reply(server: &Server) {
    let opts = server.opts().read_timeout(Some(Duration::from_secs(1)));
    // Room for a second connection: with only one, the check's time-out would end before the reply arrives.
    let builder = server.builder(2).check_after(Duration::ZERO).check_timeout(PATIENCE);
    let pool = builder.session_policy(SessionPolicy::Never).build(MySqlManager::new(opts)).unwrap();
    // Usually by the check; on a busy machine the reply may arrive before it.
    let seen = || pool.stats().closed.by(CloseReason::CheckFailed) + pool.stats().closed.by(CloseReason::Broken);
    let mut conn = pool.get().unwrap();
    let (old, before) = (conn.connection_id(), seen());
    conn.raw().query_drop("DO SLEEP(1.5)").unwrap_err();
    drop(conn);
    // A ping would take the late reply for its own.
    let mut conn = pool.get().unwrap();
    assert_eq!(echo(&mut conn, "mine").unwrap().as_deref(), Some("mine"));
    assert_ne!(conn.connection_id(), old);
    eventually("the late reply is found", || seen() > before);
}

/// Ignores a time-out within a transaction, and expects that the commit does not succeed.
fn pass_over(server: &Server, pass: impl Fn(&mut cabrank_mysql::Transaction<'_>)) {
    let pool = impatient(server, 1, 1_000);
    let mut runs = 0;
    let error = pool
        .transaction()
        .retries(5)
        .run(|tx| {
            runs += 1;
            tx.query_drop("UPDATE account SET money = 7 WHERE id = 1")?;
            pass(tx);
            Ok::<_, mysql::Error>(())
        })
        .expect_err("a commit that nobody can vouch for");
    assert!(matches!(error, TransactionError::Unknown(_)), "{error:?}");
    assert_eq!(runs, 1, "never tried again");
    assert_eq!(server.money(1), 0, "and here, COMMIT was not even sent");
}

fn a_late_reply_that_was_passed_over_is_not_the_answer_to_commit(server: &Server) {
    pass_over(server, |tx| drop(tx.query_drop("DO SLEEP(1.5)")));
}

fn nor_is_one_that_only_the_drivers_rows_have_met(server: &Server) {
    let stalls = STALLS.replace("0.06", "1.5");
    pass_over(server, |tx| drop(tx.query_iter(&stalls).map(|rows| rows.take_while(Result::is_ok).count())));
}

fn nor_is_one_that_only_the_drivers_connection_has_met(server: &Server) {
    pass_over(server, |tx| drop(tx.raw().query_drop("DO SLEEP(1.5)")));
}

fn a_time_out_of_ones_own_is_punctual(server: &Server) {
    let pool = impatient(server, 1, 20);
    let mut conn = pool.get().unwrap();
    let begin = Instant::now();
    conn.query_drop("DO SLEEP(120)").unwrap_err();
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
}

cabrank_testing::tests! {
    on_each_server:
        a_thousand_late_replies_reach_nobody_else,
        after_a_time_out_the_holder_too_gets_errors_and_no_late_replies,
        an_unseen_late_reply_that_has_arrived_is_seen_by_looking,
        an_unseen_late_reply_that_is_still_on_its_way_is_found_by_the_reset,
        rows_that_were_leaked_unread_are_found_by_the_reset,
        a_check_is_not_answered_by_a_late_reply,
        a_late_reply_that_was_passed_over_is_not_the_answer_to_commit,
        nor_is_one_that_only_the_drivers_rows_have_met,
        nor_is_one_that_only_the_drivers_connection_has_met,
        a_time_out_of_ones_own_is_punctual,
}
