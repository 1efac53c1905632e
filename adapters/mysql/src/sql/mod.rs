//! What a text of SQL does to the session that runs it.
//!
//! Pure: no I/O and no clock. Where it is in doubt it says so, which costs a reset.

mod effect;
mod words;

pub(crate) use effect::{is_harmless, names_resource_group, only_sets};
