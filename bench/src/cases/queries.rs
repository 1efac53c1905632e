//! Queries on real servers: throughput through each pool with its defaults, and on a connection per thread.

use crate::load::{Load, Outcome, Pace, Query, Work};
use crate::measure::{Bench, Point, measured};
use crate::pools::{ON_MYSQL, ON_POSTGRES, ON_SQLITE, Peer, Setup};
use anyhow::Result;
use std::time::Duration;

pub fn pg_select1(bench: &mut Bench) -> Result<()> {
    run(bench, "pg_select1", "postgres", ON_POSTGRES, &[("ops_per_s", Query::Select1)])
}

pub fn pg_prepared(bench: &mut Bench) -> Result<()> {
    let queries = [("ops_per_s", Query::Prepared), ("unprepared_ops_per_s", Query::Unprepared)];
    run(bench, "pg_prepared", "postgres", ON_POSTGRES, &queries)
}

pub fn mysql_select1(bench: &mut Bench) -> Result<()> {
    let queries = [("ops_per_s", Query::Select1), ("prepared_ops_per_s", Query::Prepared)];
    run(bench, "mysql_select1", "mysql", ON_MYSQL, &queries)
}

/// On MySQL, and on MariaDB.
pub fn mysql_insert(bench: &mut Bench) -> Result<()> {
    run(bench, "mysql_insert", "mysql", ON_MYSQL, &[("ops_per_s", Query::Insert)])?;
    run(bench, "mysql_insert", "mariadb", ON_MYSQL, &[("mariadb_ops_per_s", Query::Insert)])
}

pub fn sqlite_select1(bench: &mut Bench) -> Result<()> {
    let queries = [("ops_per_s", Query::Select1), ("prepared_ops_per_s", Query::Prepared)];
    run(bench, "sqlite_select1", "sqlite", ON_SQLITE, &queries)?;
    overhead(bench);
    Ok(())
}

fn run(
    bench: &mut Bench,
    case: &'static str,
    engine: &str,
    pools: &[&'static str],
    queries: &[(&str, Query)],
) -> Result<()> {
    let target = match bench.servers.target(engine) {
        Ok(target) => target,
        Err(error) => {
            pools.iter().for_each(|pool| bench.miss(case, pool, &format!("{error:#}")));
            return Ok(());
        }
    };
    let counts: &[usize] = bench.pick(&[1, 16], &[1, 4, 16, 64]);
    let most = counts.iter().copied().max().unwrap_or(1);
    let (pooled, own): (Vec<_>, Vec<_>) = pools.iter().partition(|pool| **pool != "own_connection");
    let mut peers = bench.peers(case, &pooled, &Setup::new(target.clone(), SIZE));
    // Only `own_connection` needs as many connections as there are threads.
    peers.extend(bench.peers(case, &own, &Setup::new(target, most as u32)));
    for peer in &peers {
        for (_, query) in queries {
            ask(&**peer, most, *query, Duration::from_millis(150))?;
        }
    }
    let time = Duration::from_millis(bench.pick(150, 300));
    for (part, &threads) in counts.iter().enumerate() {
        bench.progress.part(part, counts.len());
        let point = Point { case, threads, size: SIZE };
        // A pool adds a tenth to a read in this process, too little for the median of a few rounds.
        let rounds = if case == "sqlite_select1" && threads == 1 { 21 } else { 7 };
        bench.rounds(point, bench.pick(3, rounds), &peers, |peer| {
            let mut all = Vec::new();
            for (metric, query) in queries {
                let outcome = ask(peer, threads, *query, time)?;
                all.extend(measured([(*metric, outcome.per_second())]));
            }
            Ok(all)
        });
    }
    Ok(())
}

fn ask(peer: &dyn Peer, threads: usize, query: Query, time: Duration) -> Result<Outcome> {
    let outcome = peer.run(&Load { borrowers: threads, work: Work::Query(query), pace: Pace::For(time) })?;
    match &outcome.failure {
        Some(failure) => anyhow::bail!("{failure}"),
        None => Ok(outcome),
    }
}

/// The nanoseconds that each pool adds to a read by one thread. It compares medians, because rounds have no pairs.
fn overhead(bench: &mut Bench) {
    let nanos = |row: &crate::report::Row| [1e9 / row.median, 1e9 / row.max, 1e9 / row.min];
    let read = |row: &&crate::report::Row| {
        row.case == "sqlite_select1" && row.threads == 1 && row.metric == "prepared_ops_per_s"
    };
    let rows: Vec<_> = bench.report.rows.iter().filter(read).map(|row| (row.pool.clone(), nanos(row))).collect();
    let Some((_, [own, ..])) = rows.iter().find(|(pool, _)| pool == "own_connection") else { return };
    let own = *own;
    for (pool, [median, min, max]) in rows {
        let point = Point { case: "sqlite_select1", threads: 1, size: SIZE };
        if pool != "own_connection" {
            bench.row(point, &pool, "overhead_ns", vec![median - own, min - own, max - own]);
        }
    }
}

const SIZE: u32 = 8;
