//! The changes that new settings make to a running pool.

use super::{FIELDS, Settings};
use crate::config::Config;
use std::fmt;

/// A setting whose value differs. See [`Settings::diff`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// The setting, by the name of its builder method.
    pub setting: &'static str,
    /// The current value, as text.
    pub now: String,
    /// The wanted value, as text.
    pub wanted: String,
    /// Whether the pool must be rebuilt. [`Pool::resize`](crate::Pool::resize) applies the other settings.
    pub needs_restart: bool,
}

impl Settings {
    /// Returns the settings that differ from a pool's. A setting that is `None` changes nothing.
    ///
    /// ```
    /// use cabrank::{Config, Settings};
    /// use std::time::Duration;
    ///
    /// let wanted = Settings { max_size: Some(20), check_after: Some(Duration::from_millis(500)), ..Settings::default() };
    /// let changes: Vec<_> = wanted.diff(&Config::default()).iter().map(ToString::to_string).collect();
    /// assert_eq!(changes, ["max_size: 10 -> 20", "check_after: 1s -> 500ms (needs a restart)"]);
    /// ```
    pub fn diff(&self, config: &Config) -> Vec<Change> {
        let present = Self::of(config);
        let change = |field: &super::Field| {
            let (now, wanted) = ((field.show)(&present), (field.show)(self)?);
            let needs_restart = !["max_size", "min_idle"].contains(&field.name);
            (now.as_deref() != Some(&wanted)).then(|| Change {
                setting: field.name,
                now: now.unwrap_or_else(|| "not set".to_owned()),
                wanted,
                needs_restart,
            })
        };
        FIELDS.iter().filter_map(change).collect()
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { setting, now, wanted, needs_restart } = self;
        write!(f, "{setting}: {now} -> {wanted}{}", if *needs_restart { " (needs a restart)" } else { "" })
    }
}
