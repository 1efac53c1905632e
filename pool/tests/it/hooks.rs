//! `on_checkout` and `on_return`: the effect of their verdicts, and what they may do. `hook_order.rs` tests when they run.

use crate::support::{Pool, SLACK, builder, closed_by, ms};
use cabrank::{CloseReason, Fault, GetError, Loan, PooledConnection, SessionPolicy, Verdict};
use cabrank_testing::fake::{Call, FakeConnection, FakeError, FakeServer, Outcome};
use cabrank_testing::panics::ORDERED;
use cabrank_testing::{eventually, timed};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::Duration;

/// The arguments of a hook's calls, with the thread.
pub(crate) type Seen = Arc<Mutex<Vec<(Loan, thread::ThreadId)>>>;

pub(crate) fn sees(seen: &Seen) -> impl Fn(&mut FakeConnection, &Loan) -> Verdict + Send + Sync + 'static {
    let seen = Arc::clone(seen);
    move |_, loan| {
        seen.lock().unwrap().push((loan.clone(), thread::current().id()));
        Verdict::Keep
    }
}

fn refuses_if(switch: &Arc<AtomicBool>) -> impl Fn(&mut FakeConnection, &Loan) -> Verdict + Send + Sync + 'static {
    let switch = Arc::clone(switch);
    move |_, _| if switch.load(Ordering::SeqCst) { Verdict::Close } else { Verdict::Keep }
}

fn panics(_: &mut FakeConnection, _: &Loan) -> Verdict {
    panic!("{ORDERED}");
}

#[test]
fn a_connection_that_on_checkout_refuses_is_closed_and_the_next_is_taken() {
    for try_get in [false, true] {
        let server = FakeServer::new();
        let asked = AtomicU64::new(0);
        let refuses_two = move |_: &mut FakeConnection, _: &Loan| {
            if asked.fetch_add(1, Ordering::SeqCst) < 2 { Verdict::Close } else { Verdict::Keep }
        };
        let settings = builder().max_size(3).min_idle(3).check_after(Duration::MAX);
        let pool = settings.on_checkout(refuses_two).build(server.manager()).unwrap();
        eventually("all are idle", || pool.stats().idle == 3);
        // No replacement of the first may exist before the third is taken.
        server.order(Call::Connect, Outcome::Never);
        let conn = if try_get { pool.try_get().unwrap().unwrap() } else { pool.get().unwrap() };
        assert!(PooledConnection::id(&conn) <= 3, "it was there");
        assert_eq!((closed_by(&pool, CloseReason::Refused), pool.stats().rejected_at_checkout), (2, 2));
        assert_eq!(server.count(Call::Check), 0, "a refusal is no sign of death");
        drop(conn);
        server.heal();
        server.assert_no_leaks(&pool);
    }
}

#[test]
fn one_whose_connection_is_refused_keeps_its_place() {
    let server = FakeServer::new();
    let is_first = |_: &mut FakeConnection, loan: &Loan| {
        if loan.id == 1 && loan.uses == 1 { Verdict::Close } else { Verdict::Keep }
    };
    let pool = builder().max_size(1).max_waiters(2).on_checkout(is_first).build(server.manager()).unwrap();
    let conn = pool.get().unwrap();
    thread::scope(|scope| {
        let first = scope.spawn(|| {
            let conn = pool.get().unwrap();
            (PooledConnection::id(&conn), pool.stats().waiting)
        });
        eventually("the first waits", || pool.stats().waiting == 1);
        let second = scope.spawn(|| drop(pool.get().unwrap()));
        eventually("the second waits", || pool.stats().waiting == 2);
        server.next(Call::Connect, Outcome::Never);
        drop(conn);
        eventually("another is opened", || server.now_in(Call::Connect) == 1);
        eventually("both wait for it", || pool.stats().waiting == 2);
        server.release(Call::Connect);
        assert_eq!(first.join().unwrap(), (2, 1), "the second waits on");
        second.join().unwrap();
    });
    server.assert_no_leaks(&pool);
}

#[test]
fn an_on_checkout_that_refuses_everything_is_throttled_and_named_by_the_time_out() {
    let refuses: fn(&mut FakeConnection, &Loan) -> Verdict = |_, _| Verdict::Close;
    let ways = [
        (refuses, CloseReason::Refused, "`on_checkout` refused a new connection"),
        (panics, CloseReason::Panicked, "`on_checkout` panicked: as ordered"),
    ];
    for (hook, reason, cause) in ways {
        let server = FakeServer::new();
        let is_on = Arc::new(AtomicBool::new(true));
        let switch = Arc::clone(&is_on);
        let hook = move |conn: &mut FakeConnection, loan: &Loan| {
            if switch.load(Ordering::SeqCst) { hook(conn, loan) } else { Verdict::Keep }
        };
        let pool = builder().max_size(4).on_checkout(hook).build_lazy(server.manager()).unwrap();
        let (outcome, took) = timed(|| pool.get_timeout(ms(400)));
        let Err(error @ GetError::Timeout(_)) = outcome else { panic!("{outcome:?}") };
        assert!(format!("{error:?}").ends_with(&format!(" ago: {cause}")), "{error:?}");
        assert!(took >= ms(400) && took < ms(400) + SLACK, "{took:?}");
        let opened = server.count(Call::Connect);
        assert!((2..=20).contains(&opened), "{opened} log-ins");
        assert!(closed_by(&pool, reason) >= 2 && pool.stats().in_use == 0, "{:?}", pool.stats());
        assert!(matches!(pool.try_get(), Ok(None)));

        is_on.store(false, Ordering::SeqCst);
        drop(pool.get().unwrap());
        server.assert_no_leaks(&pool);
    }
}

#[test]
fn what_on_return_refuses_is_closed_and_no_failed_attempt() {
    let server = FakeServer::new();
    let is_on = Arc::new(AtomicBool::new(true));
    let pool = builder().max_size(1).on_return(refuses_if(&is_on)).build(server.manager()).unwrap();
    let ((), took) = timed(|| (0..20).for_each(|_| drop(pool.get().unwrap())));
    assert!(took < SLACK, "{took:?}");
    eventually("the last is closed", || server.live() == 0);
    assert_eq!(closed_by(&pool, CloseReason::Refused), 20);
    is_on.store(false, Ordering::SeqCst);
    (0..5).for_each(|_| drop(pool.get().unwrap()));
    eventually("each is closed", || server.count(Call::Close) == 20);
    assert_eq!(server.count(Call::Connect), 21);
    server.assert_no_leaks(&pool);

    let server = FakeServer::new();
    let pool = builder().max_size(1).on_return(panics).build(server.manager()).unwrap();
    drop(pool.get().unwrap());
    assert_eq!(closed_by(&pool, CloseReason::Panicked), 1);
    server.assert_no_leaks(&pool);
}

#[test]
fn on_return_does_not_run_for_what_goes_anyway_nor_while_a_thread_panics() {
    let server = FakeServer::new();
    let seen = Seen::default();
    let pool = builder().max_size(1).on_return(sees(&seen)).build(server.manager()).unwrap();
    PooledConnection::discard(pool.get().unwrap());
    let conn = PooledConnection::detach(pool.get().unwrap());
    conn.say_goodbye();
    drop(conn);
    let mut conn = pool.get().unwrap();
    PooledConnection::report_error(&mut conn, &FakeError { call: Call::Query, fault: Fault::Fatal });
    drop(conn);
    let unwound = catch_unwind(AssertUnwindSafe(|| {
        let _conn = pool.get().unwrap();
        panic!("{ORDERED}");
    }));
    assert!(unwound.is_err() && seen.lock().unwrap().is_empty(), "{:?}", seen.lock().unwrap());
    drop(pool.get().unwrap());
    assert_eq!(seen.lock().unwrap().len(), 1);
    server.assert_no_leaks(&pool);
}

#[test]
fn hooks_that_only_read_cost_no_reset() {
    let server = FakeServer::new();
    let seen = Seen::default();
    let settings = builder().max_size(1).session_policy(SessionPolicy::Tracked);
    let pool = settings.on_checkout(sees(&seen)).on_return(sees(&seen)).build(server.manager()).unwrap();
    drop(pool.get().unwrap());
    pool.run(|conn| conn.query()).unwrap();
    assert_eq!((server.count(Call::Reset), pool.stats().resets_skipped, seen.lock().unwrap().len()), (0, 2, 4));
    server.assert_no_leaks(&pool);
}

#[test]
fn what_a_hook_does_to_a_session_is_undone_though_its_holder_does_nothing() {
    let litters = |conn: &mut FakeConnection, _: &Loan| {
        conn.litter();
        Verdict::Keep
    };
    let hooked = [builder().on_checkout(litters), builder().on_return(litters)];
    for (hooked, which) in hooked.into_iter().zip(["on_checkout", "on_return"]) {
        let server = FakeServer::new();
        let pool = hooked.max_size(1).build(server.manager()).unwrap();
        drop(pool.get().unwrap());
        drop(pool.get().unwrap());
        eventually("both are reset", || pool.stats().resets_done == 2);
        assert_eq!(server.count(Call::Reset), 2, "{which}");
        server.assert_no_leaks(&pool);
    }
}

/// A pool from which hooks request a connection, once it is set.
type Target = Arc<OnceLock<Pool>>;

/// The answers to these requests.
type Answers = Arc<Mutex<Vec<String>>>;

fn asks(target: &Target, answers: &Answers) -> impl Fn(&mut FakeConnection, &Loan) -> Verdict + Send + Sync + use<> {
    let (target, answers) = (Arc::clone(target), Arc::clone(answers));
    move |_, _| {
        if let Some(pool) = target.get() {
            let answer = pool.get_timeout(Duration::from_secs(60)).map(|_| "a connection");
            answers.lock().unwrap().push(answer.map_or_else(|error| error.to_string(), str::to_owned));
        }
        Verdict::Keep
    }
}

const REFUSED: &str = "a hook or manager method must not wait for its own pool";

#[test]
fn a_hook_that_asks_its_own_pool_is_refused_at_once() {
    let server = FakeServer::new();
    let (own, answers) = (Target::default(), Answers::default());
    let settings = builder().max_size(2).on_checkout(asks(&own, &answers)).on_return(asks(&own, &answers));
    let pool = settings.build(server.manager()).unwrap();
    own.set(pool.clone()).unwrap();
    let (conn, took) = timed(|| pool.get().unwrap());
    assert_eq!(*answers.lock().unwrap(), [REFUSED]);
    drop(conn);
    assert_eq!((pool.stats().called_from_hook, took < SLACK), (2, true), "{took:?}");
    drop(pool.get().unwrap());
    assert_eq!(*answers.lock().unwrap(), [REFUSED; 4]);
    server.assert_no_leaks(&pool);
}

#[test]
fn a_hook_may_use_another_pool_which_may_not_come_back_to_the_first() {
    let server = FakeServer::new();
    let (one, other, answers) = (Target::default(), Target::default(), Answers::default());
    let pool = |asked: &Target| builder().on_checkout(asks(asked, &answers)).build(server.manager()).unwrap();
    let (first, second) = (pool(&other), pool(&one));
    one.set(first.clone()).unwrap();
    other.set(second.clone()).unwrap();
    drop(first.get().unwrap());
    assert_eq!(*answers.lock().unwrap(), [REFUSED, "a connection"]);
    drop(second.get().unwrap());
    assert_eq!(*answers.lock().unwrap(), [REFUSED, "a connection", REFUSED, "a connection"]);
}

#[test]
fn a_hook_may_look_whether_its_own_pool_has_another() {
    let server = FakeServer::new();
    let (own, found) = (Target::default(), Arc::new(AtomicU64::new(0)));
    let looks = {
        let (own, found) = (Arc::clone(&own), Arc::clone(&found));
        move |_: &mut FakeConnection, _: &Loan| {
            let another = own.get().and_then(|pool| pool.try_get().unwrap());
            found.fetch_add(u64::from(another.is_some()), Ordering::SeqCst);
            Verdict::Keep
        }
    };
    let settings = builder().max_size(3).min_idle(3).check_after(Duration::MAX);
    let pool = settings.on_checkout(looks).build(server.manager()).unwrap();
    eventually("all are idle", || pool.stats().idle == 3);
    own.set(pool.clone()).unwrap();
    drop(pool.get().unwrap());
    assert_eq!(found.load(Ordering::SeqCst), 2, "the second and the third");
    server.assert_no_leaks(&pool);
}
