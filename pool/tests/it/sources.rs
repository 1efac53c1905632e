//! The sources of errors, and texts that contain each source once.

use crate::support::{builder, hold, ms};
use cabrank::{Cause, Fault, GetError, Health, RunError};
use cabrank_testing::eventually;
use cabrank_testing::fake::{Call, FakeError, FakeServer, Outcome};
use std::error::Error;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

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
    let behind = || Link("FATAL: no", Some(Box::new(Link("no", Some(Box::new(Link("at all", None)))))));
    let link = || Arc::new(Link("db error", Some(Box::new(behind()))));
    let error = GetError::Connect(Cause::Driver(link()));
    assert_eq!(
        format!("{error:?}"),
        "cannot connect, and retrying will not help until the cause is fixed: db error: FATAL: no: at all"
    );
    let texts: Vec<_> = anyhow::Error::from(error).chain().map(ToString::to_string).collect();
    assert_eq!(texts[1..], ["db error", "FATAL: no", "no", "at all"], "each link shows itself alone");

    let down = Health::Down { since: ms(50), cause: Some(link()) };
    assert_eq!(
        down.to_string(),
        "down for 50.0ms: db error: FATAL: no: at all",
        "the report for an operator shows all"
    );
}

/// An error as users see it: through `anyhow`, and as `unwrap` prints it.
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
    let down = FakeServer::new();
    down.order(Call::Connect, Outcome::Err(Fault::Unavailable));
    let away = builder().max_size(1).max_waiters(1).build_lazy(down.manager()).unwrap();
    let waited = away.get_timeout(ms(50)).unwrap_err();
    let not_ready = away.get_timeout(Duration::ZERO).unwrap_err();
    let crowded = thread::scope(|scope| {
        scope.spawn(|| drop(away.get_timeout(Duration::from_secs(60)).unwrap_err()));
        eventually("one waits", || away.stats().waiting == 1);
        let crowded = away.get().unwrap_err();
        away.close();
        crowded
    });
    assert!(matches!(&crowded, GetError::Overloaded(_)), "{crowded:?}");
    let unavailable = "Connect failed: Unavailable";
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
        (seen(waited), unavailable),
        (seen(not_ready), unavailable),
        (seen(crowded), unavailable),
        (seen(pool.run(|_| Ok::<_, FakeError>(())).unwrap_err()), told),
        (seen(pool.transaction().run(|_| Ok::<_, FakeError>(())).unwrap_err()), told),
        (seen(began), "Begin failed: Permanent"),
        (seen(works.run(|_| Err::<(), _>(own())).unwrap_err()), told),
        (seen(works.run(|_| Err::<(), _>(anyhow::Error::new(own()).context("deep"))).unwrap_err()), told),
        (seen(works.transaction().run(|_| Err::<(), _>(own())).unwrap_err()), told),
    ] {
        assert!(error.chain().any(|link| link.is::<FakeError>()), "{error:#}");
        assert!(!error.to_string().contains(told), "{error}: its source shows that");
        let report = format!("{error:?}");
        let report = report.split("Stack backtrace").next().unwrap();
        for text in [&format!("{error:#}"), report, &debug] {
            assert_eq!(text.matches(told).count(), 1, "{text}");
            assert!(!text.contains('{') && text.len() < 400, "{text}");
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
    assert!(error.chain().any(|link| link.is::<FakeError>()), "{error:#}");
}
