//! A standby is promoted in place, under sessions that require a standby, and behind a pooler that still reports the old role.

use super::failover::is_over;
use crate::postgres::Postgres;
use crate::subject::{Subject, SubjectPool};
use cabrank::{CloseReason, Pool};
use cabrank_postgres::postgres::NoTls;
use cabrank_postgres::{PostgresManager, Role};
use integration_tests::pgbouncer::PgBouncer;
use integration_tests::{Case, Needs, Pair};
use std::time::Duration;

pub(crate) fn cases(cases: &mut Vec<Case>) {
    let case = |name, run| Case { engine: Postgres::ENGINE, name, needs: Needs::Control, run };
    cases.extend([
        case("recovery::standby::a_standby_is_lent_until_it_is_promoted", a_standby_is_lent_until_it_is_promoted),
        case(
            "recovery::standby::behind_a_pooler_that_shows_what_was_so_a_promoted_server_serves",
            behind_a_pooler_that_shows_what_was_so_a_promoted_server_serves,
        ),
    ]);
}

fn a_standby_is_lent_until_it_is_promoted() {
    let pair = Pair::start().expect("two servers");
    let pool = pool(&pair.url_of_both(), Role::Standby, 4);
    let lent = [(); 4].map(|()| pool.get().expect("a connection"));
    assert_eq!(
        (Pair::sessions(pair.first()).expect("a server"), Pair::sessions(pair.second()).expect("a server")),
        (0, 4)
    );
    drop(lent);
    pair.promote().expect("another primary");
    let told = format!("{:?}", pool.get_timeout(Duration::from_secs(2)).expect_err("there is no standby left"));
    assert!(told.contains("is not in recovery, but a standby is required"), "{told}");
    assert_eq!(pool.stats().closed.by(CloseReason::WrongRole), 4);
    is_over(&pool, pair.second());
}

/// PgBouncer greets its clients with the parameters of its first session at the server.
fn behind_a_pooler_that_shows_what_was_so_a_promoted_server_serves() {
    let pair = Pair::start().expect("two servers");
    let bouncer = PgBouncer::lending_sessions(&pair, pair.second()).expect("a pooler");
    let pool = pool(&bouncer.url_of(&pair), Role::Primary, 1);
    let told = format!("{:?}", pool.get_timeout(Duration::from_secs(2)).expect_err("there is no primary"));
    assert!(told.contains("in recovery") && told.contains(", but a primary is required"), "{told}");
    pair.promote().expect("another primary");
    let mut conn = pool.get().expect("it is a primary by now");
    conn.batch_execute("INSERT INTO written VALUES (7)").expect("it takes writes");
    drop(conn);
    for _ in 0..3 {
        drop(pool.get().expect("it still is"));
    }
    assert_eq!(pool.stats().closed.total(), 0);
    cabrank_testing::assert_closes_clean(&pool);
}

/// Each connection is checked before each loan.
fn pool(url: &str, role: Role, max_size: u32) -> SubjectPool<Postgres> {
    let manager = PostgresManager::from_url(url, NoTls).expect("a URL").role(role);
    let settings = Pool::builder().max_size(max_size).check_after(Duration::ZERO);
    settings.acquire_timeout(Duration::from_secs(60)).build_lazy(manager).expect("a pool")
}
