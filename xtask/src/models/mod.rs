//! `cargo xtask models`: runs the core's models under loom, each again with a bug seeded into the core, which the model must catch, and
//! all of them with many threads under shuttle. A model that no bug can make fail checks nothing.
//!
//! The models are in the core's module `models`, behind `cfg(loom)`; with `cfg(shuttle)` as well, shuttle runs them. A seeded bug is a line
//! of the core that calls `seeded::bug("its_name")`; in a build with `cfg(seeded_bugs)` the variable `CABRANK_SEEDED_BUG` chooses one.
//! `--sequential` shows that the tests without schedules pass with each bug: only interleaving reveals it. To run the models by hand:
//! `RUSTFLAGS="--cfg loom" LOOM_MAX_PREEMPTIONS=3 cargo test -p cabrank --release --lib models`, and for shuttle
//! `RUSTFLAGS="--cfg loom --cfg shuttle"` with `CABRANK_SCHEDULES=2000`.

mod table;

use crate::process::Ended;
use crate::{process, workspace};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs};
use table::{MODELS, Model, RACES};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Instead of the models, runs the core's other tests with each seeded bug; they must pass.
    #[arg(long)]
    sequential: bool,
}

pub(crate) fn run_with(args: &Args) -> Result<()> {
    if args.sequential { sequential() } else { run() }
}

/// The limit for one run of one model. A model that takes longer hangs, which catches nothing.
const LIMIT: Duration = Duration::from_secs(3 * 60);
/// The number of characters of a panic's message that are printed.
const WORDS: usize = 80;
/// The limit for the core's other tests.
const TESTS_LIMIT: Duration = Duration::from_secs(10 * 60);

pub(crate) fn run() -> Result<()> {
    same_bugs(&workspace::files()?)?;
    let loom = build("loom", "--cfg loom --cfg seeded_bugs", &["--lib"])?.remove(0);
    same_models(&list(&loom)?)?;

    let (mut green, mut missed) = (Duration::ZERO, Vec::new());
    for model in MODELS {
        let (ended, took) = run_model(&loom, model, None)?;
        hold(model, &ended)?;
        green += took;
        let (seeded, caught_after) = run_model(&loom, model, Some(model.bug))?;
        let (took, after) = (took.as_secs_f64(), caught_after.as_secs_f64());
        match caught(&seeded) {
            Ok(how) => println!("{} holds ({took:.1} s) and catches {} ({after:.1} s): {how}", model.name, model.bug),
            Err(why) => {
                println!("{}\nNOT CAUGHT: {} with {}: {why}", seeded.output, model.name, model.bug);
                missed.push(model.bug);
            }
        }
    }
    if !missed.is_empty() {
        bail!("seeded bugs that no model caught: {}", missed.join(", "));
    }

    let shuttle = build("shuttle", "--cfg loom --cfg shuttle", &["--lib"])?.remove(0);
    same_models(&list(&shuttle)?)?;
    let mut crowds = Duration::ZERO;
    for model in MODELS {
        let (ended, took) = run_model(&shuttle, model, None)?;
        hold(model, &ended)?;
        println!("{} holds with many threads ({:.1} s)", model.name, took.as_secs_f64());
        crowds += took;
    }
    println!(
        "{} models hold, and each catches its seeded bug: {:.0} s in all schedules of a few threads, {:.0} s in some of many",
        MODELS.len(),
        green.as_secs_f64(),
        crowds.as_secs_f64()
    );
    Ok(())
}

/// Without schedules no test may catch a bug of the table.
fn sequential() -> Result<()> {
    same_bugs(&workspace::files()?)?;
    let binaries = build("seeded", "--cfg seeded_bugs", &["--lib", "--test", "it"])?;
    let mut seen = Vec::new();
    for Model { bug, .. } in MODELS {
        for binary in &binaries {
            let mut command = Command::new(binary);
            command.args(RACES.iter().flat_map(|name| ["--skip", name]));
            command.env("CABRANK_SEEDED_BUG", bug).current_dir(workspace::root().join("pool"));
            let ended = process::within(&mut command, TESTS_LIMIT, &folder("seeded").join("run.log"))?;
            let summary = ended.output.lines().find(|line| line.starts_with("test result:")).unwrap_or("no result");
            println!("{bug}: {summary}");
            if !ended.status.is_some_and(|status| status.success()) {
                println!("{}", ended.output);
                seen.push(*bug);
            }
        }
    }
    if !seen.is_empty() {
        bail!("seeded bugs that tests without schedules catch: {}", seen.join(", "));
    }
    println!("the tests without schedules catch none of {} seeded bugs", MODELS.len());
    Ok(())
}

/// Builds the core's tests with these flags, and returns the paths of the binaries.
fn build(name: &str, flags: &str, targets: &[&str]) -> Result<Vec<PathBuf>> {
    let flags = [env::var("RUSTFLAGS").unwrap_or_default(), flags.into()].join(" ");
    let mut command = process::cargo(["test", "--quiet", "--package", "cabrank", "--no-run"]);
    // The models run many schedules and need a release build; the tests without schedules are built as usual.
    command.args(targets).args((name != "seeded").then_some("--release"));
    command.args(["--message-format", "json-render-diagnostics"]).env("RUSTFLAGS", flags.trim());
    command.env("CARGO_TARGET_DIR", folder(name));
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output().context("cannot start cargo")?;
    if !output.status.success() {
        bail!("the tests cannot be built with {flags}");
    }
    let binaries = executables(&String::from_utf8_lossy(&output.stdout));
    if binaries.is_empty() {
        bail!("cargo named no test binary");
    }
    Ok(binaries)
}

/// The paths in cargo's messages about test binaries. Backslashes are the only thing that JSON escapes in a path.
fn executables(messages: &str) -> Vec<PathBuf> {
    let path =
        |line: &str| Some(line.split_once("\"executable\":\"")?.1.split('"').next()?.replace("\\\\", "\\").into());
    messages.lines().filter_map(path).collect()
}

/// The models of a binary, as it lists them.
fn list(binary: &Path) -> Result<String> {
    process::output(Command::new(binary).args(["models::", "--list"]))
}

/// Runs the binary itself, not cargo: the limit then excludes building, and killing it leaves no child.
fn run_model(binary: &Path, model: &Model, bug: Option<&str>) -> Result<(Ended, Duration)> {
    let mut command = Command::new(binary);
    command.args([&format!("models::{}", model.name), "--exact"]).current_dir(workspace::root());
    command
        .env("LOOM_MAX_PREEMPTIONS", model.preemptions.to_string())
        .env("CABRANK_SEEDED_BUG", bug.unwrap_or_default());
    // The stacks of a model's threads are too small for a backtrace.
    command.env("RUST_BACKTRACE", "0");
    let began = Instant::now();
    let ended = process::within(&mut command, LIMIT, &folder("loom").join("run.log"))?;
    Ok((ended, began.elapsed()))
}

/// Without a bug a model must run and hold.
fn hold(model: &Model, ended: &Ended) -> Result<()> {
    let Some(status) = ended.status else { bail!("{} did not end within {LIMIT:?}", model.name) };
    let held = ended.output.lines().any(|line| line == format!("test models::{} ... ok", model.name));
    if !status.success() || !held {
        bail!("{}\nthe model {} fails ({status})", ended.output, model.name);
    }
    Ok(())
}

/// The binary must have exactly the models of the table.
fn same_models(list: &str) -> Result<()> {
    let there: Vec<_> = list.lines().filter_map(|line| line.strip_prefix("models::")?.strip_suffix(": test")).collect();
    if let Some(model) = MODELS.iter().find(|model| !there.contains(&model.name)) {
        bail!("the model {} of the table does not exist", model.name);
    }
    if let Some(name) = there.iter().find(|name| !MODELS.iter().any(|model| model.name == **name)) {
        bail!("the model {name} has no seeded bug in the table in xtask/src/models/table.rs");
    }
    Ok(())
}

/// How the model caught its bug, by the first words of its panic, or why it did not.
fn caught(ended: &Ended) -> Result<&str, &'static str> {
    let Some(status) = ended.status else { return Err("it hung and was killed") };
    if !ended.output.lines().any(|line| line == "running 1 test") {
        return Err("no such model ran");
    }
    if status.success() {
        return Err("it passed");
    }
    let mut lines = ended.output.lines().skip_while(|line| !line.contains("panicked at"));
    let reason = lines.nth(1).ok_or("it died without a panic")?;
    // An assertion may print all that it compared.
    Ok(reason.char_indices().nth(WORDS).map_or(reason, |(end, _)| &reason[..end]))
}

/// The bugs seeded into the core must be exactly those of the table, or nothing would show that a model catches each.
fn same_bugs(files: &[workspace::File]) -> Result<()> {
    let core = || files.iter().filter(|file| file.path.starts_with("pool/"));
    for file in core() {
        for rest in file.text.split("seeded::bug(\"").skip(1) {
            let bug = rest.split('"').next().unwrap_or_default();
            if !MODELS.iter().any(|model| model.bug == bug) {
                bail!("{}: the seeded bug `{bug}` is in no row of the table in xtask/src/models/table.rs", file.path);
            }
        }
    }
    let seeded = |bug: &str| core().any(|file| file.text.contains(&format!("seeded::bug(\"{bug}\")")));
    match MODELS.iter().find(|model| !seeded(model.bug)) {
        Some(model) => bail!("the bug {} of the table is seeded nowhere", model.bug),
        None => Ok(()),
    }
}

/// The target folder of a set of flags. In a shared one they would rebuild everything.
fn folder(name: &str) -> PathBuf {
    let folder = workspace::target().join(name);
    // The first use reports a failure, with the path.
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
    fn a_model_holds_only_if_it_ran_and_passed() {
        let model = &MODELS[0];
        let passed = format!("test models::{} ... ok\n", model.name);
        assert!(hold(model, &ended(0, &passed)).is_ok());
        assert!(hold(model, &ended(101, &passed)).is_err());
        assert!(hold(model, &ended(0, "running 0 tests\n")).is_err());
        assert!(hold(model, &Ended { status: None, output: passed }).is_err());
    }

    #[test]
    fn the_models_that_there_are_and_those_of_the_table_are_the_same() {
        let all: String = MODELS.iter().map(|model| format!("models::{}: test\n", model.name)).collect();
        assert!(same_models(&all).is_ok());
        assert!(same_models(all.split_once('\n').unwrap().1).is_err());
        assert!(same_models(&format!("{all}models::new: test\n")).is_err());
    }

    #[test]
    fn the_bugs_that_are_seeded_and_those_of_the_table_are_the_same() {
        let file = |text: String| workspace::File { path: "pool/src/state.rs".into(), text };
        let seeded = |bug: &str| format!("if seeded::{}(\"{bug}\") {{}}\n", "bug");
        let all: String = MODELS.iter().map(|model| seeded(model.bug)).collect();
        assert!(same_bugs(&[file(all.clone())]).is_ok());
        assert!(same_bugs(&[file(all.clone() + &seeded("unheard_of"))]).is_err());
        assert!(same_bugs(&[file(all.split_once('\n').unwrap().1.into())]).is_err());
    }

    #[test]
    fn the_test_binaries_are_read_from_what_cargo_says() {
        let messages =
            "{\"executable\":null}\n{\"executable\":\"C:\\\\x\\\\y.exe\",\"fresh\":true}\n{\"executable\":\"/z\"}\n";
        assert_eq!(executables(messages), [PathBuf::from("C:\\x\\y.exe"), PathBuf::from("/z")]);
        assert!(executables("{}").is_empty());
    }
}
