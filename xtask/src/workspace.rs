//! The workspace on disk: its root, its packages, and the text of its files.
//!
//! Manifests are read line by line, which is enough for the plain TOML here. Judging the contents belongs to `tidy`.

use crate::process;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    let xtask = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&xtask).parent().expect("xtask lies in the workspace").to_path_buf()
}

/// Separate workspaces, each with its own lock: the dependencies of their tests do not fit into the lock of the crates, because Diesel
/// requires an older SQLite than `cabrank-sqlite` takes.
pub(crate) const SATELLITES: &[&str] = &["adapters/r2d2/Cargo.toml", "drop-in/r2d2/Cargo.toml"];

/// Another separate workspace. Its framework takes minutes to build, so only a step of `ci --full` builds it.
pub(crate) const ROCKET: &str = "drop-in/r2d2/programs/rocket/Cargo.toml";

/// The target folder of cargo.
pub(crate) fn target() -> PathBuf {
    let given = env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    root().join(given.unwrap_or_else(|| "target".into()))
}

/// A cargo command for a manifest, such as one of those. It shares the target folder.
pub(crate) fn satellite(command: &str, manifest: &str) -> Command {
    let mut cargo = process::cargo([command, "--manifest-path", manifest, "--target-dir"]);
    cargo.arg(target());
    cargo
}

/// One package of the workspace, as its manifest describes it.
#[derive(Debug, PartialEq)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) published: bool,
    /// Without `default`, which only names others.
    pub(crate) features: Vec<String>,
}

/// The packages, in the order of the root manifest: a package comes after those it depends on.
pub(crate) fn packages() -> Result<Vec<Package>> {
    let root_manifest = manifest("Cargo.toml")?;
    members(&root_manifest).iter().map(|member| Ok(package(&manifest(&format!("{member}/Cargo.toml"))?))).collect()
}

/// The adapters, each with the path of its manifest; one is in a separate workspace.
pub(crate) fn adapters() -> Result<Vec<(Package, String)>> {
    let root_manifest = manifest("Cargo.toml")?;
    // A package within an adapter's folder is no adapter.
    let is_adapter = |member: &&str| member.strip_prefix("adapters/").is_some_and(|name| !name.contains('/'));
    let members = members(&root_manifest).into_iter().filter(is_adapter);
    let paths = members.map(|member| format!("{member}/Cargo.toml")).chain([SATELLITES[0].to_owned()]);
    paths.map(|path| Ok((package(&manifest(&path)?), path))).collect()
}

fn manifest(path: &str) -> Result<String> {
    fs::read_to_string(root().join(path)).with_context(|| format!("cannot read {path}"))
}

/// The version that all packages share.
pub(crate) fn version(root_manifest: &str) -> Option<&str> {
    value(section(root_manifest, "workspace.package"), "version")
}

/// The oldest Rust that a package promises, in its own manifest or in the root's.
pub(crate) fn rust_version<'a>(manifest: &'a str, root_manifest: &'a str) -> Option<&'a str> {
    let own = || section(manifest, "package");
    value(own(), "rust-version").or_else(|| {
        own().find(|line| line.starts_with("rust-version.workspace"))?;
        value(section(root_manifest, "workspace.package"), "rust-version")
    })
}

/// One file: its path from the root, with forward slashes, and its text.
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl File {
    pub(crate) fn is(&self, extensions: &[&str]) -> bool {
        self.path.rsplit_once('.').is_some_and(|(_, extension)| extensions.contains(&extension))
    }
}

/// Every text file of the repository, sorted by path, without the files of git and cargo.
pub(crate) fn files() -> Result<Vec<File>> {
    let root = root();
    let mut found = Vec::new();
    collect(&root, &root, &mut found)?;
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

fn collect(root: &Path, folder: &Path, found: &mut Vec<File>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let entry = entry?;
        let (path, name) = (entry.path(), entry.file_name());
        if entry.file_type()?.is_dir() {
            if name != "target" && name != ".git" {
                collect(root, &path, found)?;
            }
        } else if name != ".git"
            && let Ok(text) = String::from_utf8(fs::read(&path)?)
        {
            let path = path.strip_prefix(root)?.components().map(|part| part.as_os_str().to_string_lossy());
            found.push(File { path: path.collect::<Vec<_>>().join("/"), text });
        }
    }
    Ok(())
}

fn members(root_manifest: &str) -> Vec<&str> {
    let lines = root_manifest.lines().skip_while(|line| !line.starts_with("members")).skip(1);
    lines.take_while(|line| !line.starts_with(']')).filter_map(|line| line.split('"').nth(1)).collect()
}

/// Reads one manifest. The name is empty if it describes no package.
pub(crate) fn package(manifest: &str) -> Package {
    let about = || section(manifest, "package");
    Package {
        name: value(about(), "name").unwrap_or_default().to_owned(),
        published: !about().any(|line| line.replace(' ', "").starts_with("publish=false")),
        features: section(manifest, "features")
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| Some(line.split_once('=')?.0.trim().to_owned()))
            .filter(|feature| feature != "default")
            .collect(),
    }
}

/// The lines under `[name]`, up to the next heading.
fn section<'a>(manifest: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let heading = format!("[{name}]");
    manifest.lines().skip_while(move |line| line.trim() != heading).skip(1).take_while(|line| !line.starts_with('['))
}

fn value<'a>(mut lines: impl Iterator<Item = &'a str>, key: &str) -> Option<&'a str> {
    let line = lines.find(|line| line.split('=').next().is_some_and(|left| left.trim() == key))?;
    line.split('"').nth(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_tells_name_features_and_whether_it_is_published() {
        let core =
            package("[package]\nname = \"a\"\n[features]\ndefault = [\"x\"]\n# Why.\nx = []\n\n[lints]\ny = 1\n");
        assert_eq!(core, Package { name: "a".into(), published: true, features: vec!["x".into()] });
        assert!(!package("[package]\nname = \"b\"\npublish = false\n").published);
    }

    #[test]
    fn the_oldest_rust_is_read_from_the_own_manifest_or_from_the_root() {
        let root = "[workspace.package]\nrust-version = \"1.2\"\n";
        assert_eq!(rust_version("[package]\nrust-version.workspace = true\n", root), Some("1.2"));
        assert_eq!(rust_version("[package]\nrust-version = \"1.3\" # Why.\n", root), Some("1.3"));
        assert_eq!(rust_version("[package]\n", root), None);
    }

    #[test]
    fn members_are_read_past_their_comments() {
        assert_eq!(
            members("[workspace]\nmembers = [\n  \"a\", # the \"b\"\n  \"c/d\",\n]\nx = [\n\"e\",\n]\n"),
            ["a", "c/d"]
        );
    }

    #[test]
    fn this_workspace_is_found() {
        let packages = packages().unwrap();
        assert!(packages.iter().any(|package| package.name == "cabrank" && package.published));
        assert!(packages.iter().any(|package| package.name == "xtask" && !package.published));
        let adapters = adapters().unwrap();
        assert!(
            adapters.iter().any(|(package, path)| package.name == "cabrank-r2d2" && path == "adapters/r2d2/Cargo.toml")
        );
        assert!(adapters.iter().any(|(package, _)| package.name == "cabrank-sqlite") && adapters.len() == 7);
        assert!(adapters.iter().all(|(package, _)| package.published), "a package within an adapter is none");
        assert!(files().unwrap().iter().any(|file| file.path == "xtask/src/workspace.rs"));
    }
}
