//! Another server takes over from one that this program starts: eight threads write on a pool of eight, with URLs that require a
//! writable server.

use crate::application::{End, count, first_success, load_beside, longest_wait, pool, yes};
use crate::server::{Server, name};
use crate::{Failure, Measured};
use cabrank_testing::Proxy;
use diesel::pg::PgConnection;
use diesel::prelude::*;
use integration_tests::Pair;
use std::thread;
use std::time::{Duration, Instant};

/// The URL names both. The primary is killed, and two seconds later its standby is promoted.
pub(crate) fn killed(_: &Server) -> Result<Measured, Failure> {
    let pair = Pair::start()?;
    let pool = pool(&wanting_a_primary(&pair.url_of_both()), 8, Duration::from_secs(30))?;
    let begun = Instant::now();
    let (loans, promoted) = load_beside(&pool, 8, begun, Duration::from_secs(2), write, || {
        thread::sleep(Duration::from_millis(700));
        pair.first().container().ok_or("a server that is not ours to kill")?.kill()?;
        thread::sleep(Duration::from_secs(2));
        pair.promote()?;
        Ok(begun.elapsed())
    })?;
    Ok(vec![
        ("failed_gets", count(&loans, End::FailedGet)),
        ("failed_queries", count(&loans, End::FailedQuery)),
        ("longest_wait_ms", longest_wait(&loans)),
        ("first_success_ms", first_success(&loans, promoted, begun.elapsed())),
    ])
}

/// A name leads to one of them. The standby is promoted, the name leads to it, and the old primary becomes read-only while its sessions
/// live on: how many sessions are still there three seconds later?
pub(crate) fn read_only(_: &Server) -> Result<Measured, Failure> {
    let pair = Pair::start()?;
    let leads = Proxy::start(Pair::address(pair.first()))?;
    let pool = pool(&wanting_a_primary(&pair.url_at(leads.address())), 8, Duration::from_secs(30))?;
    let begun = Instant::now();
    let (loans, turned) = load_beside(&pool, 8, begun, Duration::from_secs(3), write, || {
        thread::sleep(Duration::from_millis(700));
        pair.promote()?;
        leads.lead_to(Pair::address(pair.second()))?;
        let mut admin = pair.first().log_in()?;
        admin.execute("ALTER SYSTEM SET default_transaction_read_only = on")?;
        admin.execute("SELECT pg_reload_conf()")?;
        Ok(begun.elapsed())
    })?;
    // Sessions go on writing until the new setting reaches them.
    let heard = turned + Duration::from_secs(1);
    let served = loans.iter().flatten().any(|loan| loan.end == End::Good && loan.ended >= heard);
    Ok(vec![
        ("failed_gets", count(&loans, End::FailedGet)),
        ("failed_queries", count(&loans, End::FailedQuery)),
        ("served_afterwards", yes(served)),
        ("sessions_at_the_wrong_server", Pair::sessions(pair.first())? as f64),
    ])
}

fn wanting_a_primary(url: &str) -> String {
    format!("{url}?target_session_attrs=read-write&sslmode=disable&application_name={}", name())
}

fn write(conn: &mut PgConnection) -> QueryResult<()> {
    diesel::sql_query("INSERT INTO written VALUES (7)").execute(conn).map(drop)
}
