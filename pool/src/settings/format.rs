//! Settings in any format that serde supports.

use super::nearest::nearest;
use super::text::Value;
use super::{FIELDS, Settings};
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use std::fmt;

impl<'de> Deserialize<'de> for Settings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(SettingsVisitor)
    }
}

struct SettingsVisitor;

impl<'de> Visitor<'de> for SettingsVisitor {
    type Value = Settings;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table of pool settings")
    }

    /// Reads all of them before it fails, so that a file needs correcting only once.
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Settings, A::Error> {
        let mut settings = Settings::default();
        let (mut seen, mut problems) = (Vec::new(), Vec::new());
        while let Some(name) = map.next_key::<String>()? {
            let value = map.next_value::<Option<Value>>()?;
            let field = FIELDS.iter().find(|field| field.name == name);
            match (field, value) {
                (Some(field), _) if seen.contains(&field.name) => {
                    problems.push(format!("{name}: is set more than once"))
                }
                (Some(field), Some(value)) => {
                    seen.push(field.name);
                    let read = (field.read)(&mut settings, value);
                    problems.extend(read.err().map(|message| format!("{name}: {message}")));
                }
                (Some(field), None) => seen.push(field.name),
                (None, _) => problems.push(unknown(&name)),
            }
        }
        if problems.is_empty() { Ok(settings) } else { Err(A::Error::custom(problems.join("; "))) }
    }
}

fn unknown(name: &str) -> String {
    let meant = nearest(name, name.len()).map_or(String::new(), |meant| format!("; did you mean {meant}?"));
    format!("{name}: unknown setting{meant}")
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or a number")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Value, E> {
        Ok(Value::Number(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Number(number as f64))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Number(number as f64))
    }

    fn visit_bool<E: Error>(self, is: bool) -> Result<Value, E> {
        Ok(Value::Other(is.to_string()))
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Other("nothing".to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Value::Other("a list".to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Value::Other("a table".to_owned()))
    }
}

/// A setting that is not set is left out. Numbers are numbers, and everything else is text.
impl Serialize for Settings {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for field in FIELDS {
            let Some(text) = (field.show)(self) else { continue };
            match (text.parse::<u32>(), text.parse::<f64>()) {
                _ if field.name == "name" => map.serialize_entry(field.name, &text)?,
                (Ok(count), _) => map.serialize_entry(field.name, &count)?,
                (_, Ok(share)) => map.serialize_entry(field.name, &share)?,
                _ => map.serialize_entry(field.name, &text)?,
            }
        }
        map.end()
    }
}
