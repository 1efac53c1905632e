//! Settings from environment variables.

use super::nearest::nearest;
use super::text::Value;
use super::{FIELDS, Field, Settings};
use crate::builder::Builder;
use crate::config::{ConfigError, Problem};
use crate::manager::Manager;
use std::env;
use std::ffi::OsString;

/// The settings that a set of variables contains.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) settings: Settings,
    /// The variable that each setting came from.
    pub(super) places: Vec<(&'static str, String)>,
    pub(super) problems: Vec<Problem>,
}

impl<M: Manager> Builder<M> {
    /// Applies settings from environment variables. With the prefix `DB_POOL_` these are `DB_POOL_MAX_SIZE`, `DB_POOL_IDLE_TIMEOUT` and
    /// so on, with values as in [`Settings`]: `8`, `30s`, `never`.
    ///
    /// An empty variable counts as not set. The pool's name is not read. Other variables with this prefix are ignored, except one that
    /// differs from a setting's name by at most two letters: it is taken for a typo.
    ///
    /// # Errors
    ///
    /// Names every variable that cannot be read and every typo. [`build`](Self::build) finds the values that break a rule; its error
    /// names the variable, too.
    pub fn from_env(mut self, prefix: &str) -> Result<Self, ConfigError> {
        let Found { settings, places, problems } = read(prefix, env::vars_os());
        ConfigError::of(problems)?;
        self.note_places(places);
        Ok(self.settings(&settings))
    }
}

pub(super) fn read(prefix: &str, variables: impl Iterator<Item = (OsString, OsString)>) -> Found {
    let mut found = Found::default();
    let mut named: Vec<_> = variables.filter_map(|(name, value)| Some((name.into_string().ok()?, value))).collect();
    // The environment has no defined order.
    named.sort();
    for (variable, value) in named {
        let Some(rest) = variable.strip_prefix(prefix) else { continue };
        let name = rest.to_lowercase();
        let field = FIELDS.iter().find(|field| field.name == name);
        match field {
            _ if value.is_empty() || name == "name" => {}
            Some(field) => found.read(field, variable, value),
            None => found.problems.extend(slip(prefix, &name, variable)),
        }
    }
    found
}

impl Found {
    fn read(&mut self, field: &Field, variable: String, value: OsString) {
        let text = value.into_string().map_err(|_| "the value is not valid Unicode".to_owned());
        match text.and_then(|text| (field.read)(&mut self.settings, Value::Text(text))) {
            Ok(()) => self.places.push((field.name, variable)),
            Err(message) => self.problems.push(Problem { field: field.name, place: Some(variable), message }),
        }
    }
}

fn slip(prefix: &str, name: &str, variable: String) -> Option<Problem> {
    // `name` is not read, so it cannot be meant: `DB_BASE` is a variable of other software.
    let field = nearest(name, SLIP).filter(|field| *field != "name")?;
    let message = format!("unknown setting; did you mean {prefix}{}?", field.to_uppercase());
    Some(Problem { field, place: Some(variable), message })
}

/// The maximum number of wrong letters in a mistyped name.
const SLIP: usize = 2;
