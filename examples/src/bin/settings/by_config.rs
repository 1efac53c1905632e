//! Reads the settings with the crate `config`.

use crate::Shop;
use anyhow::Result;
use config::{Config, Environment, File};
use std::path::Path;

pub(crate) fn read(file: &Path) -> Result<Shop> {
    let environment = Environment::with_prefix("SHOP").prefix_separator("_").separator("__");
    let config = Config::builder().add_source(File::from(file)).add_source(environment).build()?;
    Ok(config.try_deserialize()?)
}
