//! The fake server detects broken rules, and its drop releases blocked calls. The core's own tests cover the rest, because all of them
//! use it.

use super::*;
use cabrank::{Manager, Pool};
use std::thread;
use std::time::Duration;

#[test]
#[should_panic(expected = "2 sessions where 1 are allowed")]
fn more_sessions_than_are_allowed_break_the_rules() {
    let server = FakeServer::new();
    server.allow(1);
    let pool = Pool::builder().max_size(2).build_lazy(server.manager()).unwrap();
    drop((pool.get().unwrap(), pool.get().unwrap()));
    drop(pool);
    drop(server);
}

#[test]
fn those_who_are_blocked_when_the_test_ends_go_on() {
    let server = FakeServer::new();
    let orders = server.orders();
    server.order(Call::Event, Outcome::Stuck);
    let blocked = thread::spawn(move || orders.obey(Call::Event));
    crate::eventually("it is blocked", || server.now_in(Call::Event) == 1);
    drop(server);
    assert_eq!(blocked.join().unwrap(), Ok(()));
}

#[test]
fn what_is_ordered_for_the_next_call_comes_before_what_holds_for_all() {
    let server = FakeServer::new();
    let failed = |fault| Err(FakeError { call: Call::OnOpen, fault });
    server.order(Call::OnOpen, Outcome::Err(cabrank::Fault::Fatal));
    server.next(Call::OnOpen, Outcome::Slow(Duration::from_millis(1)));
    assert_eq!(server.orders().obey(Call::OnOpen), Ok(()));
    assert_eq!(server.orders().obey(Call::OnOpen), failed(cabrank::Fault::Fatal));
    server.heal();
    assert_eq!((server.orders().obey(Call::OnOpen), server.count(Call::OnOpen)), (Ok(()), 3));
}

#[test]
fn an_engine_in_this_process_is_not_remote() {
    const { assert!(!<FakeManager<false> as Manager>::REMOTE && <FakeManager as Manager>::REMOTE) };
}
