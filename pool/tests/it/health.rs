//! The report on a pool's health.

use crate::support::{builder, ms};
use cabrank::{Fault, Health, Pool};
use cabrank_testing::eventually;
use cabrank_testing::fake::{Call, FakeManager, FakeServer, Outcome};
use std::thread;

fn told(pool: &Pool<FakeManager>) -> String {
    pool.health().to_string()
}

#[test]
fn a_pool_is_up_until_it_is_closed() {
    let server = FakeServer::new();
    let pool = builder().max_size(1).build_lazy(server.manager()).unwrap();
    assert_eq!(told(&pool), "up", "nothing was tried yet");
    let held = pool.get().unwrap();
    assert_eq!(told(&pool), "up", "nobody waits");
    drop(held);
    pool.close();
    assert_eq!(told(&pool), "closed");
    assert!(!pool.health().is_ready());
}

#[test]
fn one_that_is_busy_says_how_long_a_wait_is_likely() {
    let server = FakeServer::new();
    let pool = builder().max_size(1).build(server.manager()).unwrap();
    let held = pool.get().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| drop(pool.get().unwrap()));
        eventually("it waits", || pool.stats().waiting == 1);
        // The head of the queue has waited for at least that long.
        eventually(
            "the wait is reported",
            || matches!(pool.health(), Health::Busy { expected_wait } if expected_wait >= ms(20)),
        );
        assert!(pool.health().is_ready());
        drop(held);
    });
    eventually("nobody waits", || told(&pool) == "up");
}

#[test]
fn one_that_is_down_says_since_when_and_why() {
    let server = FakeServer::new();
    let pool = builder().max_size(2).build_lazy(server.manager()).unwrap();
    server.order(Call::Connect, Outcome::Err(Fault::Unavailable));
    assert!(pool.get_timeout(ms(30)).is_err());
    let Health::Down { since, cause } = pool.health() else { panic!("{}", pool.health()) };
    assert!(since >= ms(1) && cause.is_some(), "{since:?} {cause:?}");
    assert!(pool.health().is_ready(), "another replica would fare no better");
    server.heal();
    drop(pool.get().unwrap());
    assert_eq!(told(&pool), "up");
}

#[test]
fn a_pool_that_nobody_asks_notices_the_end_of_an_outage() {
    let server = FakeServer::new();
    let pool = builder().max_size(2).build_lazy(server.manager()).unwrap();
    server.order(Call::Connect, Outcome::Err(Fault::Unavailable));
    assert!(pool.get_timeout(ms(30)).is_err());
    let attempts = server.count(Call::Connect);
    eventually("it retries on its own", || server.count(Call::Connect) > attempts + 1);
    assert!(matches!(pool.health(), Health::Down { .. }), "{}", pool.health());
    server.heal();
    eventually("it has noticed", || told(&pool) == "up");
    eventually("the connection is idle", || pool.stats().idle == 1);
    assert_eq!(pool.stats().waiting, 0);
    server.assert_closes_clean(&pool);
}

#[test]
fn a_pool_whose_password_is_wrong_does_not_try_again_unasked() {
    let server = FakeServer::new();
    let pool = builder().max_size(2).build_lazy(server.manager()).unwrap();
    server.order(Call::Connect, Outcome::Err(Fault::Permanent));
    assert!(pool.get_timeout(ms(30)).is_err());
    let attempts = server.count(Call::Connect);
    // Longer than the pauses of an outage.
    thread::sleep(ms(700));
    assert_eq!(server.count(Call::Connect), attempts);
    server.assert_closes_clean(&pool);
}

#[test]
fn an_outage_is_no_outage_for_those_whose_connections_live() {
    let server = FakeServer::new();
    let pool = builder().max_size(2).build(server.manager()).unwrap();
    let _held = pool.get().unwrap();
    server.order(Call::Connect, Outcome::Err(Fault::Unavailable));
    assert!(pool.get_timeout(ms(30)).is_err());
    assert_eq!(told(&pool), "up", "one connection serves");
}
