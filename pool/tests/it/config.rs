//! Settings: which ones are refused, the effect of extreme values, and the documented defaults.

use crate::support::{Pool, SLACK, builder, hold, ms};
use cabrank::{BuildError, Builder, Limit, Manager, SessionPolicy, Settings};
use cabrank_testing::fake::{Call, FakeServer, Outcome};
use cabrank_testing::{eventually, timed};
use std::time::Duration;

type Setting = fn(Builder<cabrank_testing::fake::FakeManager>) -> Builder<cabrank_testing::fake::FakeManager>;

#[test]
fn every_rule_is_refused_by_name_and_all_problems_are_told_at_once() {
    let rules: [(&str, Setting); 22] = [
        ("name", |builder| builder.name("")),
        ("name", |builder| builder.name("two\nlines")),
        ("max_size", |builder| builder.max_size(0)),
        ("min_idle", |builder| builder.min_idle(11)),
        ("acquire_timeout", |builder| builder.acquire_timeout(Duration::ZERO)),
        ("connect_timeout", |builder| builder.connect_timeout(Duration::ZERO)),
        ("build_timeout", |builder| builder.build_timeout(Duration::ZERO)),
        ("check_timeout", |builder| builder.check_timeout(Duration::ZERO)),
        ("reset_timeout", |builder| builder.reset_timeout(Duration::ZERO)),
        ("close_timeout", |builder| builder.close_timeout(Duration::ZERO)),
        ("max_lifetime", |builder| builder.max_lifetime(Duration::ZERO)),
        ("max_lifetime", |builder| builder.max_lifetime(ms(9))),
        ("idle_timeout", |builder| builder.idle_timeout(Duration::ZERO)),
        ("keepalive", |builder| builder.keepalive(Duration::ZERO)),
        ("leak_after", |builder| builder.leak_after(Duration::ZERO)),
        ("reclaim_after", |builder| builder.reclaim_after(Duration::ZERO)),
        ("lifetime_jitter", |builder| builder.lifetime_jitter(1.0)),
        ("lifetime_jitter", |builder| builder.lifetime_jitter(-0.1)),
        ("lifetime_jitter", |builder| builder.lifetime_jitter(f64::NAN)),
        ("backoff", |builder| builder.backoff(ms(9), ms(50))),
        ("backoff", |builder| builder.backoff(ms(51), ms(50))),
        ("max_waiters", |builder| builder.max_waiters(0)),
    ];
    for (field, setting) in rules {
        for lazy in [true, false] {
            let server = FakeServer::new();
            let builder = setting(Pool::builder());
            let outcome = if lazy { builder.build_lazy(server.manager()) } else { builder.build(server.manager()) };
            let Err(BuildError::Config(error)) = outcome else { panic!("{field} was not refused") };
            assert!(error.problems().iter().any(|problem| problem.field == field), "{error}");
            assert_eq!(server.count(Call::Connect), 0);
        }
    }
    let server = FakeServer::new();
    let broken = rules.iter().fold(Pool::builder(), |builder, (_, setting)| setting(builder));
    let error = broken.build(server.manager()).unwrap_err();
    let text = error.to_string();
    for (field, _) in rules {
        assert!(text.contains(&format!("{field}: ")), "{field} is missing in {text}");
    }
}

#[test]
fn the_defaults_are_those_that_the_builder_documents() {
    let source = include_str!("../../src/builder/settings.rs");
    let server = FakeServer::new();
    let pool = Pool::builder().build_lazy(server.manager()).unwrap();
    let config = pool.config();
    let duration = |span: Duration| match span {
        Duration::MAX => "off".to_owned(),
        span if span.as_secs() >= 60 => format!("{} min", span.as_secs() / 60),
        span if span.as_secs() >= 1 => format!("{} s", span.as_secs()),
        span => format!("{} ms", span.as_millis()),
    };
    let defaults = [
        ("name", format!("`{:?}`", config.name)),
        ("max_size", config.max_size.to_string()),
        ("min_idle", config.min_idle.to_string()),
        ("acquire_timeout", duration(config.acquire_timeout)),
        ("connect_timeout", duration(config.connect_timeout)),
        ("build_timeout", config.build_timeout.map_or("the [`connect_timeout`]".to_owned(), duration)),
        ("check_timeout", duration(config.check_timeout)),
        ("reset_timeout", duration(config.reset_timeout)),
        ("close_timeout", duration(config.close_timeout)),
        ("check_after", duration(config.check_after)),
        ("max_lifetime", duration(config.max_lifetime)),
        ("lifetime_jitter", config.lifetime_jitter.to_string()),
        ("idle_timeout", duration(config.idle_timeout)),
        ("keepalive", duration(config.keepalive)),
        ("max_waiters", config.max_waiters.map_or("no limit".to_owned(), |most| most.to_string())),
        ("fairness_window", duration(config.fairness_window)),
        ("backoff", format!("{} and {}", config.backoff.0.as_millis(), duration(config.backoff.1))),
        ("leak_after", duration(config.leak_after)),
        ("session_policy", format!("[`SessionPolicy::{:?}`]", config.session_policy)),
    ];
    for (setting, default) in defaults {
        let told = documented_default(source, setting);
        assert!(told.starts_with(&default), "{setting} is {default}; its documentation says {told}");
    }
}

/// The text after "Default:" in the documentation of this builder method.
fn documented_default(source: &str, setting: &str) -> String {
    let method = source.find(&format!("pub fn {setting}(")).unwrap_or_else(|| panic!("no method {setting}"));
    let docs: Vec<&str> = source[..method]
        .lines()
        .rev()
        .skip(1)
        .map(str::trim)
        .take_while(|line| line.starts_with("///") || line.starts_with("#["))
        .filter_map(|line| line.strip_prefix("///"))
        .map(str::trim)
        .collect();
    let text = docs.into_iter().rev().collect::<Vec<_>>().join(" ");
    text.split_once("Default: ")
        .unwrap_or_else(|| panic!("{setting} has no default in its documentation: {text}"))
        .1
        .to_owned()
}

#[test]
fn the_largest_sizes_and_durations_work() {
    let endless = [Duration::MAX, Duration::MAX - Duration::from_nanos(1), Duration::from_secs(u64::MAX)];
    for (span, jitter) in endless.into_iter().flat_map(|span| [(span, 0.0), (span, 0.1)]) {
        let server = FakeServer::new();
        let pool = Pool::builder()
            .max_size(u32::MAX)
            .max_waiters(u32::MAX)
            .acquire_timeout(span)
            .connect_timeout(span)
            .build_timeout(span)
            .check_timeout(span)
            .reset_timeout(span)
            .close_timeout(span)
            .check_after(span)
            .max_lifetime(span)
            .lifetime_jitter(jitter)
            .idle_timeout(span)
            .keepalive(span)
            .fairness_window(span)
            .backoff(ms(10), span)
            .leak_after(span)
            .session_policy(SessionPolicy::Always)
            .build(server.manager())
            .unwrap();
        for mut conn in hold(&pool, 20) {
            conn.litter();
        }
        eventually("all are reset", || pool.stats().idle == 20);
        server.kill_sessions();
        server.next(Call::Check, Outcome::Panic);
        drop(hold(&pool, 3));
        pool.set_max_size(u32::MAX).unwrap();
        server.assert_closes_clean(&pool);
    }
}

#[test]
fn the_smallest_durations_work() {
    let server = FakeServer::new();
    let tiny = Duration::from_nanos(1);
    let pool = Pool::builder()
        .max_size(1)
        .acquire_timeout(Duration::from_secs(10))
        .check_timeout(tiny)
        .reset_timeout(tiny)
        .close_timeout(tiny)
        .check_after(Duration::ZERO)
        .idle_timeout(ms(10))
        .keepalive(ms(10))
        .fairness_window(Duration::ZERO)
        .leak_after(tiny)
        .build_lazy(server.manager())
        .unwrap();
    for _ in 0..100 {
        pool.get().unwrap().litter();
    }
    server.assert_closes_clean(&pool);

    // Nothing can be opened in no time; this does not hang.
    let server = FakeServer::new();
    server.order(Call::Connect, Outcome::Never);
    let pool = builder().connect_timeout(tiny).max_size(1).build_lazy(server.manager()).unwrap();
    let (outcome, took) = timed(|| pool.get_timeout(ms(50)));
    assert!(outcome.is_err() && took < ms(50) + SLACK, "{took:?}");
    assert!(server.count(Call::Connect) <= 6, "{} attempts in 50 ms", server.count(Call::Connect));
    server.assert_closes_clean(&pool);
}

#[test]
fn the_shortest_lifetime_does_not_open_and_close_in_a_tight_loop() {
    let server = FakeServer::new();
    let pool = builder()
        .max_size(1)
        .min_idle(1)
        .max_lifetime(ms(10))
        .lifetime_jitter(0.0)
        .build_lazy(server.manager())
        .unwrap();
    crate::stale::pass(ms(100));
    let connects = server.count(Call::Connect);
    assert!((2..=11).contains(&connects), "{connects} connects in 100 ms");
    server.assert_closes_clean(&pool);
}

#[test]
fn with_the_longest_backoff_an_outage_is_not_a_tight_loop() {
    let server = FakeServer::new();
    server.order(Call::Connect, Outcome::Err(cabrank::Fault::Unavailable));
    let pool = builder().max_size(1).backoff(Duration::MAX, Duration::MAX).build_lazy(server.manager()).unwrap();
    assert!(pool.get_timeout(ms(100)).unwrap_err().is_timeout());
    assert!(server.count(Call::Connect) <= 2, "{} attempts in 100 ms", server.count(Call::Connect));
}

/// Has this default name, or none if it is empty. The name "panic" panics.
struct Named(&'static str);

impl Manager for Named {
    type Connection = ();
    type Error = std::io::Error;

    fn default_name(&self) -> Option<String> {
        assert_ne!(self.0, "panic");
        Some(self.0.to_owned())
    }
    fn connect(&self, _: &Limit) -> std::io::Result<()> {
        Ok(())
    }
    fn is_valid(&self, _: &mut (), _: &Limit) -> std::io::Result<()> {
        Ok(())
    }
    fn has_broken(&self, _: &mut ()) -> bool {
        false
    }
}

#[test]
fn a_pool_without_a_name_is_called_as_its_manager_says_and_no_two_are_called_the_same() {
    let build = |name| cabrank::Pool::builder().max_size(1).build_lazy(Named(name)).unwrap();
    let name = |pool: &cabrank::Pool<Named>| pool.config().name.clone();
    let (one, two) = (build("db:1/shop"), build("db:1/shop"));
    assert_eq!([name(&one), name(&two)], ["db:1/shop", "db:1/shop#2"]);
    let held = two.get().unwrap();
    let error = two.get_timeout(ms(1)).map(drop).unwrap_err().to_string();
    assert!(error.contains("pool \"db:1/shop#2\" (max_size 1)"), "{error}");
    drop((held, two));
    // A worker drops it.
    eventually("its name is free again", || name(&build("db:1/shop")) == "db:1/shop#2");
    assert_eq!(name(&build("db:2/shop")), "db:2/shop");
}

#[test]
fn a_name_that_was_given_stays_as_it_is_and_one_that_is_no_good_does_not_count() {
    let given = || cabrank::Pool::builder().name("given").build_lazy(Named("db:3/shop")).unwrap();
    let both = [given(), given()];
    assert!(both.iter().all(|pool| pool.config().name == "given"));
    let settings = Settings { name: Some("by settings".to_owned()), ..Settings::default() };
    let pool = cabrank::Pool::builder().settings(&settings).build_lazy(Named("db:3/shop")).unwrap();
    assert_eq!(pool.config().name, "by settings");
    for bad in ["", "two\nlines", "panic"] {
        let pool = cabrank::Pool::builder().build_lazy(Named(bad)).unwrap();
        assert_eq!(pool.config().name, "cabrank", "{bad:?}");
    }
}
