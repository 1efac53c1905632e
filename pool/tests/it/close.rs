//! The end of a pool, and its resizing, with its connections in every possible state.

use crate::support::{Pool, SLACK, builder, hold, ms};
use cabrank::{CloseReport, Fault, GetError, PooledConnection, ResizeError};
use cabrank_testing::fake::{Call, FakeServer, Outcome};
use cabrank_testing::{eventually, timed};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// The state of a pool when it is closed or resized.
#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    Empty,
    Idle,
    Lent,
    Waiting,
    Opening,
    Checking,
    Resetting,
    Closing,
    Aborted,
    Stuck,
    Outage,
}

const STATES: [State; 11] = [
    State::Empty,
    State::Idle,
    State::Lent,
    State::Waiting,
    State::Opening,
    State::Checking,
    State::Resetting,
    State::Closing,
    State::Aborted,
    State::Stuck,
    State::Outage,
];

/// A pool of two in this state, and the guards that must stay alive for it.
fn pool_in(server: &FakeServer, state: State) -> (Pool, Vec<crate::support::Guard>) {
    server.allow(2);
    let pool = builder()
        .max_size(2)
        .check_after(Duration::ZERO)
        .close_timeout(if state == State::Aborted { ms(10) } else { Duration::from_secs(5) })
        .reset_timeout(if state == State::Stuck { ms(10) } else { Duration::from_secs(5) })
        .build_lazy(server.manager())
        .unwrap();
    if state == State::Stuck {
        server.without_abort_handles();
    }
    let mut held = match state {
        State::Empty | State::Opening | State::Outage => Vec::new(),
        _ => hold(&pool, 2),
    };
    match state {
        State::Empty | State::Lent | State::Waiting => {}
        State::Idle => held.clear(),
        State::Opening => {
            server.order(Call::Connect, Outcome::Never);
            assert!(pool.try_get().unwrap().is_none());
            eventually("it opens", || pool.stats().opening == 1);
        }
        State::Checking => {
            server.order(Call::Check, Outcome::Never);
            held.clear();
            assert!(pool.try_get().unwrap().is_none());
            eventually("it is checked", || server.now_in(Call::Check) == 1);
        }
        State::Resetting => {
            server.order(Call::Reset, Outcome::Never);
            held.iter_mut().for_each(|conn| conn.litter());
            held.clear();
            eventually("they are reset", || server.now_in(Call::Reset) == 2);
        }
        State::Stuck => {
            server.order(Call::Reset, Outcome::Stuck);
            held.iter_mut().for_each(|conn| conn.litter());
            held.clear();
            eventually("they are stuck", || pool.stats().stuck == 2);
        }
        State::Closing | State::Aborted => {
            server.order(Call::Close, if state == State::Closing { Outcome::Never } else { Outcome::Stuck });
            held.drain(..).for_each(PooledConnection::discard);
            eventually("they close", || server.now_in(Call::Close) == 2);
            if state == State::Aborted {
                eventually("they are aborted", || pool.stats().aborted == 2);
            }
        }
        State::Outage => {
            server.order(Call::Connect, Outcome::Err(Fault::Unavailable));
            assert!(pool.get_timeout(ms(1)).is_err());
            eventually("the outage is known", || pool.stats().open_failures > 0);
        }
    }
    (pool, held)
}

#[test]
fn close_returns_at_once_in_every_state_and_refuses_from_then_on() {
    for state in STATES {
        let server = FakeServer::new();
        let (pool, held) = pool_in(&server, state);
        thread::scope(|scope| {
            let waiter = (state == State::Waiting).then(|| scope.spawn(|| pool.get()));
            eventually("it waits", || pool.stats().waiting == u32::from(state == State::Waiting));
            let ((), took) = timed(|| pool.close());
            assert!(took < SLACK, "{state:?}: {took:?}");
            assert!(pool.is_closed());
            assert!(waiter.is_none_or(|waiter| waiter.join().unwrap().unwrap_err().is_closed()), "{state:?}");
        });
        assert!(matches!(pool.get(), Err(GetError::Closed)), "{state:?}");
        assert!(pool.try_get().is_err_and(|error| error.is_closed()));
        drop(held);
        server.heal();
        server.assert_closes_clean(&pool);
    }
}

#[test]
fn close_within_returns_in_time_in_every_state_and_says_what_is_left() {
    thread::scope(|scope| {
        for state in STATES {
            scope.spawn(move || close_in_time(state));
        }
    });
}

fn close_in_time(state: State) {
    const SPAN: Duration = Duration::from_secs(1);
    let server = FakeServer::new();
    let (pool, held) = pool_in(&server, state);
    let (report, took) = timed(|| pool.close_within(SPAN));
    assert!(took < SPAN + SLACK, "{state:?}: {took:?}");
    match state {
        State::Lent | State::Waiting => {
            assert_eq!((report.aborted.len(), report.connections_left), (2, 2), "{state:?}: {report}");
            assert_eq!(server.live(), 0, "{state:?}: no session outlives it");
        }
        // These calls do not return, aborted or not.
        State::Aborted | State::Stuck => assert_eq!(report.connections_left, 2, "{state:?}: {report}"),
        _ => assert!(report.is_clean(), "{state:?}: {report}"),
    }
    drop(held);
    server.heal();
    server.assert_closes_clean(&pool);
}

#[test]
fn resizing_in_every_state_loses_no_slot_and_breaks_no_limit() {
    for state in STATES {
        for size in [1, 3] {
            let server = FakeServer::new();
            let (pool, held) = pool_in(&server, state);
            server.allow(3);
            pool.set_max_size(size).unwrap();
            assert_eq!(pool.stats().max_size, size);
            drop(held);
            server.heal();
            eventually("the surplus is gone", || pool.stats().open + pool.stats().closing <= size);
            server.assert_no_leaks(&pool);
            server.assert_closes_clean(&pool);
        }
    }
}

#[test]
fn sizes_that_break_a_rule_are_refused_by_name_and_change_nothing() {
    let server = FakeServer::new();
    let pool = builder().max_size(4).min_idle(2).build_lazy(server.manager()).unwrap();
    let attempts: [(ResizeError, &[&str]); 6] = [
        (pool.set_max_size(0).unwrap_err(), &["max_size", "min_idle"]),
        (pool.set_max_size(1).unwrap_err(), &["min_idle"]),
        (pool.set_min_idle(5).unwrap_err(), &["min_idle"]),
        (pool.resize(0, 0).unwrap_err(), &["max_size"]),
        (pool.resize(0, 1).unwrap_err(), &["max_size", "min_idle"]),
        (pool.resize(8, 9).unwrap_err(), &["min_idle"]),
    ];
    for (error, fields) in attempts {
        let text = format!("{error}");
        assert!(text.starts_with("invalid pool settings: "), "{text}");
        assert_eq!(format!("{error:?}"), text, "unwrap() shows the same");
        let ResizeError::Config(error) = error else { panic!("{error}") };
        assert_eq!(error.problems().iter().map(|problem| problem.field).collect::<Vec<_>>(), fields);
    }
    let stats = pool.stats();
    assert_eq!((stats.max_size, stats.min_idle), (4, 2));
}

#[test]
fn both_sizes_change_at_once_and_can_be_read() {
    fn shrink(pool: &Pool) -> Result<(), Box<dyn std::error::Error>> {
        pool.resize(3, 1)?;
        Ok(())
    }
    let server = FakeServer::new();
    server.allow(8);
    let pool = builder().max_size(8).min_idle(5).build(server.manager()).unwrap();
    assert_eq!((pool.stats().max_size, pool.stats().min_idle), (8, 5));
    // Neither size could change first alone: that would break the rule, or reopen connections that were closed.
    shrink(&pool).unwrap();
    let stats = pool.stats();
    assert_eq!((stats.max_size, stats.min_idle), (3, 1));
    assert_eq!((pool.config().max_size, pool.config().min_idle), (8, 5), "as it was built");
    pool.resize(8, 5).unwrap();
    eventually("five are idle", || pool.stats().idle == 5);
    server.assert_no_leaks(&pool);
}

#[test]
fn a_closed_pool_is_not_resized() {
    let server = FakeServer::new();
    let pool = builder().max_size(4).build(server.manager()).unwrap();
    pool.close();
    for outcome in [pool.resize(8, 2), pool.set_max_size(8), pool.set_min_idle(2), pool.resize(0, 0)] {
        let error = outcome.unwrap_err();
        assert!(matches!(error, ResizeError::Closed), "{error}");
        assert_eq!(error.to_string(), "a closed pool cannot be resized");
    }
    assert_eq!((pool.stats().max_size, pool.stats().min_idle), (4, 0));
}

#[test]
fn close_within_waits_for_loans_that_end_in_time() {
    let server = FakeServer::new();
    let pool = builder().max_size(2).build_lazy(server.manager()).unwrap();
    let held = hold(&pool, 2);
    thread::scope(|scope| {
        let closing = scope.spawn(|| pool.close_within(Duration::from_secs(10)));
        eventually("it is closed", || pool.is_closed());
        drop(held);
        let report = closing.join().unwrap();
        assert!(report.is_clean() && report.cancelled.is_empty() && report.aborted.is_empty(), "{report}");
    });
    assert_eq!(server.live(), 0);
    assert_eq!(server.count(Call::Close), 2, "each got a goodbye");
}

#[test]
fn close_within_cancels_what_runs_then_aborts_it_and_names_the_call_site() {
    for (cancel, cancelled, aborted) in [
        (Outcome::Ok, 1, 0),
        (Outcome::Err(Fault::Statement), 0, 1),
        (Outcome::Panic, 0, 1),
        // The cancel's own limit ends it.
        (Outcome::Never, 0, 1),
    ] {
        let server = FakeServer::new();
        let pool = builder().max_size(1).build_lazy(server.manager()).unwrap();
        server.order(Call::Query, Outcome::Never);
        server.order(Call::Cancel, cancel);
        thread::scope(|scope| {
            let line = line!() + 2;
            let user = scope.spawn(|| {
                let mut conn = pool.get().unwrap();
                conn.query().unwrap_err()
            });
            eventually("the query runs", || server.now_in(Call::Query) == 1);
            let report = pool.close_within(ms(400));
            assert_eq!(report.cancelled.len(), cancelled, "{cancel:?}: {report}");
            assert_eq!(report.aborted.len(), aborted, "{cancel:?}: {report}");
            let site = report.cancelled.iter().chain(&report.aborted).next().unwrap().call_site;
            assert_eq!((site.file(), site.line()), (file!(), line), "{report}");
            assert!(report.to_string().contains(&format!("{}:{line}", file!())), "{report}");
            user.join().unwrap();
        });
        eventually("no session is left", || server.live() == 0);
        server.heal();
        assert!(pool.close_within(Duration::from_secs(5)).is_clean());
    }
}

#[test]
fn closing_twice_and_from_eight_threads_at_a_time_is_closing_once() {
    let server = FakeServer::new();
    let pool = builder().max_size(4).build_lazy(server.manager()).unwrap();
    drop(hold(&pool, 4));
    thread::scope(|scope| {
        for n in 0..8 {
            let pool = &pool;
            scope.spawn(move || {
                if n % 2 == 0 {
                    pool.close();
                } else {
                    assert!(pool.close_within(Duration::from_secs(10)).is_clean());
                }
            });
        }
    });
    server.assert_closes_clean(&pool);
    assert_eq!(server.count(Call::Close), 4);
}

#[test]
fn close_within_any_time_ends_as_soon_as_everything_is_gone() {
    for span in [Duration::ZERO, Duration::from_nanos(1), Duration::from_secs(u64::MAX), Duration::MAX] {
        let server = FakeServer::new();
        let pool = builder().max_size(2).build_lazy(server.manager()).unwrap();
        drop(hold(&pool, 2));
        let (_, took) = timed(|| pool.close_within(span));
        assert!(took < SLACK, "{span:?}: {took:?}");
        server.assert_closes_clean(&pool);
    }
}

#[test]
fn in_a_hook_get_fails_close_and_close_within_return_and_nothing_waits_for_itself() {
    let server = FakeServer::new();
    let own: Arc<Mutex<Option<Pool>>> = Arc::default();
    let told: Arc<Mutex<Vec<String>>> = Arc::default();
    let (pool_in_hook, log) = (Arc::clone(&own), Arc::clone(&told));
    let pool = builder()
        .max_size(1)
        .on_open(move |_, _| {
            let pool = pool_in_hook.lock().unwrap().clone().expect("it was put there");
            log.lock().unwrap().push(match pool.get() {
                Err(GetError::CalledFromHook) => "refused".to_owned(),
                other => format!("{other:?}"),
            });
            log.lock().unwrap().push(format!("{:?}", pool.try_get().unwrap().is_some()));
            let (_, took) = timed(|| pool.close_within(Duration::from_secs(60)));
            log.lock().unwrap().push(if took < SLACK { "at once".to_owned() } else { format!("{took:?}") });
            Ok(())
        })
        .build_lazy(server.manager())
        .unwrap();
    *own.lock().unwrap() = Some(pool.clone());
    assert!(pool.get().unwrap_err().is_closed());
    eventually("the hook has run", || told.lock().unwrap().len() == 3);
    assert_eq!(*told.lock().unwrap(), ["refused", "false", "at once"]);
    own.lock().unwrap().take();
    server.assert_closes_clean(&pool);
}

#[test]
fn the_last_handle_may_be_dropped_in_a_hook() {
    let server = FakeServer::new();
    let own: Arc<Mutex<Option<Pool>>> = Arc::default();
    let in_hook = Arc::clone(&own);
    let pool = builder()
        .max_size(2)
        .on_open(move |_, _| {
            drop(in_hook.lock().unwrap().take());
            Ok(())
        })
        .build_lazy(server.manager())
        .unwrap();
    server.order(Call::Connect, Outcome::Never);
    assert!(pool.try_get().unwrap().is_none());
    eventually("it connects", || server.now_in(Call::Connect) == 1);
    *own.lock().unwrap() = Some(pool);
    server.release(Call::Connect);
    eventually("the handle is gone", || own.lock().unwrap().is_none());
    eventually("and the session with it", || server.live() == 0);
}

#[test]
fn dropping_the_last_handle_closes_what_is_idle_and_lent_ones_when_they_come_back() {
    let server = FakeServer::new();
    let pool = builder().max_size(3).on_open(server.set_up()).build_lazy(server.manager()).unwrap();
    let mut held = hold(&pool, 3);
    held.truncate(1);
    let ((), took) = timed(|| drop(pool));
    assert!(took < SLACK);
    eventually("idle ones are gone", || server.live() == 1);
    held[0].query().unwrap();
    drop(held);
    eventually("the last is gone", || server.live() == 0);
}

#[test]
fn a_report_tells_one_thing_in_the_singular() {
    let server = FakeServer::new();
    server.without_abort_handles();
    let pool = builder().max_size(2).build(server.manager()).unwrap();
    let line = line!() + 1;
    let held = pool.get().unwrap();
    let text = pool.close_within(ms(20)).to_string();
    let told = format!("1 connection and 0 threads left; still out: connection 1 checked out at {}:{line}:", file!());
    assert!(text.starts_with(&told) && text.ends_with("ms ago"), "{text}");
    drop(held);
    assert_eq!(pool.close_within(Duration::from_secs(5)).to_string(), "0 connections and 0 threads left");
}

#[test]
fn a_report_lists_each_loan_once_with_what_was_tried() {
    let server = FakeServer::new();
    let pool = builder().max_size(7).build_lazy(server.manager()).unwrap();
    let held = hold(&pool, 7);
    let mut holders = pool.holders();
    holders.sort_by_key(|holder| holder.id);
    let at = holders[0].call_site;
    let loans = |ids: [usize; 4], millis| {
        ids.map(|id| {
            let mut holder = holders[id - 1].clone();
            holder.held_for = ms(millis);
            holder
        })
        .to_vec()
    };
    let mut report = CloseReport::default();
    report.cancelled = loans([1, 2, 3, 4], 600);
    report.aborted = loans([2, 3, 5, 6], 700);
    report.left = loans([1, 2, 6, 7], 800);
    (report.connections_left, report.threads_left) = (4, 1);
    let expected = format!(
        "4 connections and 1 thread left\
         ; still out: connection 1 checked out at {at}, 800.0ms ago (cancel requested)\
         ; still out: connection 2 checked out at {at}, 800.0ms ago (cancel requested, aborted)\
         ; still out: connection 6 checked out at {at}, 800.0ms ago (aborted)\
         ; still out: connection 7 checked out at {at}, 800.0ms ago\
         ; aborted: connection 3 checked out at {at}, 700.0ms ago (cancel requested before)\
         ; aborted: connection 5 checked out at {at}, 700.0ms ago\
         ; no longer out: connection 4 checked out at {at}, 600.0ms ago (cancel requested)"
    );
    assert_eq!(report.to_string(), expected);
    drop(held);
    server.assert_closes_clean(&pool);
}
