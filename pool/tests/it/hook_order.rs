//! When `on_checkout` and `on_return` run, relative to the pool's own steps, and the connections they get.

use crate::hooks::{Seen, sees};
use crate::stale::pass;
use crate::support::{builder, closed_by, ms};
use cabrank::{Builder, CancelOutcome, Canceller, CloseReason, Fault, Loan, Pool, PooledConnection, Verdict};
use cabrank_testing::fake::{Call, FakeConnection, FakeError, FakeManager, FakeServer, Outcome};
use cabrank_testing::{Recorder, eventually};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

#[test]
fn both_hooks_see_each_loan_once_in_its_own_thread() {
    let server = FakeServer::new();
    let (out, back) = (Seen::default(), Seen::default());
    let settings = builder().max_size(1).check_after(Duration::MAX);
    let pool = settings.on_checkout(sees(&out)).on_return(sees(&back)).build(server.manager()).unwrap();
    drop(pool.get().unwrap());
    drop(pool.get_timeout(Duration::ZERO).unwrap());
    drop(pool.try_get().unwrap().unwrap());
    pool.run(|conn| -> Result<(), FakeError> {
        conn.litter();
        Ok(())
    })
    .unwrap();
    eventually("it is reset", || pool.stats().resets_done == 1);
    let mut runs = 0;
    let outcome = pool.transaction().retries(1).run(|_| {
        runs += 1;
        if runs == 1 { Err(FakeError { call: Call::Query, fault: Fault::Retry }) } else { Ok(()) }
    });
    assert!(outcome.is_ok() && runs == 2, "{outcome:?}");
    for seen in [out, back] {
        let seen = seen.lock().unwrap();
        assert_eq!(
            seen.iter().map(|(loan, _)| (loan.id, loan.uses)).collect::<Vec<_>>(),
            [0, 1, 2, 3, 4].map(|uses| (1, uses))
        );
        assert!(seen.iter().all(|(_, thread)| *thread == thread::current().id()));
        assert!(seen.windows(2).all(|pair| pair[0].0.lent_at <= pair[1].0.lent_at));
        assert!(
            seen.iter()
                .all(|(loan, _)| loan.opened_at <= loan.lent_at && loan.idle_for <= loan.lent_at - loan.opened_at)
        );
    }
    server.assert_no_leaks(&pool);
}

#[test]
fn on_checkout_comes_before_its_event_and_on_return_before_its_own() {
    let server = FakeServer::new();
    let recorder = Recorder::new();
    let wrong = Arc::new(AtomicU64::new(0));
    let expect = |event: &'static str| {
        let (recorder, wrong) = (Arc::clone(&recorder), Arc::clone(&wrong));
        move |_: &mut FakeConnection, loan: &Loan| {
            wrong.fetch_add(u64::from(recorder.count(event) != loan.uses as usize), Ordering::SeqCst);
            Verdict::Keep
        }
    };
    let settings = builder().event_handler(Arc::clone(&recorder) as _);
    let settings = settings.on_checkout(expect("checked out")).on_return(expect("checked in"));
    let pool = settings.max_size(1).build(server.manager()).unwrap();
    (0..3).for_each(|_| drop(pool.get().unwrap()));
    assert_eq!((wrong.load(Ordering::SeqCst), recorder.count("checked out"), recorder.count("checked in")), (0, 3, 3));
}

#[test]
fn a_hook_is_shown_the_loan_as_its_guard_shows_it() {
    let server = FakeServer::new();
    let (out, back) = (Seen::default(), Seen::default());
    let pool = builder().max_size(1).on_checkout(sees(&out)).on_return(sees(&back)).build(server.manager()).unwrap();
    drop(pool.get().unwrap());
    pass(ms(20));
    let before = Instant::now();
    let conn = pool.get().unwrap();
    let after = Instant::now();
    let guard = (PooledConnection::id(&conn), PooledConnection::opened_at(&conn), PooledConnection::uses(&conn));
    let idle_for = PooledConnection::idle_for(&conn);
    drop(conn);
    for seen in [out, back] {
        let (loan, _) = seen.lock().unwrap()[1].clone();
        assert_eq!((loan.id, loan.opened_at, loan.uses), guard);
        assert!(loan.idle_for == idle_for && idle_for >= ms(20), "{idle_for:?}");
        assert!((before..=after).contains(&loan.lent_at));
    }
}

#[test]
fn the_last_hook_of_each_kind_counts() {
    let server = FakeServer::new();
    let (out, back) = (Seen::default(), Seen::default());
    let never = |_: &mut FakeConnection, _: &Loan| -> Verdict { panic!("it was replaced") };
    let settings = builder().on_return(never).on_checkout(never).on_return(sees(&back)).on_checkout(sees(&out));
    let pool = settings.build(server.manager()).unwrap();
    drop(pool.get().unwrap());
    assert_eq!((out.lock().unwrap().len(), back.lock().unwrap().len()), (1, 1));
}

#[test]
fn on_checkout_is_not_shown_what_the_pool_itself_finds_broken() {
    let server = FakeServer::new();
    let seen = Seen::default();
    let pool = builder().max_size(1).on_checkout(sees(&seen)).build(server.manager()).unwrap();
    drop(pool.get().unwrap());
    server.next(Call::HasBroken, Outcome::Err(Fault::Fatal));
    drop(pool.get().unwrap());
    assert_eq!(seen.lock().unwrap().iter().map(|(loan, _)| loan.id).collect::<Vec<_>>(), [1, 2]);
    server.assert_no_leaks(&pool);
}

#[test]
fn the_time_of_on_return_is_part_of_the_loan() {
    let server = FakeServer::new();
    let takes_its_time = |_: &mut FakeConnection, _: &Loan| {
        pass(ms(20));
        Verdict::Keep
    };
    let pool = builder().on_return(takes_its_time).build(server.manager()).unwrap();
    drop(pool.get().unwrap());
    assert!(pool.stats().use_time.max() >= ms(20), "{:?}", pool.stats().use_time);
}

/// The counts of server calls at each step.
type Steps = Arc<Mutex<Vec<(&'static str, usize, usize)>>>;

/// The steps of one return: `on_return` runs, `checked_in` is sent, and the end.
fn steps_of_a_return<const R: bool>(
    server: &FakeServer,
    settings: Builder<FakeManager<R>>,
    manager: FakeManager<R>,
) -> Vec<(&'static str, usize, usize)> {
    let steps = Steps::default();
    let note = {
        let (steps, orders) = (Arc::clone(&steps), server.orders());
        move |step| steps.lock().unwrap().push((step, orders.count(Call::HasBroken), orders.count(Call::Session)))
    };
    let (in_hook, in_event) = (note.clone(), note.clone());
    let settings = settings.on_return(move |_, _| {
        in_hook("on_return");
        Verdict::Keep
    });
    let pool = settings.event_handler(Arc::new(Recorder::then(move || in_event("event")))).build(manager).unwrap();
    let mut conn = pool.get().unwrap();
    conn.query().unwrap();
    steps.lock().unwrap().clear();
    let begin = (server.count(Call::HasBroken), server.count(Call::Session));
    drop(conn);
    note("end");
    let steps = steps.lock().unwrap();
    steps.iter().map(|&(step, looks, asks)| (step, looks - begin.0, asks - begin.1)).collect()
}

#[test]
fn at_a_return_come_on_return_the_event_the_look_and_the_session_in_this_order() {
    let order = [("on_return", 0, 0), ("event", 0, 0), ("end", 1, 1)];
    let server = FakeServer::new();
    assert_eq!(steps_of_a_return(&server, Pool::builder(), server.manager()), order);
    assert_eq!(steps_of_a_return(&server, Pool::builder(), server.engine()), order);
}

#[test]
fn what_on_return_breaks_the_look_finds_and_nobody_gets() {
    let server = FakeServer::new();
    let orders = server.orders();
    let breaks = move |_: &mut FakeConnection, _: &Loan| {
        orders.next(Call::HasBroken, Outcome::Err(Fault::Fatal));
        Verdict::Keep
    };
    let pool = builder().max_size(1).on_return(breaks).build(server.manager()).unwrap();
    let mut conn = pool.get().unwrap();
    conn.query().unwrap();
    let asked = server.count(Call::Session);
    drop(conn);
    assert_eq!((closed_by(&pool, CloseReason::Broken), pool.stats().idle), (1, 0));
    assert_eq!(server.count(Call::Session), asked, "the session of a broken connection is not examined");
}

/// The outcome of a cancel in `on_return`, and the number of closed connections.
fn cancelled_in_on_return<const R: bool>(manager: FakeManager<R>) -> (Option<CancelOutcome>, u64) {
    let held = Arc::new(Mutex::new((None::<Canceller>, None)));
    let cancels = {
        let held = Arc::clone(&held);
        move |_: &mut FakeConnection, _: &Loan| {
            let mut held = held.lock().unwrap();
            held.1 = held.0.as_ref().map(|canceller| canceller.cancel(Duration::from_secs(60)));
            Verdict::Keep
        }
    };
    let pool = Pool::builder().max_size(1).on_return(cancels).build(manager).unwrap();
    let conn = pool.get().unwrap();
    held.lock().unwrap().0 = PooledConnection::canceller(&conn);
    drop(conn);
    let outcome = held.lock().unwrap().1;
    (outcome, pool.stats().closed.total())
}

#[test]
fn the_loans_canceller_has_ended_before_on_return_runs() {
    let server = FakeServer::new();
    assert_eq!(cancelled_in_on_return(server.manager()), (Some(CancelOutcome::LoanEnded), 0));
    assert_eq!(cancelled_in_on_return(server.engine()), (Some(CancelOutcome::LoanEnded), 0));
    assert_eq!(server.count(Call::Cancel), 0);
}
