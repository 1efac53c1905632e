//! The step `manifests`: validates the manifest of the guides against the schemas of Kubernetes.

use crate::{process, setup, workspace};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::Path;

pub(super) fn manifests() -> Result<()> {
    judge(&workspace::root().join(MANIFEST), &workspace::target().join("misspelt.yaml"), |file| {
        process::status(setup::kubernetes_validate().args(["--strict", "--no-warn"]).arg(file))
    })
}

/// `takes` runs the checker on a file. A checker that accepts anything checks nothing, so it also gets a copy with an unknown field.
fn judge(manifest: &Path, copy: &Path, takes: impl Fn(&Path) -> Result<bool>) -> Result<()> {
    let text = fs::read_to_string(manifest).with_context(|| format!("cannot read {}", manifest.display()))?;
    let misspelt = text.replace(FIELD, &format!("{FIELD}s"));
    if misspelt == text {
        bail!("{} has no `{FIELD}` to misspell", manifest.display());
    }
    if !takes(manifest)? {
        bail!("Kubernetes would refuse {}", manifest.display());
    }
    fs::write(copy, misspelt).with_context(|| format!("cannot write {}", copy.display()))?;
    println!("a copy with `{FIELD}s`, which must not validate:");
    if takes(copy)? {
        bail!("the checker accepts a manifest with the field `{FIELD}s`, so it checks nothing");
    }
    Ok(())
}

const MANIFEST: &str = "docs/cloud/deployment.yaml";
/// Nested so deeply that only a checker with the types can reject it.
const FIELD: &str = "preStop";

#[cfg(test)]
mod tests {
    use super::*;

    fn judged_by(takes: impl Fn(&Path) -> Result<bool>) -> Result<()> {
        let copy = std::env::temp_dir().join(format!("cabrank-misspelt-{}.yaml", std::process::id()));
        let judged = judge(&workspace::root().join(MANIFEST), &copy, takes);
        let _ = fs::remove_file(copy);
        judged
    }

    #[test]
    fn a_checker_that_takes_all_or_nothing_fails_the_step() {
        let knows = |file: &Path| Ok(!fs::read_to_string(file)?.contains("preStops:"));
        assert!(judged_by(knows).is_ok());
        assert!(judged_by(|_| Ok(true)).unwrap_err().to_string().contains("checks nothing"));
        assert!(judged_by(|_| Ok(false)).unwrap_err().to_string().contains("would refuse"));
    }
}
