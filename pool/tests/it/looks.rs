//! The detailed reports of a pool: each connection, each waiter, and the obstacle to new connections.

use crate::polling::{Flag, poll};
use crate::support::{builder, hold, ms, pool_of};
use cabrank::{CloseReason, ConnectionInfo, Fault, Obstacle, Phase, PooledConnection};
use cabrank_testing::eventually;
use cabrank_testing::fake::{Call, FakeServer, Outcome};
use std::collections::BTreeMap;
use std::panic::Location;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

#[track_caller]
fn here() -> &'static Location<'static> {
    Location::caller()
}

/// The number of connections in each phase.
fn phases(connections: &[ConnectionInfo]) -> BTreeMap<Phase, usize> {
    let mut phases = BTreeMap::new();
    connections.iter().for_each(|connection| *phases.entry(connection.phase).or_default() += 1);
    phases
}

#[test]
fn each_connection_is_shown_with_its_phase_and_who_holds_it() {
    let server = FakeServer::new();
    let pool = pool_of(&server, 3);
    assert!(pool.connections().is_empty(), "nothing is open yet");
    let (held, site) = (pool.get().unwrap(), here());
    drop(hold(&pool, 2).pop());
    eventually("two are idle", || pool.stats().idle == 2);
    let connections = pool.connections();
    assert_eq!(phases(&connections), BTreeMap::from([(Phase::Lent, 1), (Phase::Idle, 2)]));
    let lent = connections.iter().find(|connection| connection.phase == Phase::Lent).unwrap();
    let holder = lent.holder.as_ref().unwrap();
    assert_eq!((lent.id, holder.id), (Some(PooledConnection::id(&held)), PooledConnection::id(&held)));
    assert_eq!((holder.call_site.file(), holder.call_site.line()), (site.file(), site.line()));
    assert!(holder.thread.is_some(), "a thread has it");
    assert_eq!((lent.in_phase_for, lent.uses), (holder.held_for, 0));
    assert!(lent.age.unwrap() >= lent.in_phase_for && !lent.is_stuck && lent.remark.is_none());
    let ids: Vec<_> = connections.iter().map(|connection| connection.id).collect();
    assert!(ids.is_sorted(), "{ids:?}");
}

#[test]
fn loans_that_pass_the_lock_by_are_counted_and_looks_leave_them_alone() {
    let server = FakeServer::new();
    let pool = pool_of(&server, 1);
    for round in 0..100 {
        // Looks during a loan, and between loans.
        let held = pool.get().unwrap();
        assert_eq!(phases(&pool.connections()), BTreeMap::from([(Phase::Lent, 1)]));
        assert_eq!((pool.connections()[0].uses, pool.holders().len()), (round, 1));
        drop(held);
        assert_eq!(phases(&pool.overview().connections), BTreeMap::from([(Phase::Idle, 1)]));
        assert!(pool.connections()[0].in_phase_for < Duration::from_secs(5));
        assert_eq!((pool.connections()[0].uses, pool.waiters().len()), (round + 1, 0));
        assert!(pool.outage().is_none());
    }
}

#[test]
fn what_is_opened_checked_reset_or_closed_is_shown_as_that() {
    let server = FakeServer::new();
    let pool = pool_of(&server, 2);
    server.next(Call::Connect, Outcome::Never);
    assert!(pool.try_get().unwrap().is_none());
    eventually("it is being opened", || server.now_in(Call::Connect) == 1);
    let opening = &pool.connections()[0];
    assert_eq!((opening.phase, opening.id, opening.age), (Phase::Opening, None, None));
    server.heal();
    let mut held = pool.get().unwrap();
    server.order(Call::Reset, Outcome::Never);
    held.litter();
    let id = PooledConnection::id(&held);
    drop(held);
    eventually("it is being reset", || server.now_in(Call::Reset) == 1);
    let is_reset = |it: &ConnectionInfo| it.id == Some(id) && it.phase == Phase::Resetting && it.uses == 1;
    assert!(pool.connections().iter().any(is_reset), "{:?}", pool.connections());
    server.heal();
    eventually("it is idle", || phases(&pool.connections()).keys().all(|phase| *phase == Phase::Idle));
    server.order(Call::Close, Outcome::Never);
    pool.evict_all();
    eventually("it is being closed", || server.now_in(Call::Close) > 0);
    assert!(phases(&pool.connections()).keys().all(|phase| *phase == Phase::Closing));
    server.heal();
    eventually("nothing is left", || pool.connections().is_empty());
    assert!(pool.stats().closed.by(CloseReason::Evicted) > 0);
}

#[test]
fn a_call_that_nobody_can_abort_is_shown_as_stuck() {
    let server = FakeServer::new();
    server.without_abort_handles();
    let pool = builder().max_size(1).reset_timeout(ms(20)).build(server.manager()).unwrap();
    server.order(Call::Reset, Outcome::Stuck);
    let mut held = pool.get().unwrap();
    held.litter();
    drop(held);
    eventually("it is stuck", || pool.stats().stuck == 1);
    assert!(pool.connections()[0].is_stuck);
    server.heal();
    eventually("it is gone", || pool.stats().stuck == 0);
}

#[test]
fn what_the_manager_has_to_say_of_a_server_is_shown_with_the_connection() {
    let server = FakeServer::new();
    server.remark(Some("it is a replica"));
    let pool = builder().max_size(1).build(server.manager()).unwrap();
    assert_eq!(pool.connections()[0].remark.as_deref(), Some("it is a replica"));
}

#[test]
fn those_who_wait_are_shown_in_their_order_with_where_they_asked_and_when_they_give_up() {
    let server = FakeServer::new();
    let pool = pool_of(&server, 1);
    let held = pool.get().unwrap();
    let own = pool.connections()[0].holder.as_ref().unwrap().thread;
    thread::scope(|scope| {
        let (pool, waiting) = (&pool, |count| eventually("they wait", || pool.stats().waiting == count));
        let name = thread::Builder::new().name("reports".into());
        name.spawn_scoped(scope, || drop(pool.get_timeout(Duration::from_secs(60)).unwrap())).unwrap();
        waiting(1);
        let mut task = pool.get_async();
        assert!(poll(&mut task, &Arc::new(Flag::default())).is_pending());
        scope.spawn(|| drop(pool.get_timeout(Duration::MAX).unwrap()));
        waiting(3);
        let waiters = pool.waiters();
        let names: Vec<_> = waiters.iter().map(|waiter| waiter.thread_name.as_deref()).collect();
        assert_eq!(names, [Some("reports"), None, None]);
        assert!(waiters.is_sorted_by_key(|waiter| std::cmp::Reverse(waiter.waited)));
        assert!(waiters.iter().all(|waiter| waiter.call_site.file().ends_with("looks.rs")));
        let left: Vec<_> = waiters.iter().map(|waiter| waiter.left.map(|left| left.as_secs().div_ceil(10))).collect();
        assert_eq!(left, [Some(6), Some(1), None]);
        assert_eq!(waiters[1].thread, None, "a task has no thread");
        assert!(waiters[0].thread.is_some() && waiters[0].thread != waiters[2].thread && waiters[0].thread != own);
        drop(task);
        drop(held);
    });
    assert!(pool.waiters().is_empty());
    server.assert_no_leaks(&pool);
}

#[test]
fn a_thread_that_holds_one_and_waits_for_another_is_the_same_in_both_lists() {
    let server = FakeServer::new();
    let pool = pool_of(&server, 1);
    thread::scope(|scope| {
        let nested = scope.spawn(|| {
            let _held = pool.get().unwrap();
            assert!(pool.get_timeout(Duration::from_secs(5)).is_err(), "it waits for itself");
        });
        eventually("it holds one and waits", || pool.stats().waiting == 1 && pool.stats().in_use == 1);
        let overview = pool.overview();
        assert_eq!(overview.waiters[0].thread, overview.connections[0].holder.as_ref().unwrap().thread);
        pool.close();
        nested.join().unwrap();
    });
}

#[test]
fn of_those_who_wait_a_thousand_are_shown() {
    let server = FakeServer::new();
    let pool = pool_of(&server, 1);
    let held = pool.get().unwrap();
    let flag = Arc::new(Flag::default());
    let mut tasks: Vec<_> = (0..1_001).map(|_| pool.get_async()).collect();
    tasks.iter_mut().for_each(|task| assert!(poll(task, &flag).is_pending()));
    let overview = pool.overview();
    assert_eq!((overview.stats.waiting, overview.waiters.len()), (1_001, 1_000));
    drop((tasks, held));
}

#[test]
fn an_outage_is_shown_with_its_age_its_attempts_and_its_cause() {
    for (fault, obstacle) in [
        (Fault::Unavailable, Obstacle::Unavailable),
        (Fault::Permanent, Obstacle::Refused),
        (Fault::Capacity, Obstacle::Full),
    ] {
        let server = FakeServer::new();
        let pool = builder().max_size(2).build_lazy(server.manager()).unwrap();
        assert!(pool.outage().is_none(), "nothing was tried yet");
        server.order(Call::Connect, Outcome::Err(fault));
        assert!(pool.get_timeout(ms(50)).is_err());
        let outage = pool.outage().unwrap();
        let (error, age) = outage.last_error.as_ref().unwrap();
        assert_eq!(outage.obstacle, obstacle);
        assert!(outage.failures > 0 && outage.since >= *age, "{outage:?}");
        assert!(error.to_string().contains("Connect failed"), "{error}");
        if fault == Fault::Permanent {
            // The pause before the next attempt is at least a second.
            assert!(outage.next_attempt > ms(500), "{outage}");
        }
        server.heal();
        pool.evict_all();
        drop(pool.get().unwrap());
        assert!(pool.outage().is_none());
    }
}

#[test]
fn an_attempt_that_is_under_way_in_an_outage_is_shown() {
    let server = FakeServer::new();
    let pool = builder().max_size(1).build_lazy(server.manager()).unwrap();
    server.next(Call::Connect, Outcome::Err(Fault::Unavailable));
    server.order(Call::Connect, Outcome::Never);
    thread::scope(|scope| {
        scope.spawn(|| drop(pool.get()));
        eventually("the second attempt runs", || server.now_in(Call::Connect) == 1 && server.count(Call::Connect) == 2);
        let outage = pool.outage().unwrap();
        assert!(outage.attempt_under_way.is_some(), "{outage}");
        assert!(outage.to_string().contains("an attempt has been running for"), "{outage}");
        server.heal();
    });
}

#[test]
fn an_overview_agrees_with_itself_while_threads_borrow() {
    let server = FakeServer::new();
    let pool = pool_of(&server, 4);
    drop(hold(&pool, 4));
    thread::scope(|scope| {
        let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
        for _ in 0..8 {
            let (pool, stop) = (&pool, Arc::clone(&stop));
            scope.spawn(move || {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    drop(pool.get().unwrap());
                }
            });
        }
        for _ in 0..1_000 {
            let overview = pool.overview();
            assert_eq!(overview.connections.len(), 4, "{:?}", overview.connections);
            assert_eq!(overview.waiters.len(), overview.stats.waiting as usize);
            for connection in &overview.connections {
                assert_eq!(connection.holder.is_some(), connection.phase == Phase::Lent);
            }
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}
