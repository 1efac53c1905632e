//! A session that is known to be clean costs nothing: the server receives the same messages as from a connection without a pool.

use crate::fixture::{Server, builder, on_server, taken};
use cabrank_postgres::postgres::{Client, NoTls};
use cabrank_postgres::{Pool, PostgresManager};

type Work = fn(&mut Client);

const WORK: &[(&str, Work)] = &[
    ("a simple query", |client| client.batch_execute("SELECT 1").expect("no error")),
    ("an empty query", |client| client.batch_execute("").expect("no error")),
    ("a select", |client| drop(client.query("SELECT 1", &[]).expect("rows"))),
    ("one row", |client| {
        drop(client.query_one("SELECT lower('A'), count(*), now() FROM tracked", &[]).expect("a row"))
    }),
    ("one row or none", |client| drop(client.query_opt("SELECT id FROM tracked WHERE id = $1", &[&7]).expect("a row"))),
    ("a typed query", |client| drop(client.query_typed("SELECT 1", &[]).expect("rows"))),
    ("a prepared select", |client| {
        let statement = client.prepare("SELECT text FROM tracked WHERE id = $1").expect("a statement");
        drop(client.query(&statement, &[&1]).expect("rows"));
    }),
    ("an insert", |client| {
        client
            .execute("INSERT INTO tracked (id, text) VALUES ($1, 'x') ON CONFLICT (id) DO NOTHING", &[&1])
            .expect("a row");
    }),
    ("an update", |client| {
        client.execute("UPDATE tracked SET text = 'into; create' WHERE id = $1", &[&1]).map(drop).expect("a row")
    }),
    ("a delete", |client| assert!(client.execute("DELETE FROM tracked WHERE id IN (1, 2)", &[]).is_ok())),
    ("several statements", |client| {
        client
            .batch_execute("BEGIN; SET LOCAL work_mem = '1MB'; INSERT INTO tracked VALUES (2, 'y'); ROLLBACK")
            .expect("no error");
    }),
    ("a transaction", |client| {
        let mut transaction = client.transaction().expect("a transaction");
        transaction.execute("INSERT INTO tracked VALUES (3, 'z') ON CONFLICT DO NOTHING", &[]).expect("a row");
        transaction.query("SELECT * FROM tracked FOR UPDATE", &[]).expect("rows");
        let mut inner = transaction.transaction().expect("a savepoint");
        inner.execute("DELETE FROM tracked", &[]).expect("rows");
        inner.rollback().expect("no error");
        transaction.commit().expect("no error");
    }),
    ("a transaction rolled back", |client| {
        let mut transaction = client.transaction().expect("a transaction");
        transaction.execute("DELETE FROM tracked", &[]).expect("rows");
    }),
    ("a lock of the transaction", |client| {
        let mut transaction = client.transaction().expect("a transaction");
        transaction.query("SELECT pg_advisory_xact_lock(1)", &[]).expect("a lock");
        transaction.commit().expect("no error");
    }),
    ("an enumeration, whose type the driver looks up", |client| {
        client.query("SELECT 'sad'::tracked_mood", &[]).expect("a row");
    }),
    ("a sign of life", |client| client.is_valid(std::time::Duration::from_secs(5)).expect("an answer")),
];

fn set_up(server: &Server) {
    server.table("tracked", "id int PRIMARY KEY, text text");
    let mut client = server.client();
    client.batch_execute("DROP TYPE IF EXISTS tracked_mood; CREATE TYPE tracked_mood AS ENUM ('sad')").expect("a type");
}

fn a_clean_loan_sends_nothing_of_its_own(server: Server) {
    set_up(&server);
    let proxy = server.proxy();
    let config = server.through(&proxy);

    let mut own = config.connect(NoTls).expect("a connection");
    let pool = builder().max_size(1).build(PostgresManager::new(config, NoTls)).expect("a pool");
    for (what, work) in WORK {
        taken(&proxy);
        (0..3).for_each(|_| work(&mut own));
        let expected = taken(&proxy);
        (0..3).for_each(|_| work(&mut pool.get().expect("a connection")));
        assert_eq!(taken(&proxy), expected, "{what}");
    }
    let stats = pool.stats();
    assert_eq!((stats.resets_done, stats.resets_failed, stats.opened), (0, 0, 1));
    assert_eq!(stats.resets_skipped, 3 * WORK.len() as u64);
}

fn a_reset_is_one_message(server: Server) {
    let proxy = server.proxy();
    let pool = builder().max_size(1).build(PostgresManager::new(server.through(&proxy), NoTls)).expect("a pool");
    for leave in ["LISTEN x", "BEGIN", "SET work_mem = '1MB'"] {
        taken(&proxy);
        pool.get().expect("a connection").batch_execute(leave).expect("no error");
        drop(pool.get().expect("a connection"));
        let messages = taken(&proxy);
        assert_eq!((messages.len(), pool.stats().opened), (2, 1), "{messages:?}");
        assert!(messages[1].contains("; DISCARD TEMP; "), "{messages:?}");
        assert!(messages[1].ends_with("GROUP BY 1"), "{messages:?}");
    }
}

/// Neither the reset of a clean session nor that of a session in a detected transaction leaves a warning in the server's log.
fn a_reset_warns_nobody(server: Server) {
    let (tell, told) = std::sync::mpsc::channel();
    let mut config = server.config.clone();
    config.notice_callback(move |notice| {
        let _ = tell.send(notice.message().to_owned());
    });
    let pool = Pool::builder().max_size(1).build(PostgresManager::new(config, NoTls)).expect("a pool");
    for leave in ["LISTEN x", "BEGIN", "SELECT set_config('work_mem', '1MB', false)"] {
        pool.get().expect("a connection").batch_execute(leave).expect("no error");
    }
    drop(pool.get().expect("a connection"));
    assert_eq!(pool.stats().resets_done, 3);
    assert_eq!(told.try_iter().collect::<Vec<_>>(), Vec::<String>::new());
}

cabrank_testing::tests! {
    on_server:
        a_clean_loan_sends_nothing_of_its_own,
        a_reset_is_one_message,
        a_reset_warns_nobody,
}
