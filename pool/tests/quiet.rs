//! Tests that need a process of their own, and in it run one after the other: they count its threads and descriptors, or
//! listen to everything that is told through `tracing`.

#[allow(dead_code, reason = "shared with the other tests, which use all of it")]
#[path = "it/fake.rs"]
mod fake;
#[allow(dead_code, reason = "shared with the other tests, which use all of it")]
#[path = "it/server.rs"]
mod server;
#[allow(dead_code, reason = "shared with the other tests, which use all of it")]
#[path = "it/support.rs"]
mod support;

use crate::server::{Call, Server, Verdict};
use crate::support::{assert_closes_clean, builder, eventually, hold, ms};
use cabrank::Fault;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(|poison| poison.into_inner())
}

/// A driver whose connections are real descriptors.
#[cfg(target_os = "linux")]
struct Files;

#[cfg(target_os = "linux")]
impl cabrank::Manager for Files {
    type Connection = std::fs::File;
    type Error = std::io::Error;

    fn connect(&self, _: &cabrank::Limit) -> Result<std::fs::File, std::io::Error> {
        std::fs::File::open("/dev/zero")
    }
    fn is_valid(&self, file: &mut std::fs::File, _: &cabrank::Limit) -> Result<(), std::io::Error> {
        std::io::Read::read_exact(file, &mut [0; 1])
    }
    fn has_broken(&self, _: &mut std::fs::File) -> bool {
        false
    }
}

/// How many threads there are whose names begin so. A crew's threads bear their pool's name; the harness starts threads of
/// its own when it likes.
#[cfg(target_os = "linux")]
fn crew(name: &str) -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    // A thread may end while it is looked at.
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|comm| comm.trim_end().starts_with(name)).count()
}

#[cfg(target_os = "linux")]
fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[cfg(target_os = "linux")]
#[test]
fn a_hundred_pools_leave_no_thread_and_no_descriptor() {
    let _alone = alone();
    let before = descriptors();
    let (mut most_threads, mut most_descriptors) = (0, before);
    for round in 0..100 {
        let name = format!("hundred-{round}.");
        let settings = cabrank::Pool::builder().name(&name).max_size(4).min_idle(2).check_after(Duration::ZERO);
        let pool = settings.build(Files).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..5).for_each(|_| drop(pool.get().unwrap())));
            }
        });
        most_threads = most_threads.max(crew(&name));
        most_descriptors = most_descriptors.max(descriptors());
        match round % 4 {
            0 => {
                let report = pool.close_within(Duration::from_secs(10));
                assert!(report.is_clean(), "{report}");
                // At once: `close_within` has waited for the threads, too.
                assert_eq!(crew(&name), 0);
            }
            1 => pool.close(),
            2 => drop(pool),
            _ => {
                let late = pool.get().unwrap();
                drop(pool);
                drop(late);
            }
        }
    }
    assert!(most_threads > 0 && most_descriptors > before, "there was something to leave behind");
    eventually("all threads and descriptors are gone", || crew("hundred-") == 0 && descriptors() == before);
}

#[cfg(target_os = "linux")]
#[test]
fn a_pool_at_rest_has_at_most_one_thread() {
    let _alone = alone();
    let pool = cabrank::Pool::builder().name("at rest").max_size(4).build(Files).unwrap();
    drop((0..4).map(|_| pool.get().unwrap()).collect::<Vec<_>>());
    assert!(crew("at rest") > 0);
    eventually("the crew has retired", || crew("at rest") <= 1);
    assert_eq!(pool.stats().idle, 4);
    drop(pool);
    eventually("all threads are gone", || crew("at rest") == 0);
}

#[test]
fn tracing_tells_by_fixed_targets_with_names_that_opentelemetry_knows() {
    let _alone = alone();
    let seen = Seen::default();
    let subscriber = tracing_subscriber::registry().with(seen.clone());
    // The crew's threads have no subscriber of this thread's.
    tracing::subscriber::set_global_default(subscriber).expect("no other test sets one");
    let server = Server::new();
    let name = "told by tracing";
    let pool = builder()
        .name(name)
        .max_size(1)
        .max_waiters(1)
        .check_after(Duration::ZERO)
        .leak_after(ms(10))
        .build_lazy(server.manager())
        .unwrap();
    for _ in 0..5 {
        server.next(Call::Connect, Verdict::Err(Fault::Unavailable));
    }
    drop(pool.get().unwrap());
    pool.get().unwrap().litter();
    drop(pool.get().unwrap());
    server.next(Call::Reset, Verdict::Err(Fault::Statement));
    pool.get().unwrap().litter();
    server.next(Call::Check, Verdict::Err(Fault::Fatal));
    drop(pool.get().unwrap());
    drop(pool.get().unwrap());
    let held = hold(&pool, 1);
    for _ in 0..5 {
        assert!(pool.get_timeout(ms(1)).is_err());
    }
    eventually("the leak is told", || pool.stats().leaks == 1);
    drop(held);
    assert_closes_clean(&server, &pool);

    let told = seen.of(name);
    let count = |target: &str, message: &str| {
        told.iter().filter(|event| event.target == target && event.message().starts_with(message)).count()
    };
    // Troubles are told once, then once in ten seconds with the number left out.
    assert_eq!(count("cabrank::open", "could not connect"), 1, "five failed, one is told");
    assert_eq!(count("cabrank::checkout", "timed out: pool"), 1, "five timed out, one is told");
    assert_eq!(count("cabrank::reset", "could not reset"), 1);
    assert_eq!(count("cabrank::check", "found dead"), 1);
    assert_eq!(count("cabrank::leak", "has not come back"), 1);
    for (target, message) in [
        ("cabrank::open", "opened"),
        ("cabrank::checkout", "checked out"),
        ("cabrank::checkout", "checked in"),
        ("cabrank::check", "alive"),
        ("cabrank::reset", "reset"),
        ("cabrank::close", "closed"),
    ] {
        assert!(count(target, message) > 0, "{target} {message}");
    }
    let targets = ["open", "checkout", "check", "reset", "close", "leak"].map(|part| format!("cabrank::{part}"));
    assert!(told.iter().all(|event| targets.contains(&event.target)), "a target that nobody was promised");
    let leak = told.iter().find(|event| event.target == "cabrank::leak").unwrap();
    assert!(leak.fields["call_site"].contains("support.rs:"), "{leak:?}");
    let failed = told.iter().find(|event| event.message().starts_with("could not connect")).unwrap();
    assert_eq!((failed.level, &*failed.fields["left_out"]), (tracing::Level::WARN, "0"));
    assert!(failed.fields["error"].contains("Unavailable"), "{failed:?}");
    let lent = told.iter().find(|event| event.message() == "checked out").unwrap();
    assert!(lent.fields.contains_key("wait_time_secs") && lent.fields.contains_key("connection"), "{lent:?}");
}

/// Keeps every event of the pool's.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<Told>>>);

#[derive(Debug, Clone)]
struct Told {
    target: String,
    level: tracing::Level,
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

impl<S: Subscriber> Layer<S> for Seen {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target().starts_with("cabrank::") {
            let mut told = Told {
                target: event.metadata().target().to_owned(),
                level: *event.metadata().level(),
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
