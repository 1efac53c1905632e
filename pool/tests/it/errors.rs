//! The content of errors: numbers, holders, causes, hints.

use crate::stale::pass;
use crate::support::{Pool, SLACK, builder, hold, ms};
use cabrank::{BuildError, Fault};
use cabrank_testing::eventually;
use cabrank_testing::fake::{Call, FakeError, FakeServer, Outcome};
use std::error::Error;
use std::thread;

#[test]
fn a_time_out_tells_how_long_it_waited_the_numbers_and_the_holders_by_call_site() {
    let server = FakeServer::new();
    let pool = Pool::builder().name("orders").max_size(4).build_lazy(server.manager()).unwrap();
    let (many, one) = (line!() + 1, line!() + 2);
    let held: Vec<_> = (0..3).map(|_| pool.get().unwrap()).collect();
    let last = pool.get().unwrap();
    pass(ms(20));
    let error = thread::scope(|scope| scope.spawn(|| pool.get_timeout(ms(30)).unwrap_err()).join().unwrap());
    let text = error.to_string();
    for part in [
        r#"pool "orders" (max_size 4) has 4 in use, 0 idle, 0 opening"#.to_owned(),
        format!("; 3 checked out at {}:{many}:", file!()),
        format!("; 1 checked out at {}:{one}:", file!()),
    ] {
        assert!(text.contains(&part), "{part:?} is missing in {text:?}");
    }
    assert!(!text.contains("this thread itself"), "{text}");
    assert!(!text.contains("connecting failed"), "{text}");
    let report = error.report().unwrap();
    assert!(text.starts_with(&format!("no connection within {:.1?}: ", report.waited)), "{text}");
    assert!(report.waited >= ms(30) && report.holders.len() == 4);
    assert!(report.holders.iter().all(|holder| holder.held_for >= ms(50)), "{:?}", report.holders);
    assert!(error.source().is_none());
    drop((held, last));
}

#[test]
fn a_time_out_in_an_outage_tells_the_cause_and_its_age_to_every_waiter() {
    let server = FakeServer::new();
    let pool = builder().max_size(2).build_lazy(server.manager()).unwrap();
    server.order(Call::Connect, Outcome::Err(Fault::Unavailable));
    thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                let error = pool.get_timeout(ms(60)).unwrap_err();
                let (cause, age) = error.report().unwrap().last_connect_error.clone().expect("the cause is not lost");
                assert!(cause.is::<FakeError>() && age < ms(700), "{cause}");
                assert!(error.source().is_some_and(|source| source.is::<FakeError>()), "{error:?}");
                let text = error.to_string();
                assert!(text.contains("; connecting failed ") && text.ends_with(" ago"), "{text}");
                let whole = format!("{text}: Connect failed: Unavailable");
                assert_eq!(format!("{error:?}"), whole);
                assert!(whole.ends_with(&error.report().unwrap().to_string()), "{whole}");
            });
        }
    });
    let age = pool.get_timeout(ms(5)).unwrap_err().report().unwrap().last_connect_error.as_ref().unwrap().1;
    assert!(age < ms(700), "{age:?}: attempts go on, so the last error is young");

    // A success ends it: no stale cause is reported afterwards.
    server.heal();
    let held = hold(&pool, 2);
    let error = pool.get_timeout(ms(5)).unwrap_err();
    assert!(error.source().is_none() && !error.to_string().contains("failed"), "{error}");
    drop(held);
}

#[test]
fn an_attempt_that_takes_too_long_is_told_as_such() {
    let server = FakeServer::new();
    let pool = builder().max_size(1).connect_timeout(ms(20)).build_lazy(server.manager()).unwrap();
    server.order(Call::Connect, Outcome::Slow(ms(10_000)));
    let error = pool.get_timeout(ms(100)).unwrap_err();
    // The driver's own error, or the pool's if the driver returned Ok all the same.
    let text = format!("{error:?}");
    assert!(text.contains("Connect failed: Fatal") || text.contains("connecting took longer than"), "{text}");

    // A late Ok.
    let server = FakeServer::new();
    let pool = builder().max_size(1).connect_timeout(ms(20)).build_lazy(server.manager()).unwrap();
    server.order(Call::Connect, Outcome::Stuck);
    thread::scope(|scope| {
        let waiter = scope.spawn(|| pool.get_timeout(ms(300)).unwrap_err());
        eventually("it is overdue", || pool.stats().stuck == 1);
        server.release(Call::Connect);
        let error = waiter.join().unwrap();
        let source = error.source().expect("what became of the attempt").to_string();
        assert!(source.starts_with("connecting took longer than"), "{source}");
    });
    assert_eq!(pool.stats().opened, 0, "a late connection was not used");

    // The cause of a failed `build`.
    let server = FakeServer::new();
    server.order(Call::LookUp, Outcome::Stuck);
    let error = builder().connect_timeout(ms(20)).build_timeout(ms(200)).build(server.manager()).unwrap_err();
    assert!(matches!(error, BuildError::Timeout(_)), "{error:?}");
    assert_eq!(error.source().expect("what became of the attempt").to_string(), "connecting took longer than 20ms");
    assert!(format!("{error:?}").ends_with(" ago: connecting took longer than 20ms"), "{error:?}");
}

#[test]
fn the_hint_names_only_what_this_thread_itself_holds() {
    let server = FakeServer::new();
    let pool = builder().max_size(3).build_lazy(server.manager()).unwrap();
    let (first, _second, moved) = (pool.get().unwrap(), pool.get().unwrap(), pool.get().unwrap());
    let error = pool.get_timeout(ms(1)).unwrap_err();
    assert_eq!(error.report().unwrap().held_by_this_thread, 3);
    assert!(
        error.to_string().ends_with("; this thread itself seems to hold 3, and may be waiting for itself"),
        "{error}"
    );
    drop(first);
    let elsewhere = thread::scope(|scope| {
        scope
            .spawn(|| {
                let _one = pool.get().unwrap();
                pool.get_timeout(ms(1)).unwrap_err().report().unwrap().held_by_this_thread
            })
            .join()
            .unwrap()
    });
    assert_eq!(elsewhere, 1);
    drop(moved);
}

#[test]
fn at_most_sixteen_holders_are_told_and_three_call_sites() {
    let server = FakeServer::new();
    let pool = builder().max_size(40).build_lazy(server.manager()).unwrap();
    let held = hold(&pool, 40);
    let error = pool.get_timeout(ms(1)).unwrap_err();
    assert_eq!(error.report().unwrap().holders.len(), 16);
    assert_eq!(pool.holders().len(), 40);
    // A call site's number must count all its loans, though only some are listed.
    assert!(error.to_string().contains("; 40 checked out at "), "{error}");
    drop(held);
}

#[test]
fn an_old_loan_of_a_call_site_that_is_not_listed_is_named() {
    let server = FakeServer::new();
    let pool = builder().max_size(7).build_lazy(server.manager()).unwrap();
    let old = pool.get().unwrap();
    let line = line!() - 1;
    let (mut one, mut two, mut three) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..2 {
        one.push(pool.get().unwrap());
        two.push(pool.get().unwrap());
        three.push(pool.get().unwrap());
    }
    let text = pool.get_timeout(ms(1)).unwrap_err().to_string();
    assert!(text.contains(&format!("; 1 at other sites, the oldest at {}:{line}:", file!())), "{text}");
    drop(three);
    drop((old, one, two));
}

#[test]
fn the_first_connections_are_no_stale_ones() {
    let server = FakeServer::new();
    server.next(Call::Connect, Outcome::Ok);
    server.next(Call::Connect, Outcome::Never);
    let error = builder().min_idle(2).build_timeout(ms(200)).build(server.manager()).unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("the first connections were not open within ") && text.contains(" 1 idle"), "{text}");
    assert!(!text.contains("stale"), "{text}");
}

#[test]
fn of_many_loans_the_hundred_longest_are_told_by_call_site() {
    let server = FakeServer::new();
    let pool = builder().max_size(120).build_lazy(server.manager()).unwrap();
    let first = pool.get().unwrap();
    let line = line!() + 1;
    let held: Vec<_> = (0..119).map(|_| pool.get().unwrap()).collect();
    let text = pool.get_timeout(ms(1)).unwrap_err().to_string();
    let told = format!("; of the 100 longest loans, 99 checked out at {}:{line}:", file!());
    assert!(text.contains(&told) && text.contains("; 1 checked out at "), "{text}");
    assert!(text.ends_with("; this thread itself seems to hold 100, and may be waiting for itself"), "{text}");
    drop((first, held));
}

#[test]
fn a_time_out_tells_for_how_long_the_oldest_attempt_to_connect_has_run() {
    let server = FakeServer::new();
    let pool = builder().max_size(2).build_lazy(server.manager()).unwrap();
    let held = pool.get().unwrap();
    server.order(Call::Connect, Outcome::Never);
    let error = pool.get_timeout(ms(60)).unwrap_err();
    let age = error.report().unwrap().oldest_attempt.expect("one is under way");
    assert!((ms(50)..ms(60) + SLACK).contains(&age), "{age:?}");
    assert!(
        error.to_string().contains(&format!("; the oldest connection attempt has been running for {age:.1?}")),
        "{error}"
    );
    server.heal();
    drop(pool.get().unwrap());
    drop(hold(&pool, 1));
    eventually("nothing is being opened", || pool.stats().opening == 0);
    let _both = hold(&pool, 1);
    assert_eq!(pool.get_timeout(ms(1)).unwrap_err().report().unwrap().oldest_attempt, None);
    drop(held);
}

#[test]
fn holders_tell_the_longest_loan_first_and_where_it_was_taken() {
    let server = FakeServer::new();
    let pool = builder().max_size(2).build_lazy(server.manager()).unwrap();
    let first = pool.get().unwrap();
    pass(ms(2));
    let second = pool.get_timeout(ms(100)).unwrap();
    let holders = pool.holders();
    assert_eq!(holders[0].id, cabrank::PooledConnection::id(&first));
    assert_eq!(holders[1].id, cabrank::PooledConnection::id(&second));
    assert!(holders.iter().all(|holder| holder.call_site.file() == file!()), "{holders:?}");
    assert!(holders[0].to_string().contains("checked out at "), "{}", holders[0]);
}

#[test]
fn the_other_errors_say_what_happened() {
    let server = FakeServer::new();
    let pool = builder().max_size(1).max_waiters(1).build_lazy(server.manager()).unwrap();
    let held = hold(&pool, 1);
    thread::scope(|scope| {
        scope.spawn(|| pool.get());
        eventually("one waits", || pool.stats().waiting == 1);
        let error = pool.get().unwrap_err();
        assert!(
            error.to_string().starts_with("too many requests are waiting for a connection (max_waiters): pool "),
            "{error}"
        );
        assert!(error.to_string().contains(", 1 other request waiting"), "{error}");
        drop(held);
    });
    pool.close();
    let error = pool.get().unwrap_err();
    assert!(error.is_closed() && error.to_string() == "the pool is closed", "{error}");

    let server = FakeServer::new();
    server.order(Call::Connect, Outcome::Err(Fault::Permanent));
    let pool = builder().build_lazy(server.manager()).unwrap();
    let error = pool.get().unwrap_err();
    assert_eq!(error.to_string(), "cannot connect, and retrying will not help until the cause is fixed");
    assert_eq!(format!("{error:?}"), format!("{error}: Connect failed: Permanent"), "as unwrap() shows it");
    assert!(pool.get_timeout(ms(5)).unwrap_err().report().is_none());
}

#[test]
fn a_request_that_does_not_wait_is_told_no_time() {
    let server = FakeServer::new();
    let pool = builder().max_size(1).build_lazy(server.manager()).unwrap();
    let held = hold(&pool, 1);
    let text = pool.get_timeout(std::time::Duration::ZERO).unwrap_err().to_string();
    let (said, _) = text.split_once(';').expect("the numbers, and then the holders");
    assert!(said.starts_with("no connection was ready: pool ") && !said.contains("0.0"), "{text}");
    drop(held);
}
