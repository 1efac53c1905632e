//! Builds the adapters as a user's project does: without this workspace's lock, with the newest releases of their dependencies, and with
//! the oldest drivers that they accept.

use crate::process::{cargo, run};
use crate::workspace;
use crate::workspace::Package;
use anyhow::{Context, Result};
use std::fs;

/// The lower ends of the ranges in the workspace's Cargo.toml.
const OLDEST: &[(&str, &str)] = &[
    ("mysql", "28.0.0"),
    ("postgres", "0.19.14"),
    ("rusqlite", "0.41.0"),
    ("tokio-postgres", "0.7.18"),
    ("crossbeam-utils", "0.8.21"),
    ("rustix", "1.0.0"),
];

pub(super) fn outside() -> Result<()> {
    let folder = workspace::target().join("outside");
    let manifest = folder.join("Cargo.toml");
    fs::create_dir_all(folder.join("src")).context("cannot create a project for the adapters")?;
    fs::write(&manifest, project()?)?;
    fs::write(folder.join("src/lib.rs"), "//! Depends on the adapters, and has nothing of its own.\n")?;
    // The lock of an earlier run may not have the newest versions.
    let _ = fs::remove_file(folder.join("Cargo.lock"));
    let check =
        || run(cargo(["check", "--manifest-path"]).arg(&manifest).arg("--target-dir").arg(folder.join("target")));
    check()?;
    for (package, version) in OLDEST {
        let mut update = cargo(["update", "--package", package, "--precise", version, "--manifest-path"]);
        run(update.arg(&manifest))?;
    }
    check()
}

fn project() -> Result<String> {
    let depend = |(package, manifest): &(Package, String)| {
        let path = workspace::root().join(manifest.trim_end_matches("/Cargo.toml"));
        format!("{} = {{ path = {path:?} }}\n", package.name)
    };
    let dependencies: String = workspace::adapters()?.iter().map(depend).collect();
    Ok(format!(
        "[package]\nname = \"outside\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n[dependencies]\n{dependencies}"
    ))
}
