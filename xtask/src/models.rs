//! `cargo xtask models`: runs the core's loom models, and then each again with a bug seeded into the core, which the
//! model must catch. A model that no bug can make fail checks nothing.
//!
//! The models lie in the core's module `models`, behind `cfg(loom)`; a seeded bug is a line of the core behind
//! `cfg(seeded_bug = "its_name")`. To run the models by hand:
//! `RUSTFLAGS="--cfg loom" LOOM_MAX_PREEMPTIONS=3 cargo test -p cabrank --release --lib models`

use crate::process::Ended;
use crate::{process, workspace};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use std::{env, fs};

/// Each model, and a bug that it must catch. Every model has a row, and every seeded bug of the core is in one.
const SEEDED_BUGS: &[(&str, &str)] = &[
    ("delivery_against_cancel", "cancel_drops_delivery"),
    ("return_against_enqueue", "put_ignores_waiters"),
    ("two_returns_against_two_waiters", "wake_only_one"),
    ("failed_connect_against_waiter", "failed_connect_keeps_slot"),
    ("close_against_get", "close_wakes_nobody"),
    ("abort_against_finish", "disarm_does_not_wait"),
];

/// loom leaves out schedules with more forced switches than this; without a bound the models take hours.
const PREEMPTIONS: &str = "3";

/// All models together, and one model with its bug. A model that needs longer hangs, which catches nothing.
const GREEN_LIMIT: Duration = Duration::from_secs(15 * 60);
const SEEDED_LIMIT: Duration = Duration::from_secs(3 * 60);

pub(crate) fn run() -> Result<()> {
    unlisted_bugs(&workspace::files()?)?;

    let green = run_models(&build(None)?, "models::", GREEN_LIMIT)?;
    print!("{}", green.output);
    judge_green(&green)?;

    let mut missed = Vec::new();
    for &(model, bug) in SEEDED_BUGS {
        let ended = run_models(&build(Some(bug))?, &format!("models::{model}"), SEEDED_LIMIT)?;
        match caught(&ended) {
            Ok(how) => println!("caught: {model} fails with {bug}: {how}"),
            Err(why) => {
                println!("{}\nNOT CAUGHT: {model} with {bug}: {why}", ended.output);
                missed.push(bug);
            }
        }
    }
    if !missed.is_empty() {
        bail!("seeded bugs that no model caught: {}", missed.join(", "));
    }
    println!("{} models hold, and each catches its seeded bug", SEEDED_BUGS.len());
    Ok(())
}

/// Builds the core's unit tests under loom and says where the binary is. The bug's flag goes to the core alone, so
/// that loom and the rest are built once for all.
fn build(bug: Option<&str>) -> Result<PathBuf> {
    let flags = [env::var("RUSTFLAGS").unwrap_or_default(), "--cfg loom".into()].join(" ");
    // The bench profile builds tests as `cargo test --release` does; `cargo rustc` has no other name for that.
    let mut command = process::cargo(["rustc", "--quiet", "--package", "cabrank", "--lib", "--profile", "bench"]);
    command.args(["--message-format", "json-render-diagnostics"]).env("RUSTFLAGS", flags.trim());
    command.env("CARGO_TARGET_DIR", folder());
    if let Some(bug) = bug {
        // Warnings are no news here: a bug may well leave something unused.
        command.args(["--", "-A", "warnings", "--cfg", &format!("seeded_bug=\"{bug}\"")]);
    }
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output().context("cannot start cargo")?;
    if !output.status.success() {
        bail!("the models cannot be built{}", bug.map(|bug| format!(" with {bug}")).unwrap_or_default());
    }
    executable(&String::from_utf8_lossy(&output.stdout)).context("cargo named no test binary")
}

/// The path in cargo's message about the test binary. Backslashes are the only thing that JSON escapes in a path.
fn executable(messages: &str) -> Option<PathBuf> {
    let path = messages.lines().find_map(|line| line.split_once("\"executable\":\"")?.1.split('"').next())?;
    Some(path.replace("\\\\", "\\").into())
}

/// Runs the binary itself rather than through cargo: the limit covers no building, and killing it leaves no child.
fn run_models(binary: &Path, filter: &str, limit: Duration) -> Result<Ended> {
    let mut command = Command::new(binary);
    command.arg(filter).env("LOOM_MAX_PREEMPTIONS", PREEMPTIONS).current_dir(workspace::root());
    // One model is named in full; the prefix of all is not.
    command.args((!filter.ends_with("::")).then_some("--exact"));
    process::within(&mut command, limit, &folder().join("run.log"))
}

/// Without a bug every model of the table must be there and hold, and there must be none beside them.
fn judge_green(ended: &Ended) -> Result<()> {
    let Some(status) = ended.status else { bail!("the models did not end within {GREEN_LIMIT:?}") };
    if !status.success() {
        bail!("a model fails ({status})");
    }
    let held: Vec<_> = ended.output.lines().filter_map(|line| line.strip_prefix("test models::")).collect();
    let missing =
        SEEDED_BUGS.iter().map(|(model, _)| *model).find(|model| !held.contains(&&*format!("{model} ... ok")));
    if let Some(model) = missing {
        bail!("the model {model} of the table did not run");
    }
    let known = |name: &str| SEEDED_BUGS.iter().any(|(model, _)| *model == name);
    if let Some(model) = held.iter().filter_map(|line| line.split_once(" ... ")).find(|(name, _)| !known(name)) {
        bail!("the model {} has no seeded bug in the table", model.0);
    }
    Ok(())
}

/// Whether the one model that ran failed. The reason is the first words of its panic.
fn caught(ended: &Ended) -> Result<&str, &'static str> {
    let Some(status) = ended.status else { return Err("it hung and was killed") };
    if !ended.output.lines().any(|line| line == "running 1 test") {
        return Err("no such model ran");
    }
    if status.success() {
        return Err("it passed");
    }
    let mut lines = ended.output.lines().skip_while(|line| !line.contains("panicked at"));
    lines.nth(1).ok_or("it died without a panic")
}

/// Each bug seeded in the core must be in the table, or nothing would show that it is caught.
fn unlisted_bugs(files: &[workspace::File]) -> Result<()> {
    for file in files.iter().filter(|file| file.path.starts_with("pool/")) {
        for rest in file.text.split("seeded_bug = \"").skip(1) {
            let bug = rest.split('"').next().unwrap_or_default();
            if !SEEDED_BUGS.iter().any(|(_, known)| *known == bug) {
                bail!("{}: the seeded bug `{bug}` is in no row of the table in xtask/src/models.rs", file.path);
            }
        }
    }
    Ok(())
}

/// A target folder of its own: other flags would rebuild everything in the common one.
fn folder() -> PathBuf {
    let folder = workspace::target().join("loom");
    // A failure shows at the first use, with its path.
    let _ = fs::create_dir_all(&folder);
    folder
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    fn ended(code: i32, output: &str) -> Ended {
        Ended { status: Some(ExitStatus::from_raw(code << 8)), output: output.into() }
    }

    #[test]
    fn only_a_model_that_ran_and_panicked_has_caught_its_bug() {
        let panic = "running 1 test\nthread 'x' panicked at a.rs:1:\ndeadlock\n";
        assert_eq!(caught(&ended(101, panic)), Ok("deadlock"));
        assert_eq!(caught(&ended(0, "running 1 test\n")), Err("it passed"));
        assert_eq!(caught(&ended(101, "running 0 tests\npanicked at\nx\n")), Err("no such model ran"));
        assert!(caught(&ended(101, "running 1 test\n")).is_err());
        assert!(caught(&Ended { status: None, output: panic.into() }).is_err());
    }

    #[test]
    fn all_models_must_hold_and_each_must_have_a_bug() {
        let all: String = SEEDED_BUGS.iter().map(|(model, _)| format!("test models::{model} ... ok\n")).collect();
        assert!(judge_green(&ended(0, &all)).is_ok());
        assert!(judge_green(&ended(101, &all)).is_err());
        assert!(judge_green(&ended(0, all.split_once('\n').unwrap().1)).is_err());
        assert!(judge_green(&ended(0, &format!("{all}test models::new ... ok\n"))).is_err());
        assert!(judge_green(&Ended { status: None, output: all }).is_err());
    }

    #[test]
    fn a_seeded_bug_outside_the_table_is_an_error() {
        let file = |bug: &str| workspace::File {
            path: "pool/src/state.rs".into(),
            text: format!("#[cfg(seeded_{})]\n", format_args!("bug = \"{bug}\"")),
        };
        assert!(unlisted_bugs(&[file("wake_only_one")]).is_ok());
        assert!(unlisted_bugs(&[file("unheard_of")]).is_err());
    }

    #[test]
    fn the_test_binary_is_read_from_what_cargo_says() {
        let messages = "{\"executable\":null}\n{\"executable\":\"C:\\\\x\\\\y.exe\",\"fresh\":true}\n";
        assert_eq!(executable(messages), Some("C:\\x\\y.exe".into()));
        assert_eq!(executable("{}"), None);
    }
}
