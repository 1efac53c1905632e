//! Settings from a file or from the environment. Each is optional; one left out keeps the builder's value.
//!
//! One table, `FIELDS`, lists them all. Files (`format.rs`), variables (`environment.rs`) and comparisons (`changes.rs`) use it.

mod changes;
mod environment;
#[cfg(feature = "serde")]
mod format;
mod nearest;
#[cfg(test)]
mod tests;
mod text;

pub use changes::Change;

use crate::builder::Builder;
use crate::config::{Config, SessionPolicy};
use crate::manager::Manager;
use std::time::Duration;
use text::Value;

/// Settings of a pool, from a file or from the environment. `None` keeps the builder's value, whose default for an engine in this process
/// differs from that for a server.
///
/// With the feature `serde` they can be read from any format with a serde implementation. Durations are text such as `"30s"`, `"500ms"`,
/// `"1h 30m"`, and `"never"`, which means no limit; a bare number is refused, because it has no unit. An unknown name is refused, and the
/// error suggests the nearest name. One error lists all problems.
///
/// Names, defaults and rules are those of the builder's methods of the same name. [`build`](Builder::build) checks the rules.
///
/// ```
/// # use cabrank::Pool;
/// # use cabrank::doc_toy::Toy;
/// # let manager = Toy;
/// use cabrank::Settings;
/// use std::time::Duration;
///
/// let settings = Settings { max_size: Some(4), idle_timeout: Some(Duration::from_secs(60)), ..Settings::default() };
/// let pool = Pool::builder().settings(&settings).build(manager)?;
/// assert_eq!(pool.config().max_size, 4);
/// assert_eq!(pool.config().acquire_timeout, Duration::from_secs(30));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
#[allow(missing_docs, reason = "each setting is described once, at the builder's method of the same name")]
pub struct Settings {
    pub name: Option<String>,
    pub max_size: Option<u32>,
    pub min_idle: Option<u32>,
    pub acquire_timeout: Option<Duration>,
    pub connect_timeout: Option<Duration>,
    pub build_timeout: Option<Duration>,
    pub check_timeout: Option<Duration>,
    pub reset_timeout: Option<Duration>,
    pub close_timeout: Option<Duration>,
    pub check_after: Option<Duration>,
    pub max_lifetime: Option<Duration>,
    pub lifetime_jitter: Option<f64>,
    pub idle_timeout: Option<Duration>,
    pub keepalive: Option<Duration>,
    pub max_waiters: Option<u32>,
    pub fairness_window: Option<Duration>,
    pub reclaim_after: Option<Duration>,
    /// The first and the largest pause, as text: `"50ms..500ms"`.
    pub backoff: Option<(Duration, Duration)>,
    pub leak_after: Option<Duration>,
    /// As text: `"tracked"`, `"always"` or `"never"`.
    pub session_policy: Option<SessionPolicy>,
}

impl<M: Manager> Builder<M> {
    /// Applies the values in `settings`. Later calls override them.
    pub fn settings(mut self, settings: &Settings) -> Self {
        if let Some(name) = &settings.name {
            self = self.name(name);
        }
        settings.apply(self.config_mut());
        self
    }
}

impl Settings {
    /// All settings of a pool, none left out.
    pub(crate) fn of(config: &Config) -> Self {
        Self {
            name: Some(config.name.clone()),
            max_size: Some(config.max_size),
            min_idle: Some(config.min_idle),
            acquire_timeout: Some(config.acquire_timeout),
            connect_timeout: Some(config.connect_timeout),
            build_timeout: config.build_timeout,
            check_timeout: Some(config.check_timeout),
            reset_timeout: Some(config.reset_timeout),
            close_timeout: Some(config.close_timeout),
            check_after: Some(config.check_after),
            max_lifetime: Some(config.max_lifetime),
            lifetime_jitter: Some(config.lifetime_jitter),
            idle_timeout: Some(config.idle_timeout),
            keepalive: Some(config.keepalive),
            max_waiters: config.max_waiters,
            fairness_window: Some(config.fairness_window),
            reclaim_after: Some(config.reclaim_after),
            backoff: Some(config.backoff),
            leak_after: Some(config.leak_after),
            session_policy: Some(config.session_policy),
        }
    }

    fn apply(&self, config: &mut Config) {
        let Self {
            name,
            max_size,
            min_idle,
            acquire_timeout,
            connect_timeout,
            build_timeout,
            check_timeout,
            reset_timeout,
            close_timeout,
            check_after,
            max_lifetime,
            lifetime_jitter,
            idle_timeout,
            keepalive,
            max_waiters,
            fairness_window,
            reclaim_after,
            backoff,
            leak_after,
            session_policy,
        } = self;
        set(&mut config.name, name);
        set(&mut config.max_size, max_size);
        set(&mut config.min_idle, min_idle);
        set(&mut config.acquire_timeout, acquire_timeout);
        set(&mut config.connect_timeout, connect_timeout);
        config.build_timeout = build_timeout.or(config.build_timeout);
        set(&mut config.check_timeout, check_timeout);
        set(&mut config.reset_timeout, reset_timeout);
        set(&mut config.close_timeout, close_timeout);
        set(&mut config.check_after, check_after);
        set(&mut config.max_lifetime, max_lifetime);
        set(&mut config.lifetime_jitter, lifetime_jitter);
        set(&mut config.idle_timeout, idle_timeout);
        set(&mut config.keepalive, keepalive);
        config.max_waiters = max_waiters.or(config.max_waiters);
        set(&mut config.fairness_window, fairness_window);
        set(&mut config.reclaim_after, reclaim_after);
        set(&mut config.backoff, backoff);
        set(&mut config.leak_after, leak_after);
        set(&mut config.session_policy, session_policy);
    }
}

fn set<T: Clone>(value: &mut T, wanted: &Option<T>) {
    if let Some(wanted) = wanted {
        value.clone_from(wanted);
    }
}

/// One setting: its name, and functions that read and show its value.
struct Field {
    name: &'static str,
    /// The error describes what is wrong with the value.
    read: fn(&mut Settings, Value) -> Result<(), String>,
    /// `None` if the setting is left out.
    show: fn(&Settings) -> Option<String>,
}

/// A row of the table: the field, and the module of `text` that reads and shows its type.
macro_rules! field {
    ($name:ident, $kind:ident) => {
        Field {
            name: stringify!($name),
            read: |settings, value| {
                settings.$name = Some(text::$kind::read(value)?);
                Ok(())
            },
            show: |settings| settings.$name.as_ref().map(text::$kind::show),
        }
    };
}

const FIELDS: &[Field] = &[
    field!(name, name),
    field!(max_size, count),
    field!(min_idle, count),
    field!(acquire_timeout, span),
    field!(connect_timeout, span),
    field!(build_timeout, span),
    field!(check_timeout, span),
    field!(reset_timeout, span),
    field!(close_timeout, span),
    field!(check_after, span),
    field!(max_lifetime, span),
    field!(lifetime_jitter, share),
    field!(idle_timeout, span),
    field!(keepalive, span),
    field!(max_waiters, count),
    field!(fairness_window, span),
    field!(reclaim_after, span),
    field!(backoff, pauses),
    field!(leak_after, span),
    field!(session_policy, policy),
];
