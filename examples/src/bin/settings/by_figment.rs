//! By figment, which says of a bad value where it came from.

use crate::Shop;
use anyhow::Result;
use figment::Figment;
use figment::providers::{Env, Format, Toml};
use std::path::Path;

pub(crate) fn read(file: &Path) -> Result<Shop> {
    let figment = Figment::new().merge(Toml::file_exact(file)).merge(Env::prefixed("SHOP_").split("__"));
    Ok(figment.extract()?)
}
