//! Measures what the adapter costs: with `CABRANK_POSTGRES_URL` set, `cargo run --release -p cabrank-postgres --example
//! postgres_costs` prints the README's table.

use cabrank_postgres::cabrank::{Manager, SessionPolicy};
use cabrank_postgres::postgres::{Client, Config, NoTls};
use cabrank_postgres::{Pool, PostgresManager};
use std::hint::black_box;
use std::time::{Duration, Instant};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let config: Config = std::env::var("CABRANK_POSTGRES_URL")?.parse()?;
    let manager = PostgresManager::new(config.clone(), NoTls);

    let mut own = config.connect(NoTls)?;
    let statement = own.prepare("SELECT 1")?;
    measure("a prepared SELECT 1, connection of one's own", 20_000, || one(own.query_one(&statement, &[])));
    measure("the same, unprepared", 10_000, || one(own.query_one("SELECT 1", &[])));

    for policy in [SessionPolicy::Tracked, SessionPolicy::Never, SessionPolicy::Always] {
        let pool = Pool::builder().session_policy(policy).build(manager.clone())?;
        measure(&format!("a loan and a cached SELECT 1, {policy:?}"), 20_000, || lend(&pool, cached));
    }
    let pool = Pool::builder().build(manager.clone())?;
    measure("a loan and an unprepared SELECT 1", 10_000, || lend(&pool, |conn| one(conn.query_one("SELECT 1", &[]))));
    measure("an empty transaction", 10_000, || {
        pool.transaction().run(|_| Ok::<_, cabrank_postgres::postgres::Error>(())).expect("a commit");
    });

    let pool = Pool::builder().max_size(1).build(manager.clone())?;
    measure("a loan that changes a setting, and its reset", 10_000, || {
        lend(&pool, |conn| run(conn, "SET work_mem = '1MB'"))
    });
    let pool = Pool::builder().max_size(1).check_after(Duration::ZERO).build(manager.clone())?;
    measure("a loan after a check", 10_000, || drop(pool.get().expect("a connection")));
    let mut conn = pool.get()?;
    measure("looking at a clean session", 1_000_000, || _ = black_box(manager.session(&mut conn)));
    measure("checking whether it has broken", 1_000_000, || _ = black_box(manager.has_broken(&mut conn)));
    measure("opening and closing, the driver's own", 300, || drop(config.connect(NoTls)));
    Ok(())
}

/// Prints the best mean of seven rounds: the cost on an otherwise idle machine.
fn measure(what: &str, times: u32, mut work: impl FnMut()) {
    let mut best = Duration::MAX;
    for _ in 0..7 {
        let began = Instant::now();
        (0..times / 7).for_each(|_| work());
        best = best.min(began.elapsed() / (times / 7));
    }
    println!("{what:48} {:9.3} us", best.as_secs_f64() * 1e6);
}

fn lend(pool: &Pool, work: impl FnOnce(&mut cabrank_postgres::Connection)) {
    work(&mut pool.get().expect("a connection"));
}

fn cached(conn: &mut cabrank_postgres::Connection) {
    let statement = conn.prepare_cached("SELECT 1").expect("a statement");
    one(conn.query_one(&statement, &[]));
}

fn run(conn: &mut Client, sql: &str) {
    conn.batch_execute(sql).expect("no error");
}

fn one(row: Result<cabrank_postgres::postgres::Row, cabrank_postgres::postgres::Error>) {
    assert_eq!(row.expect("a row").get::<_, i32>(0), 1);
}
