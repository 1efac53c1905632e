//! Prepared statements that survive into the next loan: as many as rusqlite caches, with at most one mebibyte of texts.

use crate::fixture::Database;
use cabrank_sqlite::rusqlite::hooks::Authorization;
use cabrank_sqlite::{Connection, Pool};
use cabrank_testing::eventually;
use cabrank_testing::harness::alone;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A pool of one that caches up to a hundred statements, and how often SQLite has called the authorizer: at least once in each
/// preparation.
fn pool(database: &Database) -> (Pool, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let manager = database
        .manager()
        .with_init(|conn| {
            conn.set_prepared_statement_cache_capacity(100);
            Ok(())
        })
        .authorizer(move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
            Authorization::Allow
        });
    (Pool::builder().max_size(1).build(manager).expect("a pool"), asked)
}

/// A text of about this many bytes.
fn text(number: usize, length: usize) -> String {
    format!("SELECT {number} IN (1{})", ", 1234567".repeat(length / 9))
}

fn run(conn: &Connection, text: &str) {
    conn.prepare_cached(text).expect("a statement").query_row([], |_| Ok(())).expect("a row");
}

fn short_ones_stay_prepared() {
    let database = Database::new();
    let (pool, asked) = pool(&database);
    let texts: Vec<_> = (0..90).map(|number| text(number, 10_000)).collect();
    texts.iter().for_each(|text| run(&pool.get().unwrap(), text));
    let before = asked.load(Ordering::Relaxed);
    texts.iter().for_each(|text| run(&pool.get().unwrap(), text));
    assert_eq!((asked.load(Ordering::Relaxed), pool.stats().resets_done), (before, 0));
}

fn more_than_a_mebibyte_of_texts_is_not_handed_on() {
    let database = Database::new();
    let (pool, asked) = pool(&database);
    for round in 0..3 {
        let conn = pool.get().unwrap();
        let texts: Vec<_> = (0..12).map(|number| text(100 * round + number, 100_000)).collect();
        texts.iter().for_each(|text| run(&conn, text));
        let before = asked.load(Ordering::Relaxed);
        texts.iter().for_each(|text| run(&conn, text));
        assert_eq!(asked.load(Ordering::Relaxed), before, "within the loan they are kept");
        drop(conn);
        eventually("the worker has let them go", || pool.stats().resetting == 0);
        run(&pool.get().unwrap(), &texts[11]);
        assert!(asked.load(Ordering::Relaxed) > before, "in the next loan they are not");
    }
    assert_eq!((pool.stats().resets_done, pool.stats().opened), (3, 1));
}

/// Also through the driver's own connection, for example that of a transaction.
fn nor_is_it_by_any_other_road() {
    let database = Database::new();
    let (pool, asked) = pool(&database);
    let large = text(1, 2 * 1024 * 1024);
    let run_in_transaction = || {
        pool.transaction().run(|tx| tx.prepare_cached(&large)?.query_row([], |_| Ok(()))).unwrap();
        eventually("the worker has let it go", || pool.stats().resetting == 0);
    };
    run_in_transaction();
    let before = asked.load(Ordering::Relaxed);
    run_in_transaction();
    assert!(asked.load(Ordering::Relaxed) > before + 2, "more than BEGIN and COMMIT");
    assert_eq!(pool.stats().opened, 1);
}

cabrank_testing::tests! {
    alone:
        short_ones_stay_prepared,
        more_than_a_mebibyte_of_texts_is_not_handed_on,
        nor_is_it_by_any_other_road,
}
