//! Values as texts: reading them, with errors that state what to write instead, and showing them.

use std::time::Duration;

/// A value in a file or a variable.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Text(String),
    #[cfg_attr(not(feature = "serde"), expect(dead_code, reason = "a variable has nothing but text"))]
    Number(f64),
    /// Of a type that no setting has, as it is shown.
    #[cfg(feature = "serde")]
    Other(String),
}

impl Value {
    fn shown(&self) -> String {
        match self {
            Self::Text(text) => format!("{text:?}"),
            Self::Number(number) => number.to_string(),
            #[cfg(feature = "serde")]
            Self::Other(shown) => shown.clone(),
        }
    }

    fn is_not(&self, wanted: &str) -> String {
        format!("expected {wanted}, found {}", self.shown())
    }

    fn text(&self, wanted: &str) -> Result<&str, String> {
        match self {
            Self::Text(text) => Ok(text.trim()),
            other => Err(other.is_not(wanted)),
        }
    }

    /// In a variable a number is text, too.
    fn number(&self, wanted: &str) -> Result<f64, String> {
        let number = match self {
            Self::Number(number) => Some(*number),
            Self::Text(text) => text.trim().parse().ok(),
            #[cfg(feature = "serde")]
            Self::Other(_) => None,
        };
        number.filter(|number| number.is_finite()).ok_or_else(|| self.is_not(wanted))
    }
}

pub(super) mod name {
    use super::Value;

    pub(in super::super) fn read(value: Value) -> Result<String, String> {
        value.text("a string").map(str::to_owned)
    }

    #[expect(clippy::ptr_arg, reason = "the table hands over what the setting is")]
    pub(in super::super) fn show(name: &String) -> String {
        name.clone()
    }
}

pub(super) mod count {
    use super::Value;

    pub(in super::super) fn read(value: Value) -> Result<u32, String> {
        let number = value.number("a whole number")?;
        if number.fract() != 0.0 || !(0.0..=f64::from(u32::MAX)).contains(&number) {
            return Err(value.is_not(&format!("a whole number from 0 to {}", u32::MAX)));
        }
        Ok(number as u32)
    }

    pub(in super::super) fn show(count: &u32) -> String {
        count.to_string()
    }
}

pub(super) mod share {
    use super::Value;

    pub(in super::super) fn read(value: Value) -> Result<f64, String> {
        value.number("a number from 0 to less than 1")
    }

    pub(in super::super) fn show(share: &f64) -> String {
        share.to_string()
    }
}

pub(super) mod span {
    use super::{Duration, LARGEST, NEVER, UNITS, Value};

    pub(in super::super) fn read(value: Value) -> Result<Duration, String> {
        if let Some(number) = value.number("").ok().filter(|number| (0.0..=LARGEST).contains(number)) {
            return Err(format!(
                "{number} has no unit: write \"{number}s\" for seconds, or \"{number}ms\" for milliseconds"
            ));
        }
        let wanted = "a duration such as \"30s\", \"500ms\" or \"never\"";
        parse(value.text(wanted)?).ok_or_else(|| value.is_not(wanted))
    }

    /// Numbers with their units, such as `1h 30m` or `1.5s`.
    pub(super) fn parse(text: &str) -> Option<Duration> {
        if text == NEVER {
            return Some(Duration::MAX);
        }
        let mut rest = text;
        let mut sum = Duration::ZERO;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
            let (number, after) = rest.split_at(digits);
            let letters = after.find(|c: char| !c.is_alphabetic()).unwrap_or(after.len());
            let (unit, after) = after.split_at(letters);
            let (_, seconds) = UNITS.iter().find(|(name, _)| *name == unit)?;
            let part = Duration::try_from_secs_f64(number.parse::<f64>().ok()? * seconds).ok()?;
            sum = sum.checked_add(part)?;
            rest = after.trim_start();
        }
        (!text.is_empty()).then_some(sum)
    }

    pub(in super::super) fn show(span: &Duration) -> String {
        match (span.as_secs(), span.subsec_nanos()) {
            _ if *span == Duration::MAX => NEVER.to_owned(),
            (seconds, 0) => match seconds {
                0 => "0s".to_owned(),
                _ if seconds % 3600 == 0 => format!("{}h", seconds / 3600),
                _ if seconds % 60 == 0 => format!("{}m", seconds / 60),
                _ => format!("{seconds}s"),
            },
            (_, nanos) if nanos % 1_000_000 == 0 => format!("{}ms", span.as_millis()),
            (_, nanos) if nanos % 1_000 == 0 => format!("{}us", span.as_micros()),
            _ => format!("{}ns", span.as_nanos()),
        }
    }
}

pub(super) mod pauses {
    use super::{Duration, Value, span};

    pub(in super::super) fn read(value: Value) -> Result<(Duration, Duration), String> {
        let wanted = "the first and the largest pause, such as \"50ms..500ms\"";
        let pauses = value.text(wanted)?.split_once("..").filter(|(_, largest)| !largest.starts_with('.'));
        let pauses =
            pauses.and_then(|(first, largest)| Some((span::parse(first.trim())?, span::parse(largest.trim())?)));
        pauses.ok_or_else(|| value.is_not(wanted))
    }

    pub(in super::super) fn show((first, largest): &(Duration, Duration)) -> String {
        format!("{}..{}", span::show(first), span::show(largest))
    }
}

pub(super) mod policy {
    use super::Value;
    use crate::config::SessionPolicy;

    const POLICIES: &[(&str, SessionPolicy)] =
        &[("tracked", SessionPolicy::Tracked), ("always", SessionPolicy::Always), ("never", SessionPolicy::Never)];

    pub(in super::super) fn read(value: Value) -> Result<SessionPolicy, String> {
        let wanted = "\"tracked\", \"always\" or \"never\"";
        let text = value.text(wanted)?;
        let policy = POLICIES.iter().find(|(name, _)| *name == text);
        policy.map(|(_, policy)| *policy).ok_or_else(|| value.is_not(wanted))
    }

    pub(in super::super) fn show(policy: &SessionPolicy) -> String {
        POLICIES.iter().find(|(_, other)| other == policy).map_or(String::new(), |(name, _)| (*name).to_owned())
    }
}

/// The largest number for which a unit is suggested.
const LARGEST: f64 = 1e15;
/// No limit.
const NEVER: &str = "never";

/// Units, in seconds.
const UNITS: &[(&str, f64)] = &[
    ("ns", 1e-9),
    ("us", 1e-6),
    ("µs", 1e-6),
    ("ms", 1e-3),
    ("s", 1.0),
    ("m", 60.0),
    ("min", 60.0),
    ("h", 3600.0),
    ("d", 86_400.0),
];
