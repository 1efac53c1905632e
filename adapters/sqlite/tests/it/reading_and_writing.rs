//! One writer and several readers over one file.

use crate::fixture::{Database, create_account, money};
use cabrank_sqlite::rusqlite;
use cabrank_sqlite::rusqlite::{ErrorCode, TransactionState};
use cabrank_sqlite::{SqliteManager, SqlitePools};
use cabrank_testing::harness::alone;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

fn pools(database: &Database) -> SqlitePools {
    SqlitePools::builder(database.manager()).readers(2).build().expect("two pools")
}

fn readers_cannot_write() {
    let database = Database::new();
    let error = pools(&database).reader().unwrap().execute("UPDATE account SET money = 1", []).unwrap_err();
    assert_eq!(error.sqlite_error_code(), Some(ErrorCode::ReadOnly));
}

fn a_reader_that_allowed_itself_to_write_leaves_nothing_of_it_to_the_next() {
    let database = Database::new();
    let pools = SqlitePools::builder(database.manager()).readers(1).build().unwrap();
    pools.reader().unwrap().execute_batch("PRAGMA query_only = 0; CREATE TEMP TABLE t (a)").unwrap();
    let conn = pools.reader().unwrap();
    conn.execute("SELECT * FROM t", []).expect_err("the temporary table is gone");
    let error = conn.execute("UPDATE account SET money = 1", []).unwrap_err();
    assert_eq!(error.sqlite_error_code(), Some(ErrorCode::ReadOnly));
    assert_eq!(pools.read().stats().opened, 1, "never replaced");
}

fn readers_do_not_wait_for_the_writer() {
    let database = Database::new();
    let pools = pools(&database);
    pools
        .write()
        .transaction()
        .run(|tx| -> rusqlite::Result<()> {
            assert_eq!(tx.transaction_state(Some("main"))?, TransactionState::Write);
            tx.execute("UPDATE account SET money = 1", [])?;
            assert_eq!(money(&pools.reader().expect("a reader")), 0, "what is not committed is not seen");
            Ok(())
        })
        .unwrap();
    assert_eq!(money(&pools.reader().unwrap()), 1);
}

fn a_reading_transaction_sees_one_state_of_the_data() {
    let database = Database::new();
    let pools = pools(&database);
    pools
        .read()
        .transaction()
        .run(|tx| -> rusqlite::Result<()> {
            assert_eq!(money(tx), 0);
            pools.writer().expect("the writer").execute("UPDATE account SET money = 1", [])?;
            assert_eq!(money(tx), 0);
            Ok(())
        })
        .unwrap();
    assert_eq!(money(&pools.reader().unwrap()), 1);
}

fn writers_queue_and_none_fails_busy_even_without_a_busy_timeout() {
    let database = Database::new();
    let manager = database.manager().busy_timeout(Duration::ZERO);
    let pools = SqlitePools::builder(manager).build().unwrap();
    let start = Barrier::new(4);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                start.wait();
                for _ in 0..50 {
                    let earned = pools.write().transaction().run(|tx| -> rusqlite::Result<()> {
                        let before = money(tx);
                        tx.execute("UPDATE account SET money = ?1", [before + 1]).map(drop)
                    });
                    earned.expect("a turn to write");
                }
            });
        }
    });
    assert_eq!(money(&pools.reader().unwrap()), 200);
}

fn the_writer_creates_the_file_and_there_is_one_of_it() {
    let directory = tempfile::tempdir().unwrap();
    let manager = SqliteManager::file(directory.path().join("new.db")).create(true);
    let pools = SqlitePools::builder(manager).write_pool(|pool| pool.max_size(9)).build().unwrap();
    let writer = pools.writer().unwrap();
    create_account(&writer);
    assert!(pools.write().try_get().unwrap().is_none(), "the second writer would have to wait");
    assert_eq!(money(&pools.reader().unwrap()), 0);
}

fn the_pools_settings_can_be_changed() {
    let database = Database::new();
    let pools = SqlitePools::builder(database.manager())
        .write_pool(|pool| pool.acquire_timeout(Duration::from_millis(1)))
        .read_pool(|pool| pool.max_size(1))
        .build()
        .unwrap();
    let (_writer, _reader) = (pools.writer().unwrap(), pools.reader().unwrap());
    pools.writer().map(drop).expect_err("no second writer within a millisecond");
    assert!(pools.read().try_get().unwrap().is_none());
}

cabrank_testing::tests! {
    alone:
        readers_cannot_write,
        a_reader_that_allowed_itself_to_write_leaves_nothing_of_it_to_the_next,
        readers_do_not_wait_for_the_writer,
        a_reading_transaction_sees_one_state_of_the_data,
        writers_queue_and_none_fails_busy_even_without_a_busy_timeout,
        the_writer_creates_the_file_and_there_is_one_of_it,
        the_pools_settings_can_be_changed,
}
