//! A return is fast, however much there is to undo.

use crate::fixture::{Database, session_of};
use cabrank_sqlite::cabrank::{CallEnded, CloseReason, EventHandler, SessionPolicy};
use cabrank_sqlite::rusqlite::hooks::{AuthContext, Authorization};
use cabrank_sqlite::{Connection, Pool, PooledConnection};
use cabrank_testing::harness::alone;
use cabrank_testing::{assert_closes_clean, assert_no_leaks, eventually, timed};
use std::sync::{Arc, Mutex};
use std::thread;
use std::thread::ThreadId;
use std::time::Duration;

/// The threads in which connections were reset.
#[derive(Default, Clone)]
struct Resets(Arc<Mutex<Vec<ThreadId>>>);

impl EventHandler for Resets {
    fn reset(&self, _: &CallEnded<'_>) {
        self.0.lock().unwrap().push(thread::current().id());
    }
}

/// Lends a connection to `soil`, and returns whether the returning thread reset it, exactly once.
fn is_undone_here(name: &str, policy: SessionPolicy, soil: fn(&mut Connection)) -> bool {
    let database = Database::new();
    let resets = Resets::default();
    let builder = Pool::builder().max_size(1).session_policy(policy).event_handler(Arc::new(resets.clone()));
    let pool = builder.build(database.manager()).unwrap();
    let mut conn = pool.get().unwrap();
    let before = session_of(&database.manager().open().unwrap());
    soil(&mut conn);
    drop(conn);
    let conn = pool.get().unwrap();
    assert_eq!(session_of(&conn), before, "after {name}");
    let threads = resets.0.lock().unwrap().clone();
    assert_eq!(threads.len(), 1, "{name}: reset once");
    drop(conn);
    assert_no_leaks(&pool);
    threads == [thread::current().id()]
}

fn run(conn: &Connection, sql: &str) {
    conn.execute_batch(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
}

fn only_what_is_surely_small_is_undone_in_the_returning_thread() {
    let small: [(&str, fn(&mut Connection)); 4] = [
        ("a switch", |conn| run(conn, "PRAGMA foreign_keys = 0; PRAGMA synchronous = OFF")),
        ("a time-out", |conn| run(conn, "PRAGMA busy_timeout = 1")),
        ("a threshold", |conn| run(conn, "PRAGMA wal_autocheckpoint = 1")),
        ("a method", |conn| conn.busy_handler(Some(|_| false)).unwrap()),
    ];
    let large: [(&str, fn(&mut Connection)); 8] = [
        ("a transaction", |conn| run(conn, "BEGIN; UPDATE account SET money = 9")),
        ("a temporary table", |conn| run(conn, "CREATE TEMP TABLE t (a)")),
        ("an attached database", |conn| run(conn, "ATTACH ':memory:' AS extra")),
        ("a large cache", |conn| run(conn, "PRAGMA cache_size = -1000000")),
        ("another store", |conn| run(conn, "PRAGMA temp_store = MEMORY")),
        ("mapped memory", |conn| run(conn, "PRAGMA mmap_size = 1000000")),
        ("a small one too", |conn| run(conn, "PRAGMA foreign_keys = 0; CREATE TEMP TABLE t (a)")),
        ("a hook", |conn| conn.authorizer(Some(|_: AuthContext<'_>| Authorization::Allow)).unwrap()),
    ];
    for policy in [SessionPolicy::Tracked, SessionPolicy::Always] {
        for (name, soil) in small {
            assert!(is_undone_here(name, policy, soil), "{name} is small");
        }
        for (name, soil) in large {
            assert!(!is_undone_here(name, policy, soil), "{name} may be large");
        }
    }
    assert!(is_undone_here("nothing", SessionPolicy::Always, |conn| run(conn, "SELECT 1")));
}

fn many_temporary_objects_are_dropped_at_once() {
    let database = Database::new();
    let pool = database.pool(1);
    let conn = pool.get().unwrap();
    let (id, before) = (PooledConnection::id(&conn), session_of(&conn));
    let ((), making) = timed(|| {
        run(&conn, "BEGIN");
        for number in 0..1_500 {
            run(&conn, &format!("CREATE TEMP TABLE t{number} (a INTEGER PRIMARY KEY AUTOINCREMENT)"));
        }
        run(&conn, "COMMIT; PRAGMA query_only = 1");
    });
    let (conn, undoing) = timed(|| {
        drop(conn);
        pool.get().unwrap()
    });
    assert_eq!((PooledConnection::id(&conn), session_of(&conn)), (id, before), "reset, not replaced");
    assert!(undoing < making / 5, "made within {making:?}, undone within {undoing:?}");
}

fn a_reset_that_takes_too_long_is_interrupted_and_its_waiter_served() {
    let database = Database::new();
    let builder = Pool::builder().max_size(1).reset_timeout(Duration::from_millis(5));
    let pool = builder.build(database.manager()).unwrap();
    let conn = pool.get().unwrap();
    let id = PooledConnection::id(&conn);
    // Some 200 MB, whose pages are freed one by one.
    run(
        &conn,
        "CREATE TEMP TABLE t AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 200)
         SELECT zeroblob(1000000) FROM n",
    );
    thread::scope(|scope| {
        let waiter = scope.spawn(|| pool.get().map(|conn| PooledConnection::id(&conn)));
        eventually("somebody waits", || pool.stats().waiting == 1);
        drop(conn);
        assert_ne!(waiter.join().unwrap().expect("another connection"), id);
    });
    assert_eq!(pool.stats().closed.by(CloseReason::Overran), 1);
    assert_closes_clean(&pool);
}

cabrank_testing::tests! {
    alone:
        only_what_is_surely_small_is_undone_in_the_returning_thread,
        many_temporary_objects_are_dropped_at_once,
        a_reset_that_takes_too_long_is_interrupted_and_its_waiter_served,
}
