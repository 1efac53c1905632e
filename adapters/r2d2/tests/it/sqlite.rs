//! r2d2_sqlite.

use cabrank::Pool;
use cabrank_r2d2::R2d2Manager;
use cabrank_testing::harness::alone;
use r2d2_sqlite::SqliteConnectionManager;
use std::thread;

fn many_threads_write_and_read() {
    let folder = tempfile::tempdir().unwrap();
    let manager = SqliteConnectionManager::file(folder.path().join("numbers.db"))
        .with_init(|conn| conn.execute_batch("PRAGMA journal_mode = WAL; PRAGMA busy_timeout = 30000"));
    let pool = Pool::builder().max_size(3).build(R2d2Manager::new(manager)).unwrap();
    pool.get().unwrap().execute_batch("CREATE TABLE numbers (number INTEGER)").unwrap();
    thread::scope(|scope| {
        for thread in 0..8_i64 {
            let pool = &pool;
            scope.spawn(move || {
                for number in 0..20 {
                    let conn = pool.get().unwrap();
                    conn.execute("INSERT INTO numbers VALUES (?1)", [thread * 20 + number]).unwrap();
                }
            });
        }
    });
    let conn = pool.get().unwrap();
    let sum: i64 = conn.query_row("SELECT SUM(number) FROM numbers", [], |row| row.get(0)).unwrap();
    assert_eq!(sum, (0..160).sum::<i64>());
}

cabrank_testing::tests! {
    alone:
        many_threads_write_and_read,
}
