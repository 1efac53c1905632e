//! Reads the settings with the crate `figment`, whose errors name the source of a bad value.

use crate::Shop;
use anyhow::Result;
use figment::Figment;
use figment::providers::{Env, Format, Toml};
use std::path::Path;

pub(crate) fn read(file: &Path) -> Result<Shop> {
    let figment = Figment::new().merge(Toml::file_exact(file)).merge(Env::prefixed("SHOP_").split("__"));
    Ok(figment.extract()?)
}
