//! Measures what the adapter costs: `cargo run --release -p cabrank-mysql --example mysql_costs -- mysql://user:password@host/`
//! prints the README's table.

use cabrank_mysql::cabrank::{Manager, SessionPolicy};
use cabrank_mysql::mysql;
use cabrank_mysql::mysql::prelude::Queryable;
use cabrank_mysql::mysql::{Opts, OptsBuilder};
use cabrank_mysql::{MySqlManager, Pool};
use std::time::{Duration, Instant};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).ok_or("which server? costs mysql://user:password@host/")?;
    let manager = MySqlManager::from_url(&url)?;
    let mut conn = manager.open()?;

    measure("opening and closing a connection", 500, || drop(manager.open()));
    measure("checking whether a connection is dead", 500_000, || assert!(!manager.has_broken(&mut conn)));
    measure("a query by text, no pool", 10_000, || query(conn.raw()));
    measure("the same, watched", 10_000, || query(&mut conn));
    measure("a prepared query, no pool", 10_000, || execute(conn.raw()));

    for policy in [SessionPolicy::Tracked, SessionPolicy::Never] {
        let pool = Pool::builder().max_size(1).session_policy(policy).build(manager.clone())?;
        measure(&format!("a loan and a query, pool of 1, {policy:?}"), 5_000, || query(&mut *lent(&pool)));
        measure(&format!("a loan and a prepared query, pool of 1, {policy:?}"), 5_000, || execute(&mut *lent(&pool)));
    }
    let pool = Pool::builder().max_size(4).min_idle(4).build(manager.clone())?;
    measure("a loan and a query, pool of 4, Tracked", 5_000, || query(&mut *lent(&pool)));
    let pool = Pool::builder().max_size(1).check_after(Duration::ZERO).build(manager)?;
    measure("a loan after a check, untouched", 5_000, || drop(lent(&pool)));

    let constraints = mysql::PoolConstraints::new(1, 1).ok_or("one connection")?;
    let opts = OptsBuilder::from_opts(Opts::from_url(&url)?).prefer_socket(false);
    let opts = opts.pool_opts(mysql::PoolOpts::default().with_constraints(constraints));
    let theirs = mysql::Pool::new(opts)?;
    measure("mysql::Pool of 1: a loan and a query", 5_000, || query(&mut theirs.get_conn().expect("a connection")));
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
    println!("{what:52} {:9.2} us", best.as_secs_f64() * 1e6);
}

fn lent(pool: &Pool) -> cabrank_mysql::PooledConnection {
    pool.get().expect("a connection")
}

fn query(conn: &mut impl Queryable) {
    assert_eq!(conn.query_first("SELECT 1").expect("an answer"), Some(1));
}

fn execute(conn: &mut impl Queryable) {
    assert_eq!(conn.exec_first("SELECT ?", (1,)).expect("an answer"), Some(1));
}
