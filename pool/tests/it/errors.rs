//! What errors say: numbers, holders, causes, hints.

use crate::stale::pass;
use crate::support::{Pool, SLACK, builder, hold, ms};
use cabrank::{Cause, Fault, GetError, RunError};
use cabrank_testing::eventually;
use cabrank_testing::fake::{Call, FakeError, FakeServer, Outcome};
use std::error::Error;
use std::sync::Arc;
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
        r#"pool "orders" of 4 has 4 in use, 0 idle, 0 opening"#.to_owned(),
        format!("; 3 held by {}:{many}:", file!()),
        format!("; 1 held by {}:{one}:", file!()),
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
                let text = error.to_string();
                assert!(
                    text.contains("; connecting failed ") && text.contains("Connect failed: Unavailable"),
                    "{text}"
                );
                // The text tells the cause, so the chain does not tell it again; it is in the report.
                let (cause, age) = error.report().unwrap().last_connect_error.clone().expect("the cause is not lost");
                assert!(cause.is::<cabrank_testing::fake::FakeError>() && age < ms(700), "{cause}");
                assert!(error.source().is_none());
            });
        }
    });
    let age = pool.get_timeout(ms(5)).unwrap_err().report().unwrap().last_connect_error.as_ref().unwrap().1;
    assert!(age < ms(700), "{age:?}: attempts go on, so the last error is young");

    // A success ends it: no stale cause is told afterwards.
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
    // The driver's own error, or the pool's word if the driver said Ok all the same.
    let text = error.to_string();
    assert!(text.contains("Connect failed: Fatal") || text.contains("connecting took longer than"), "{text}");

    // A late Ok.
    let server = FakeServer::new();
    let pool = builder().max_size(1).connect_timeout(ms(20)).build_lazy(server.manager()).unwrap();
    server.order(Call::Connect, Outcome::Stuck);
    thread::scope(|scope| {
        let waiter = scope.spawn(|| pool.get_timeout(ms(300)).unwrap_err());
        eventually("it is overdue", || pool.stats().stuck == 1);
        server.release(Call::Connect);
        let text = waiter.join().unwrap().to_string();
        assert!(text.contains("connecting took longer than"), "{text}");
    });
    assert_eq!(pool.stats().opened, 0, "what came too late was not used");
}

#[test]
fn the_hint_names_only_what_this_thread_itself_holds() {
    let server = FakeServer::new();
    let pool = builder().max_size(3).build_lazy(server.manager()).unwrap();
    let (first, _second, moved) = (pool.get().unwrap(), pool.get().unwrap(), pool.get().unwrap());
    let error = pool.get_timeout(ms(1)).unwrap_err();
    assert_eq!(error.report().unwrap().held_by_this_thread, 3);
    assert!(error.to_string().ends_with("; this thread itself seems to hold 3"), "{error}");
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
    // The number of a call site must be that of all its loans, though only some are listed.
    assert!(error.to_string().contains("; 40 held by "), "{error}");
    drop(held);
}

#[test]
fn of_many_loans_the_hundred_longest_are_told_by_call_site() {
    let server = FakeServer::new();
    let pool = builder().max_size(120).build_lazy(server.manager()).unwrap();
    let first = pool.get().unwrap();
    let line = line!() + 1;
    let held: Vec<_> = (0..119).map(|_| pool.get().unwrap()).collect();
    let text = pool.get_timeout(ms(1)).unwrap_err().to_string();
    let told = format!("; of the 100 longest loans, 99 held by {}:{line}:", file!());
    assert!(text.contains(&told) && text.contains("; 1 held by "), "{text}");
    assert!(text.ends_with("; this thread itself seems to hold 100"), "{text}");
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
    assert!(error.to_string().contains(&format!("; the oldest attempt to connect has run for {age:.1?}")), "{error}");
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
        assert!(error.to_string().starts_with("too many threads wait for a connection: pool "), "{error}");
        assert!(error.to_string().contains(", 1 waiting"), "{error}");
        drop(held);
    });
    pool.close();
    let error = pool.get().unwrap_err();
    assert!(error.is_closed() && error.to_string() == "the pool is closed", "{error}");

    let server = FakeServer::new();
    server.order(Call::Connect, Outcome::Err(Fault::Permanent));
    let pool = builder().build_lazy(server.manager()).unwrap();
    let error = pool.get().unwrap_err();
    assert_eq!(error.to_string(), "cannot connect, and trying again at once will not help");
    assert_eq!(format!("{error:?}"), format!("{error}: Connect failed: Permanent"), "as unwrap() tells it");
    assert!(pool.get_timeout(ms(5)).unwrap_err().report().is_none());
}

#[test]
fn a_cause_is_told_with_all_that_lies_behind_it_and_nothing_is_told_twice() {
    #[derive(Debug)]
    struct Link(&'static str, Option<Box<Link>>);
    impl std::fmt::Display for Link {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str(self.0)
        }
    }
    impl Error for Link {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            self.1.as_deref().map(|link| link as _)
        }
    }
    let behind = Link("FATAL: no", Some(Box::new(Link("no", Some(Box::new(Link("at all", None)))))));
    let error = GetError::Connect(Cause::Driver(Arc::new(Link("db error", Some(Box::new(behind))))));
    assert_eq!(
        format!("{error:?}"),
        "cannot connect, and trying again at once will not help: db error: FATAL: no: at all"
    );
    let texts: Vec<_> = anyhow::Error::from(error).chain().map(ToString::to_string).collect();
    assert_eq!(texts[1..], ["db error", "FATAL: no", "no", "at all"], "each link tells itself alone");
}

/// What a user sees of an error: through `anyhow`, and as `unwrap` prints it.
fn seen(error: impl Error + Send + Sync + 'static) -> (anyhow::Error, String) {
    let debug = format!("{error:?}");
    (error.into(), debug)
}

#[test]
fn each_error_leads_to_the_drivers_and_tells_it_once() {
    let told = "Connect failed: Permanent";
    let refused = || {
        let server = FakeServer::new();
        server.order(Call::Connect, Outcome::Err(Fault::Permanent));
        (builder().build_lazy(server.manager()).unwrap(), server)
    };
    let server = FakeServer::new();
    server.order(Call::Connect, Outcome::Err(Fault::Permanent));
    let built = builder().build(server.manager()).unwrap_err();
    let (pool, _server) = refused();
    let began = {
        let server = FakeServer::new();
        let pool = builder().build_lazy(server.manager()).unwrap();
        server.order(Call::Begin, Outcome::Err(Fault::Permanent));
        pool.transaction().run(|_| Ok::<_, FakeError>(())).unwrap_err()
    };
    let own = || FakeError { call: Call::Connect, fault: Fault::Permanent };
    let sound = FakeServer::new();
    let works = builder().build_lazy(sound.manager()).unwrap();
    for ((error, debug), told) in [
        (seen(built), told),
        (seen(pool.get().unwrap_err()), told),
        (seen(pool.try_get().unwrap_err()), told),
        (seen(pool.run(|_| Ok::<_, FakeError>(())).unwrap_err()), told),
        (seen(pool.transaction().run(|_| Ok::<_, FakeError>(())).unwrap_err()), told),
        (seen(began), "Begin failed: Permanent"),
        (seen(works.run(|_| Err::<(), _>(own())).unwrap_err()), told),
        (seen(works.run(|_| Err::<(), _>(anyhow::Error::new(own()).context("deep"))).unwrap_err()), told),
        (seen(works.transaction().run(|_| Err::<(), _>(own())).unwrap_err()), told),
    ] {
        assert!(error.chain().any(|link| link.is::<FakeError>()), "{error:#}");
        assert!(!error.to_string().contains(told), "{error}: its source tells that");
        let report = format!("{error:?}");
        let report = report.split("Stack backtrace").next().unwrap();
        for text in [&format!("{error:#}"), report, &debug] {
            assert_eq!(text.matches(told).count(), 1, "{text}");
            assert!(!text.contains('{') && text.len() < 200, "{text}");
        }
    }
}

#[test]
fn what_unwrap_prints_is_the_sentence_without_histograms() {
    let server = FakeServer::new();
    let pool = builder().max_size(1).max_waiters(1).build_lazy(server.manager()).unwrap();
    let held = hold(&pool, 1);
    let late = pool.get_timeout(ms(1)).unwrap_err();
    assert_eq!(format!("{late:?}"), late.to_string());
    assert_eq!(format!("{:?}", late.report()), format!("Some({})", late.report().unwrap()));
    let run = RunError::<_, FakeError>::Get(late);
    assert!(format!("{run:?}").starts_with("no connection within "), "{run:?}");
    drop(held);
}

#[test]
fn a_request_that_does_not_wait_is_told_no_time() {
    let server = FakeServer::new();
    let pool = builder().max_size(1).build_lazy(server.manager()).unwrap();
    let held = hold(&pool, 1);
    let text = pool.get_timeout(std::time::Duration::ZERO).unwrap_err().to_string();
    assert!(text.starts_with("no connection was ready: pool ") && !text.contains("0.0"), "{text}");
    drop(held);
}

#[test]
fn what_lies_behind_a_closures_error_stays_in_the_chain() {
    let server = FakeServer::new();
    let pool = builder().build_lazy(server.manager()).unwrap();
    let outcome = pool.run(|conn| -> anyhow::Result<()> {
        let lost = Err::<(), _>(crate::transactions::error(Fault::Statement));
        conn.query()?;
        anyhow::Context::context(lost, "while paying")
    });
    let error = anyhow::Error::from(outcome.unwrap_err());
    assert_eq!(format!("{error:#}"), "the closure failed: while paying: Query failed: Statement");
    assert!(error.chain().any(|link| link.is::<cabrank_testing::fake::FakeError>()), "{error:#}");
}
