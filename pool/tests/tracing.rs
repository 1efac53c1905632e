//! The events sent through `tracing`. A process of its own, because the subscriber receives all its events.
#![cfg(feature = "tracing")]

#[allow(dead_code, reason = "shared with the other tests, which use all of it")]
#[path = "it/support.rs"]
mod support;

use crate::support::{builder, hold, ms};
use cabrank::Fault;
use cabrank_testing::eventually;
use cabrank_testing::fake::{Call, FakeError, FakeServer, Outcome};
use cabrank_testing::panics::ORDERED;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex, mpsc};
use std::time::Duration;
use std::{fmt, thread};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

#[test]
fn tracing_tells_by_fixed_targets_with_names_that_opentelemetry_knows() {
    let seen = seen();
    let server = FakeServer::new();
    let name = "reported by tracing";
    let pool = builder()
        .name(name)
        .max_size(1)
        .max_waiters(1)
        .check_after(Duration::ZERO)
        .leak_after(ms(10))
        .build_lazy(server.manager())
        .unwrap();
    for _ in 0..5 {
        server.next(Call::Connect, Outcome::Err(Fault::Unavailable));
    }
    drop(pool.get().unwrap());
    pool.get().unwrap().litter();
    drop(pool.get().unwrap());
    server.next(Call::Reset, Outcome::Err(Fault::Statement));
    pool.get().unwrap().litter();
    server.next(Call::Check, Outcome::Err(Fault::Fatal));
    drop(pool.get().unwrap());
    drop(pool.get().unwrap());
    let held = hold(&pool, 1);
    for _ in 0..5 {
        assert!(pool.get_timeout(ms(1)).is_err());
    }
    assert!(pool.try_get().unwrap().is_none());
    eventually("the leak is reported", || pool.stats().leaks == 1);
    drop(held);
    server.assert_closes_clean(&pool);

    let told = seen.of(name);
    let count = |target: &str, message: &str| {
        told.iter().filter(|event| event.target == target && event.message().starts_with(message)).count()
    };
    // A trouble is reported once, then once in ten seconds with the number left out.
    assert_eq!(count("cabrank::open", "could not connect"), 1, "five failed, one is reported");
    assert_eq!(count("cabrank::checkout", "request timed out: pool"), 1, "five timed out, one is reported");
    assert_eq!(count("cabrank::reset", "reset failed"), 1);
    assert_eq!(count("cabrank::check", "check failed"), 1);
    assert_eq!(count("cabrank::leak", "possible leak: a loan exceeds leak_after"), 1);
    for (target, message) in [
        ("cabrank::open", "connection opened"),
        ("cabrank::checkout", "connection checked out"),
        ("cabrank::checkout", "connection checked in"),
        ("cabrank::checkout", "request refused"),
        ("cabrank::check", "check passed"),
        ("cabrank::reset", "session reset"),
        ("cabrank::close", "connection closed"),
    ] {
        assert!(count(target, message) > 0, "{target} {message}");
    }
    let targets = ["open", "checkout", "check", "reset", "close", "leak"].map(|part| format!("cabrank::{part}"));
    assert!(told.iter().all(|event| targets.contains(&event.target)), "a target that is not documented");
    let leak = told.iter().find(|event| event.target == "cabrank::leak").unwrap();
    assert!(leak.fields["call_site"].contains("support.rs:"), "{leak:?}");
    let failed = told.iter().find(|event| event.message().starts_with("could not connect")).unwrap();
    assert_eq!((failed.level, &*failed.fields["left_out"]), (tracing::Level::WARN, "0"));
    assert!(failed.fields["error"].contains("Unavailable"), "{failed:?}");
    let lent = told.iter().find(|event| event.message() == "connection checked out").unwrap();
    assert!(lent.fields.contains_key("wait_time_secs") && lent.fields.contains_key("connection"), "{lent:?}");
}

#[test]
fn work_for_a_task_and_its_loan_are_in_the_span_of_who_asked_for_it() {
    let (seen, server, name) = (seen(), FakeServer::new(), "reported in spans");
    let pool = builder().name(name).max_size(1).build_lazy(server.manager()).unwrap();
    let span = |of: &str| tracing::info_span!(target: "test", "a request", of = of);
    let tell = move || tracing::info!(target: "cabrank::test", { db.client.connection.pool.name = name }, "works");
    let work = span("work").in_scope(|| {
        pool.run_async(move |_| -> Result<(), FakeError> {
            tell();
            Ok(())
        })
    });
    finish(work).unwrap();
    let transaction = span("transaction").in_scope(|| {
        pool.transaction().run_async(move |_| -> Result<(), FakeError> {
            tell();
            Ok(())
        })
    });
    finish(transaction).unwrap();
    let work = span("panic").in_scope(|| pool.run_async(|_| -> Result<(), FakeError> { panic!("{ORDERED}") }));
    finish(work).unwrap_err();
    server.assert_closes_clean(&pool);

    let told = seen.of(name);
    let spans = |message: &str| {
        let of = told.iter().filter(|event| event.message() == message);
        of.map(|event| event.span.as_deref().unwrap_or("none")).collect::<Vec<_>>()
    };
    assert_eq!(spans("works"), ["work", "transaction"]);
    // A worker reports what a panicking thread returns, as it does for a thread that borrows.
    assert_eq!(spans("connection checked in"), ["work", "transaction", "none"]);
}

/// A thread's loan is reported in the thread's current span, and the loan of a task polled in its own span, as instrumented tasks are, in
/// that.
#[test]
fn a_loan_is_told_in_the_span_in_which_it_begins() {
    let (seen, server, name) = (seen(), FakeServer::new(), "begun in spans");
    let pool = builder().name(name).max_size(1).build_lazy(server.manager()).unwrap();
    let span = |of: &str| tracing::info_span!(target: "test", "a request", of = of);
    span("thread").in_scope(|| drop(pool.get().unwrap()));
    span("task").in_scope(|| drop(pollster::block_on(pool.get_async()).unwrap()));
    span("work").in_scope(|| pollster::block_on(pool.run_async(|conn| conn.query())).unwrap());
    let told = seen.of(name);
    for message in ["connection checked out", "connection checked in"] {
        let of = told.iter().filter(|event| event.message() == message);
        let spans: Vec<_> = of.map(|event| event.span.as_deref().unwrap_or("none")).collect();
        assert_eq!(spans, ["thread", "task", "work"], "{message}");
    }
    server.assert_closes_clean(&pool);
}

#[test]
fn settings_that_were_probably_not_meant_are_logged_when_the_pool_is_built() {
    let (seen, server) = (seen(), FakeServer::new());
    let plain = builder().name("meant").connect_timeout(ms(100)).acquire_timeout(ms(200));
    let slip = builder().name("not meant").connect_timeout(ms(300)).acquire_timeout(ms(200));
    let unlimited = builder().name("no limit").connect_timeout(Duration::MAX);
    let intended = builder().name("intended").connect_timeout(ms(300)).acquire_timeout(ms(200)).intended();
    for builder in [plain, slip, unlimited, intended] {
        server.assert_closes_clean(&builder.build_lazy(server.manager()).unwrap());
    }
    assert_eq!((seen.of("meant").len(), seen.of("intended").len()), (0, 0));
    let [warning] = &seen.of("no limit")[..] else { panic!("{:?}", seen.of("no limit")) };
    assert!(warning.message().contains("connect_timeout: no limit is longer than acquire_timeout"), "{warning:?}");
    let [warning] = &seen.of("not meant")[..] else { panic!("{:?}", seen.of("not meant")) };
    assert_eq!((&*warning.target, warning.level), ("cabrank::settings", tracing::Level::WARN));
    assert_eq!(warning.fields["setting"], "connect_timeout");
    assert!(warning.message().contains("longer than acquire_timeout (200ms)"), "{warning:?}");
}

#[test]
fn a_subscriber_may_build_a_pool_when_it_is_told_of_settings() {
    let (done, is_done) = mpsc::channel();
    thread::spawn(move || {
        let subscriber = tracing_subscriber::registry().with(BuildsItsOwn);
        tracing::subscriber::with_default(subscriber, || {
            let slip = builder().name("outer").connect_timeout(ms(300)).acquire_timeout(ms(200));
            done.send(slip.build_lazy(FakeServer::new().manager()).is_ok())
        })
    });
    assert_eq!(is_done.recv_timeout(Duration::from_secs(20)), Ok(true));
}

/// Like a subscriber that writes events to a database, and builds its pool at the first.
struct BuildsItsOwn;

impl<S: Subscriber> Layer<S> for BuildsItsOwn {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "cabrank::settings" {
            drop(builder().name("inner").build_lazy(FakeServer::new().manager()).unwrap());
        }
    }
}

/// Polls in no span.
fn finish<T>(work: impl Future<Output = T>) -> T {
    assert!(tracing::Span::current().is_none());
    pollster::block_on(work)
}

/// The one subscriber of this process. The workers' threads have no subscriber of a test.
fn seen() -> Seen {
    static SEEN: LazyLock<Seen> = LazyLock::new(|| {
        let seen = Seen::default();
        let subscriber = tracing_subscriber::registry().with(seen.clone());
        tracing::subscriber::set_global_default(subscriber).expect("nobody else sets one");
        seen
    });
    SEEN.clone()
}

/// Keeps all events of the pool.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<Told>>>);

#[derive(Debug, Clone)]
struct Told {
    target: String,
    level: tracing::Level,
    /// The `of` field of its span.
    span: Option<String>,
    fields: BTreeMap<String, String>,
}

impl Told {
    fn message(&self) -> &str {
        &self.fields["message"]
    }
}

impl Seen {
    fn of(&self, pool: &str) -> Vec<Told> {
        let all = self.0.lock().unwrap();
        let name = "db.client.connection.pool.name";
        all.iter().filter(|told| told.fields.get(name).is_some_and(|of| of == pool)).cloned().collect()
    }
}

/// The `of` field of a span.
#[derive(Default)]
struct Of(Option<String>);

impl Visit for Of {
    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}

    fn record_str(&mut self, _: &Field, value: &str) {
        self.0 = Some(value.to_owned());
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Seen {
    fn on_new_span(&self, span: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut of = Of::default();
        span.record(&mut of);
        context.span(id).expect("it is new").extensions_mut().insert(of);
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if event.metadata().target().starts_with("cabrank::") {
            let mut told = Told {
                target: event.metadata().target().to_owned(),
                level: *event.metadata().level(),
                span: context.event_span(event).and_then(|span| span.extensions().get::<Of>()?.0.clone()),
                fields: BTreeMap::new(),
            };
            event.record(&mut told);
            self.0.lock().unwrap().push(told);
        }
    }
}

impl Visit for Told {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.fields.insert(field.name().to_owned(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.fields.insert(field.name().to_owned(), value.to_owned());
    }
}
