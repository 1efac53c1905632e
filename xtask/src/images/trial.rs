//! The trial of a stand-in before it gets its name: it starts, lets the right password in, over TLS where it offers that, and
//! refuses a wrong one. The program `servers` of `integration-tests` does it, which starts all our containers.

use super::Image;
use crate::setup::Tool;
use crate::{process, servers, setup};
use anyhow::{Context, Result};

/// An error if the image does not behave as the official one would.
pub(super) fn run(image: Image, tag: &str) -> Result<()> {
    setup::ready(&[Tool::C], setup::asked(false))?;
    servers::build()?;
    process::run(servers::program().args(["--try", image.name(), tag])).with_context(|| format!("{tag} is no good"))
}
