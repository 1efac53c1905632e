//! Builds a stand-in: a minimal Debian by debootstrap, and on it the Dockerfile in `images/`.
//!
//! Each image has the hash of its recipe as a label. After a change of the recipe the next run builds a new image.

use crate::docker::docker;
use crate::setup::{Tool, Unready};
use crate::{process, setup, workspace};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

/// The prefix of the names of all stand-ins.
pub(super) const PREFIX: &str = "cabrank-stand-in/";

/// Everything that determines a stand-in.
pub(super) struct Recipe {
    name: &'static str,
    suite: String,
    major: String,
    hash: String,
}

impl Recipe {
    pub(super) fn new(name: &'static str, suite: &str, major: &str) -> Result<Self> {
        let folder = workspace::root().join("images").join(name);
        let mut parts = vec![base_recipe(suite), major.to_owned()];
        for file in ["Dockerfile", "entrypoint.sh"] {
            let path = folder.join(file);
            parts.push(fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?);
        }
        Ok(Self { name, suite: suite.into(), major: major.into(), hash: hash(&parts) })
    }

    pub(super) fn tag(&self) -> String {
        let major = if self.major.is_empty() { String::new() } else { format!("-{}", self.major) };
        format!("{PREFIX}{}:{}{major}", self.name, self.suite)
    }

    pub(super) fn is_built(&self) -> bool {
        label(&self.tag()).is_some_and(|label| label == self.hash)
    }

    /// Builds it under another name first: only an image that passes its trial gets the name.
    pub(super) fn build(&self, install: bool, trial: impl Fn(&str) -> Result<()>) -> Result<()> {
        let base = base(&self.suite, install)?;
        let candidate = format!("{PREFIX}{}:candidate", self.name);
        let log = workspace::target().join(format!("image-{}.log", self.name));
        let begun = Instant::now();
        let mut command = docker(["build", "--tag", &candidate, "--label", &format!("{LABEL}={}", self.hash)]);
        command.args(["--build-arg", &format!("BASE={base}")]);
        if self.name == "postgres" {
            command.args(["--build-arg", &format!("MAJOR={}", self.major)]);
        }
        command.arg(Path::new("images").join(self.name));
        logged(&mut command, &log)?;
        println!("{:>10}: {:.1} s to build", self.name, begun.elapsed().as_secs_f64());
        let stood = trial(&candidate);
        if stood.is_ok() {
            process::output(&mut docker(["tag", &candidate, &self.tag()]))?;
        }
        process::output(&mut docker(["rmi", &candidate]))?;
        stood
    }
}

/// The minimal Debian of a suite, built if it is missing.
fn base(suite: &str, install: bool) -> Result<String> {
    let tag = format!("{PREFIX}base:{suite}");
    let hash = hash(&[base_recipe(suite)]);
    if label(&tag).is_some_and(|label| label == hash) {
        return Ok(tag);
    }
    if !(setup::root() && setup::debian()) {
        let advice =
            "only root on Debian or Ubuntu can build stand-ins; run this as root there, or pull the official images";
        return Err(Unready(advice.into()).into());
    }
    setup::ready(&[Tool::Debootstrap], install)?;
    let begun = Instant::now();
    let folder = workspace::target().join(format!("stand-in-base-{suite}"));
    // An interrupted run may have left it.
    let _ = fs::remove_dir_all(&folder);
    let mut command = Command::new("debootstrap");
    command.args(["--variant=minbase", suite]).arg(&folder).arg(mirror()?);
    logged(&mut command, &workspace::target().join("image-base.log"))?;
    for path in WASTE {
        // Some suites do not have it.
        let _ = fs::remove_dir_all(folder.join(path));
    }
    for (path, text, mode) in FILES {
        let path = folder.join(path);
        fs::write(&path, text)?;
        set_mode(&path, *mode)?;
    }
    import(&folder, &tag, &hash)?;
    fs::remove_dir_all(&folder)?;
    println!("{:>10}: {tag} built, {:.1} s", "base", begun.elapsed().as_secs_f64());
    Ok(tag)
}

/// `tar | docker import`: makes a folder an image.
fn import(folder: &Path, tag: &str, hash: &str) -> Result<()> {
    let mut pack = Command::new("tar");
    let mut pack = pack.arg("-C").arg(folder).args(["-c", "."]).stdout(Stdio::piped()).spawn().context("no tar")?;
    let label = format!("LABEL {LABEL}={hash}");
    let mut import = docker(["import", "--change", &label, "--change", "ENV DEBIAN_FRONTEND=noninteractive", "-", tag]);
    let status = import.stdin(pack.stdout.take().expect("it is piped")).stdout(Stdio::null()).status()?;
    if !(pack.wait()?.success() && status.success()) {
        bail!("cannot import {}", folder.display());
    }
    Ok(())
}

/// The Debian mirror that this machine's apt uses.
fn mirror() -> Result<String> {
    let format = "$(ORIGIN) $(COMPONENT) $(CREATED_BY) $(REPO_URI)";
    let targets = process::output(Command::new("apt-get").args(["indextargets", "--format", format]))?;
    let found = targets.lines().find_map(|line| line.strip_prefix("Debian main Packages "));
    let advice = "apt has no Debian mirror; run `apt-get update` first";
    Ok(found.ok_or_else(|| Unready(advice.into()))?.to_owned())
}

/// Runs a command and shows its output only if it fails.
fn logged(command: &mut Command, log: &Path) -> Result<()> {
    fs::create_dir_all(workspace::target())?;
    let ended = process::within(command, process::LONG, log)?;
    if !ended.status.is_some_and(|status| status.success()) {
        let lines: Vec<_> = ended.output.lines().collect();
        bail!(
            "the command failed; the end of {}:\n{}",
            log.display(),
            lines[lines.len().saturating_sub(15)..].join("\n")
        );
    }
    Ok(())
}

/// The hash of the recipe that an image was built from; `None` if there is no such image.
fn label(tag: &str) -> Option<String> {
    let format = format!("{{{{index .Config.Labels \"{LABEL}\"}}}}");
    let found = process::output(&mut docker(["image", "inspect", "--format", &format, tag])).ok()?;
    Some(found.trim().to_owned())
}

fn base_recipe(suite: &str) -> String {
    format!("{suite}\n{WASTE:?}\n{FILES:?}")
}

/// FNV-1a: stable across Rust versions, which the standard library's hasher does not promise.
fn hash(parts: &[String]) -> String {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let bytes = parts.iter().flat_map(|part| part.bytes().chain([0]));
    format!("{:016x}", bytes.fold(0xcbf2_9ce4_8422_2325, step))
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) -> Result<()> {
    Ok(fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode))?)
}

#[cfg(not(unix))]
fn set_mode(_: &Path, _: u32) -> Result<()> {
    bail!("stand-ins can only be built on Debian or Ubuntu")
}

const LABEL: &str = "cabrank-recipe";

/// Two thirds of what debootstrap leaves; no server reads any of it.
const WASTE: &[&str] =
    &["var/lib/apt/lists", "var/cache/apt/archives", "usr/share/doc", "usr/share/man", "usr/share/locale"];

const FILES: &[(&str, &str, u32)] = &[
    // A mirror may be a frozen copy whose index has expired.
    (
        "etc/apt/apt.conf.d/90stand-in",
        "Acquire::Check-Valid-Until \"false\";\nAPT::Install-Recommends \"false\";\n",
        0o644,
    ),
    (
        "etc/dpkg/dpkg.cfg.d/stand-in",
        "path-exclude /usr/share/doc/*\npath-exclude /usr/share/man/*\npath-exclude /usr/share/locale/*\n",
        0o644,
    ),
    // Packages must not start their services.
    ("usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n", 0o755),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_recipe_has_another_hash() {
        let recipe = |suite: &str, major: &str| Recipe::new("postgres", suite, major).unwrap();
        assert_eq!(recipe("sid", "").hash, recipe("sid", "").hash);
        assert_ne!(recipe("sid", "").hash, recipe("trixie", "").hash);
        assert_ne!(recipe("sid", "").hash, recipe("sid", "17").hash);
        assert_ne!(hash(&["ab".into(), "c".into()]), hash(&["a".into(), "bc".into()]));
    }

    #[test]
    fn the_tag_tells_suite_and_major() {
        assert_eq!(Recipe::new("mysql", "sid", "").unwrap().tag(), format!("{PREFIX}mysql:sid"));
        assert_eq!(Recipe::new("postgres", "trixie", "17").unwrap().tag(), format!("{PREFIX}postgres:trixie-17"));
    }
}
