//! Settings by name: which values are read, which are refused and with which message, and that the table has every setting.

use super::environment::{Found, read};
use super::text::Value;
use super::{FIELDS, Settings, text};
use crate::config::{Config, SessionPolicy};
use std::collections::HashSet;
use std::ffi::OsString;
use std::time::Duration;

fn from(variables: &[(&str, &str)]) -> Found {
    let owned = variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
    read("DB_POOL_", owned.collect::<Vec<_>>().into_iter())
}

fn problems(found: &Found) -> Vec<String> {
    found.problems.iter().map(ToString::to_string).collect()
}

#[test]
fn each_setting_has_one_row_of_the_table_and_each_row_its_setting() {
    let all = Settings::of(&Config {
        build_timeout: Some(Duration::from_secs(1)),
        max_waiters: Some(9),
        ..Config::default()
    });
    let names: HashSet<_> = FIELDS.iter().map(|field| field.name).collect();
    // As many as the derived `Debug` shows.
    assert_eq!((names.len(), FIELDS.len()), (20, 20));
    let shown = format!("{all:?}");
    for field in FIELDS {
        assert!(shown.contains(&format!("{}: Some(", field.name)), "{} in {shown}", field.name);
        let text = (field.show)(&all).expect(field.name);
        let mut read = Settings::default();
        (field.read)(&mut read, Value::Text(text.clone())).expect(field.name);
        assert_eq!((field.show)(&read), Some(text));
        let others = FIELDS.iter().filter(|other| other.name != field.name && (other.show)(&read).is_some());
        assert_eq!(others.count(), 0, "{} sets another", field.name);
    }
}

#[test]
fn what_is_set_is_applied_and_nothing_else() {
    let (before, mut config) = (Config::default(), Config::default());
    Settings::default().apply(&mut config);
    assert_eq!(config, before);
    let other = Config {
        name: "other".to_owned(),
        max_size: 3,
        min_idle: 2,
        acquire_timeout: Duration::from_millis(1),
        connect_timeout: Duration::from_millis(2),
        build_timeout: Some(Duration::from_millis(3)),
        check_timeout: Duration::from_millis(4),
        reset_timeout: Duration::from_millis(5),
        close_timeout: Duration::from_millis(6),
        check_after: Duration::from_millis(7),
        max_lifetime: Duration::from_millis(80),
        lifetime_jitter: 0.25,
        idle_timeout: Duration::from_millis(90),
        keepalive: Duration::from_millis(100),
        max_waiters: Some(11),
        fairness_window: Duration::from_millis(12),
        reclaim_after: Duration::from_millis(13),
        backoff: (Duration::from_millis(14), Duration::from_millis(15)),
        leak_after: Duration::from_millis(16),
        session_policy: SessionPolicy::Always,
    };
    Settings::of(&other).apply(&mut config);
    assert_eq!(config, other);
}

#[test]
fn variables_are_read_by_their_names() {
    let found = from(&[
        ("DB_POOL_MAX_SIZE", " 4 "),
        ("DB_POOL_IDLE_TIMEOUT", "1h 30m"),
        ("DB_POOL_KEEPALIVE", "never"),
        ("DB_POOL_BACKOFF", "20ms..2s"),
        ("DB_POOL_SESSION_POLICY", "always"),
        ("DB_POOL_LIFETIME_JITTER", "0.5"),
        ("DB_POOL_CHECK_AFTER", ""),
        ("DB_POOL_NAME", "somebody else's"),
        ("DB_POOL_URL", "postgres://localhost"),
        ("OTHER_MAX_SIZE", "x"),
    ]);
    assert_eq!(problems(&found), [""; 0]);
    let expected = Settings {
        max_size: Some(4),
        idle_timeout: Some(Duration::from_secs(5400)),
        keepalive: Some(Duration::MAX),
        backoff: Some((Duration::from_millis(20), Duration::from_secs(2))),
        session_policy: Some(SessionPolicy::Always),
        lifetime_jitter: Some(0.5),
        ..Settings::default()
    };
    assert_eq!(found.settings, expected);
    assert!(found.places.contains(&("max_size", "DB_POOL_MAX_SIZE".to_owned())));
}

#[test]
fn all_that_is_wrong_is_told_at_once_by_the_variables_names() {
    let found = from(&[
        ("DB_POOL_MAX_SIZE", "many"),
        ("DB_POOL_MIN_IDLE", "1.5"),
        ("DB_POOL_IDLE_TIMEOUT", "30"),
        ("DB_POOL_MAX_LIFETIME", "30 parsecs"),
        ("DB_POOL_ACQUIRETIMEOUT", "3s"),
        ("DB_POOL_BACKOFF", "1s"),
        ("DB_POOL_SESSION_POLICY", "sometimes"),
    ]);
    assert_eq!(
        problems(&found),
        [
            "DB_POOL_ACQUIRETIMEOUT: unknown setting; did you mean DB_POOL_ACQUIRE_TIMEOUT?",
            "DB_POOL_BACKOFF: expected the first and the largest pause, such as \"50ms..500ms\", found \"1s\"",
            "DB_POOL_IDLE_TIMEOUT: 30 has no unit: write \"30s\" for seconds, or \"30ms\" for milliseconds",
            "DB_POOL_MAX_LIFETIME: expected a duration such as \"30s\", \"500ms\" or \"never\", found \"30 parsecs\"",
            "DB_POOL_MAX_SIZE: expected a whole number, found \"many\"",
            "DB_POOL_MIN_IDLE: expected a whole number from 0 to 4294967295, found \"1.5\"",
            "DB_POOL_SESSION_POLICY: expected \"tracked\", \"always\" or \"never\", found \"sometimes\"",
        ]
    );
}

#[test]
fn a_value_is_neither_mended_silently_nor_by_advice_that_fails() {
    let found =
        from(&[("DB_POOL_BACKOFF", "50ms...20s"), ("DB_POOL_IDLE_TIMEOUT", "-5"), ("DB_POOL_MAX_LIFETIME", "1e300")]);
    assert_eq!(
        problems(&found),
        [
            "DB_POOL_BACKOFF: expected the first and the largest pause, such as \"50ms..500ms\", found \"50ms...20s\"",
            "DB_POOL_IDLE_TIMEOUT: expected a duration such as \"30s\", \"500ms\" or \"never\", found \"-5\"",
            "DB_POOL_MAX_LIFETIME: expected a duration such as \"30s\", \"500ms\" or \"never\", found \"1e300\"",
        ]
    );
}

#[test]
fn no_variable_is_taken_for_a_name_that_is_not_read() {
    let found = from(&[("DB_POOL_NODE", "2"), ("DB_POOL_BASE", "shop"), ("DB_POOL_NAME", "x"), ("DB_POOL_NAMES", "x")]);
    assert_eq!((problems(&found), found.settings), (Vec::new(), Settings::default()));
}

#[test]
fn durations_are_read_and_shown() {
    let nanos = Duration::from_nanos;
    for (text, span) in [
        ("0s", Duration::ZERO),
        ("30s", Duration::from_secs(30)),
        ("500ms", Duration::from_millis(500)),
        ("7us", nanos(7_000)),
        ("1ns", nanos(1)),
        ("2h", Duration::from_secs(7200)),
        ("90m", Duration::from_secs(5400)),
        ("never", Duration::MAX),
    ] {
        assert_eq!(text::span::read(Value::Text(text.to_owned())), Ok(span), "{text}");
        assert_eq!(text::span::show(&span), text);
    }
    for (text, span) in [("1.5s", 1500), ("1m30s", 90_000), ("1d", 86_400_000), ("2min", 120_000), ("0.1s", 100)] {
        assert_eq!(text::span::read(Value::Text(text.to_owned())), Ok(Duration::from_millis(span)), "{text}");
    }
    for wrong in ["", "s", "-1s", "1x", "1s2", "1..5s", "never ever", "99999999999999999999999h", "NaNs"] {
        assert!(text::span::read(Value::Text(wrong.to_owned())).is_err(), "{wrong}");
    }
}

#[cfg(feature = "serde")]
mod in_files {
    use super::*;

    fn parse(text: &str) -> Result<Settings, String> {
        toml::from_str(text).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn a_file_may_leave_out_what_it_likes() {
        let settings =
            parse("max_size = 4\nidle_timeout = \"30s\"\nlifetime_jitter = 0\nsession_policy = \"never\"").unwrap();
        let expected = Settings {
            max_size: Some(4),
            idle_timeout: Some(Duration::from_secs(30)),
            lifetime_jitter: Some(0.0),
            session_policy: Some(SessionPolicy::Never),
            ..Settings::default()
        };
        assert_eq!(settings, expected);
        assert_eq!(parse(""), Ok(Settings::default()));
        assert_eq!(serde_json::from_str::<Settings>("{\"max_size\": null}").unwrap(), Settings::default());
    }

    #[test]
    fn all_that_is_wrong_in_a_file_is_told_at_once() {
        let error =
            parse("maxsize = 4\nidle_timeout = 30\nmin_idle = -1\nname = 7\nbackoff = [1, 2]\nkeepalive = true");
        assert_eq!(
            error.unwrap_err(),
            "backoff: expected the first and the largest pause, such as \"50ms..500ms\", found a list; \
             idle_timeout: 30 has no unit: write \"30s\" for seconds, or \"30ms\" for milliseconds; \
             keepalive: expected a duration such as \"30s\", \"500ms\" or \"never\", found true; \
             maxsize: unknown setting; did you mean max_size?; \
             min_idle: expected a whole number from 0 to 4294967295, found -1; \
             name: expected a string, found 7"
        );
    }

    #[test]
    fn a_setting_that_is_there_twice_is_refused() {
        let parse = |text: &str| serde_json::from_str::<Settings>(text).map_err(|error| error.to_string());
        for text in ["{\"max_size\": 4, \"max_size\": 5}", "{\"max_size\": null, \"max_size\": 5}"] {
            assert!(parse(text).unwrap_err().starts_with("max_size: is set more than once"), "{text}");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let all = Settings::of(&Config { max_waiters: Some(9), name: "7".to_owned(), ..Config::default() });
        let text = toml::to_string(&all).unwrap();
        assert_eq!(parse(&text), Ok(all.clone()), "{text}");
        let text = serde_json::to_string(&all).unwrap();
        assert_eq!(serde_json::from_str::<Settings>(&text).unwrap(), all, "{text}");
        assert_eq!(toml::to_string(&Settings::default()).unwrap(), "");
    }
}
