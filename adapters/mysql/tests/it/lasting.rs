//! Effects that no reset undoes cost the connection, and never reach the next holder.

use crate::server::{Server, on_each_server, settle};
use cabrank_mysql::cabrank::CloseReason;
use cabrank_mysql::mysql::prelude::Queryable;
use cabrank_mysql::mysql::{Row, TxOpts};
use cabrank_mysql::{Connection, mysql};
use cabrank_testing::{Recorder, eventually};
use std::time::Duration;

/// Begins a branch of this name, writes, and leaves it prepared.
type Prepare = fn(&mut Connection, &str) -> mysql::Result<()>;

fn steps(branch: &str) -> [String; 4] {
    [
        format!("XA START '{branch}'"),
        "UPDATE account SET money = 7 WHERE id = 1".into(),
        format!("XA END '{branch}'"),
        format!("XA PREPARE '{branch}'"),
    ]
}

/// On MariaDB a reset would leave the session tied to the branch: each of the branch's tables would return error 1031 from then on.
fn a_prepared_branch_costs_the_connection(server: &Server) {
    let database = &server.database;
    let branch = |way: &str| format!("{database}: {way}");
    server
        .run(format!("CREATE PROCEDURE {database}.prepares() BEGIN {}; END", steps(&branch("a procedure")).join("; ")));
    let ways: [(&str, Prepare); 7] = [
        ("texts", |conn, branch| steps(branch).iter().try_for_each(|step| conn.query_drop(step))),
        ("one text", |conn, branch| conn.query_drop(steps(branch).join("; "))),
        ("a long text", |conn, branch| {
            conn.query_drop(format!("SET @a = '{}'; {}", "x".repeat(16 * 1024), steps(branch).join("; ")))
        }),
        ("statements", |conn, branch| steps(branch).iter().try_for_each(|step| conn.exec_drop(step, ()))),
        ("rows of the driver", |conn, branch| {
            steps(branch).iter().try_for_each(|step| conn.query_iter(step).map(drop))
        }),
        ("connection of the driver", |conn, branch| conn.raw().query_drop(steps(branch).join("; "))),
        ("a procedure", |conn, _| conn.query_drop("CALL prepares()")),
    ];
    let is_mariadb = server.is_mariadb();
    // MySQL cannot prepare XA statements.
    let ways = ways.iter().filter(|(way, _)| is_mariadb || *way != "statements");
    let pool = server.pool(1);
    for (way, prepare) in ways {
        let branch = branch(way);
        prepare(&mut pool.get().unwrap(), &branch).expect(way);
        settle(&pool);
        let mut conn = pool.get().unwrap();
        // Once the branch belongs to no session, any session may end it.
        eventually("the branch is rolled back", || server.try_run(format!("XA ROLLBACK '{branch}'")));
        assert_eq!(conn.query_first("SELECT money FROM account WHERE id = 1").expect(way), Some(0), "{way}");
        let snapshot = TxOpts::default().set_with_consistent_snapshot(true);
        conn.start_transaction(snapshot).unwrap().rollback().unwrap();
        conn.query_drop("UPDATE account SET money = 0 WHERE id = 1").unwrap();
    }
    // MySQL's session has no tie to the branch any more, so an undetected branch does no harm.
    let replaced = if is_mariadb { 7 } else { 3 };
    assert_eq!(pool.stats().closed.by(CloseReason::BeyondReset), replaced);
}

/// The whole life of a branch within one loan, and a query for other sessions' branches.
fn a_connection_that_used_xa_is_replaced(server: &Server) {
    let pool = server.pool(1);
    let branch = &server.database;
    let uses = [
        format!("XA START '{branch}'"),
        format!("XA START '{branch}'; XA END '{branch}'; XA COMMIT '{branch}' ONE PHASE"),
        format!("XA BEGIN '{branch}'; XA END '{branch}'; XA ROLLBACK '{branch}'"),
        "XA RECOVER".into(),
    ];
    for (loans, text) in uses.iter().enumerate() {
        pool.get().unwrap().query_drop(text).unwrap();
        settle(&pool);
        let mut conn = pool.get().unwrap();
        conn.query_drop("START TRANSACTION; UPDATE account SET money = 0; COMMIT").expect("no branch is in the way");
        assert_eq!(pool.stats().opened, loans as u64 + 2, "{text}");
    }
}

/// Like an application that uses XA in each loan. The pool keeps treating the server as healthy: a single pause would outlast every
/// waiter.
fn a_holder_who_uses_xa_each_time_is_served(server: &Server) {
    let branch = &server.database;
    server.run(format!("CREATE PROCEDURE {branch}.begins() XA START '{branch}: hidden'"));
    for text in [
        &*format!("XA START '{branch}'; XA END '{branch}'; XA COMMIT '{branch}' ONE PHASE"),
        &format!("XA START '{branch}'"),
        "CALL begins()",
        "SET profiling = 1; BEGIN",
    ] {
        let recorder = Recorder::new();
        let pause = Duration::from_secs(600);
        let settings = server.builder(1).backoff(pause, pause).event_handler(recorder.clone());
        let pool = settings.build(server.manager()).expect("a pool");
        for _ in 0..50 {
            let mut conn = pool.get().unwrap_or_else(|error| panic!("{text}: {error:?}"));
            // The server ends the last session some time after its goodbye, and until then the branch is taken.
            eventually("the branch is free", || match conn.query_drop(text) {
                Err(mysql::Error::MySqlError(error)) if error.code == 1440 => false,
                ran => ran.map(|()| true).expect(text),
            });
        }
        eventually("all have said goodbye", || recorder.count("closed") == 50);
        let stats = pool.stats();
        assert_eq!(
            (stats.closed.by(CloseReason::BeyondReset), stats.resets_failed, stats.open_failures),
            (50, 0, 0),
            "{text}"
        );
        let failed = |line: &&String| line.starts_with("reset") && !line.ends_with(": ok");
        assert_eq!(recorder.events().iter().find(failed), None, "{text}");
    }
}

/// A procedure without lasting effects costs only a reset.
fn what_is_hidden_and_does_not_last_costs_no_connection(server: &Server) {
    server.run(format!("CREATE PROCEDURE {}.sets() BEGIN SET @a = 1; START TRANSACTION; END", server.database));
    let pool = server.pool(1);
    for text in ["CALL sets()", "PREPARE a FROM 'SET @a = 1'; EXECUTE a"] {
        pool.get().unwrap().query_drop(text).unwrap();
        settle(&pool);
        assert_eq!(pool.get().unwrap().query_first::<Option<u8>, _>("SELECT @a").unwrap(), Some(None));
        settle(&pool);
    }
    assert_eq!(pool.stats().opened, 1);
}

/// MariaDB keeps them across a reset, with the texts of the holder's statements.
fn profiles_are_not_shown_to_the_next_holder(server: &Server) {
    let pool = server.pool(1);
    for text in ["SET profiling = 1", "SET SESSION profiling = ON", "SET @@profiling = 1"] {
        let mut conn = pool.get().unwrap();
        conn.query_drop(text).unwrap();
        conn.query_drop("SELECT 'a secret'").unwrap();
        assert!(!conn.query::<Row, _>("SHOW PROFILES").unwrap().is_empty());
        drop(conn);
        settle(&pool);
        assert_eq!(pool.get().unwrap().query::<Row, _>("SHOW PROFILES").unwrap().len(), 0, "{text}");
        settle(&pool);
    }
}

cabrank_testing::tests! {
    on_each_server:
        a_prepared_branch_costs_the_connection,
        a_connection_that_used_xa_is_replaced,
        a_holder_who_uses_xa_each_time_is_served,
        what_is_hidden_and_does_not_last_costs_no_connection,
        profiles_are_not_shown_to_the_next_holder,
}
