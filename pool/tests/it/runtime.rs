//! In an async context, returning a connection and dropping the pool neither block nor panic.

use crate::support::{builder, hold, ms};
use cabrank::{Pool, PooledConnection};
use cabrank_testing::fake::{Call, FakeServer, Outcome};
use cabrank_testing::{eventually, timed};
use std::time::Duration;

#[test]
fn guards_and_the_last_pool_dropped_in_a_current_thread_runtime_neither_block_nor_panic() {
    for (call, verdict) in [
        (Call::Destroy, Outcome::Ok),
        (Call::Destroy, Outcome::Never),
        (Call::Destroy, Outcome::Panic),
        (Call::Close, Outcome::Never),
        (Call::Close, Outcome::Panic),
        (Call::Reset, Outcome::Never),
        (Call::Reset, Outcome::Panic),
        (Call::Check, Outcome::Never),
    ] {
        let server = FakeServer::new();
        let pool = builder().max_size(4).build_lazy(server.manager()).unwrap();
        let mut held = hold(&pool, 4);
        held.iter_mut().for_each(|conn| conn.litter());
        server.order(call, verdict);
        let ((), took) = timed(|| {
            in_a_runtime(async {
                PooledConnection::discard(held.pop().unwrap());
                drop(held);
                drop(pool);
            });
        });
        assert!(took < ms(50), "{call:?} {verdict:?}: {took:?}");
        server.heal();
        eventually("all is gone", || server.live() == 0);
    }
}

#[test]
fn a_destructor_that_would_panic_in_a_runtime_does_not_run_in_it() {
    let server = FakeServer::new();
    let pool = builder().max_size(2).build_lazy(server.manager()).unwrap();
    let held = hold(&pool, 2);
    in_a_runtime(async {
        drop(held);
        pool.evict_all();
        drop(pool);
    });
    eventually("both are gone", || server.live() == 0);
    assert_eq!(server.by_thread(Call::Destroy), (2, 0), "destructors ran in the workers only");
    assert_eq!(server.by_thread(Call::Close), (2, 0));
}

#[test]
fn with_an_engine_in_this_process_a_transaction_is_not_rolled_back_in_the_runtime() {
    let server = FakeServer::new();
    let pool = Pool::builder().max_size(1).build_lazy(server.engine()).unwrap();
    let mut conn = pool.get().unwrap();
    conn.session = cabrank::SessionState::InTransaction;
    server.order(Call::Reset, Outcome::Slow(Duration::from_millis(300)));
    let ((), took) = timed(|| in_a_runtime(async { drop(conn) }));
    assert!(took < ms(50), "{took:?}");
    eventually("a worker does it", || pool.stats().resets_done == 1);
    assert_eq!(server.by_thread(Call::Reset), (1, 0));
}

#[test]
fn a_get_in_a_runtime_keeps_its_deadline() {
    let server = FakeServer::new();
    let pool = builder().max_size(1).build_lazy(server.manager()).unwrap();
    let held = hold(&pool, 1);
    let (outcome, took) = timed(|| {
        let mut outcome = None;
        in_a_runtime(async { outcome = Some(pool.get_timeout(ms(30)).map(drop)) });
        outcome
    });
    assert!(outcome.unwrap().unwrap_err().is_timeout());
    assert!(took < ms(30) + crate::support::SLACK, "{took:?}");
    drop(held);
}

fn in_a_runtime(work: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work);
}
