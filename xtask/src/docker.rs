//! Makes sure that a Docker daemon answers, and removes the containers that killed test runs left on it.
//!
//! `images` provides the images; `integration-tests` starts the containers.

use crate::setup::{Tool, Unready};
use crate::{process, setup, workspace};
use anyhow::{Context, Result, bail};
use std::ffi::OsStr;
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

/// Every container that the tests start carries this label. Its value is `host:process`, the owner.
const LABEL: &str = "cabrank-tests";

/// Returns `Ok` once a daemon answers. With `install`, first installs Docker and starts its daemon where possible.
pub(crate) fn ready(install: bool) -> Result<()> {
    if answers() {
        return Ok(());
    }
    if let Ok(host) = env::var("DOCKER_HOST") {
        return Err(Unready(format!("DOCKER_HOST is {host}, and no Docker daemon answers there")).into());
    }
    setup::ready(&[Tool::Docker], install)?;
    // Where systemd or the like manages services, installing Docker has started it.
    if answers() {
        return Ok(());
    }
    if !(install && setup::root() && cfg!(target_os = "linux")) {
        let start = "    sudo systemctl start docker\nor, without systemd,\n    sudo dockerd &";
        let rights = "and make sure that you may use it: run `docker ps` (on Debian: sudo adduser $USER docker)";
        return Err(Unready(format!("no Docker daemon answers; to start one:\n{start}\n{rights}")).into());
    }
    start_daemon()
}

/// The `docker` command with these arguments. The command itself reads `DOCKER_HOST`.
pub(crate) fn docker<I: AsRef<OsStr>>(arguments: impl IntoIterator<Item = I>) -> Command {
    let mut command = Command::new("docker");
    command.args(arguments).current_dir(workspace::root());
    command
}

/// Removes the containers whose owner was killed before it could remove them. Returns how many.
pub(crate) fn sweep() -> Result<usize> {
    let filter = format!("label={LABEL}");
    let format = format!("{{{{.ID}}}} {{{{.Label \"{LABEL}\"}}}}");
    let list = process::output(&mut docker(["ps", "--all", "--filter", &filter, "--format", &format]))?;
    let (host, mut swept) = (host(), 0);
    for (id, owner) in list.lines().filter_map(|line| line.split_once(' ')) {
        if is_left_over(owner, &host, lives) {
            process::output(&mut docker(["rm", "--force", "--volumes", id]))?;
            swept += 1;
        }
    }
    Ok(swept)
}

/// Whether the owner is a dead process of this host. Other hosts on a remote daemon, and other live test runs, keep their containers.
fn is_left_over(owner: &str, host: &str, lives: impl Fn(&str) -> bool) -> bool {
    owner.rsplit_once(':').is_some_and(|(theirs, process)| theirs == host && !lives(process))
}

fn lives(process: &str) -> bool {
    if cfg!(target_os = "linux") {
        return Path::new("/proc").join(process).exists();
    }
    process::succeeds(Command::new("ps").args(["-p", process]))
}

/// Must match the host in the label that the tests' fixtures set.
fn host() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    if name.trim().is_empty() { "localhost".into() } else { name.trim().into() }
}

/// Whether a daemon answers.
pub(crate) fn answers() -> bool {
    process::succeeds(&mut docker(["version", "--format", "{{.Server.Version}}"]))
}

/// Starts the daemon where no service manager does. It outlives this program.
fn start_daemon() -> Result<()> {
    let log = workspace::target().join("dockerd.log");
    fs::create_dir_all(workspace::target())?;
    let file = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
    println!("no Docker daemon answers: starting dockerd, with its log in {}", log.display());
    let begun = Instant::now();
    let mut command = Command::new("dockerd");
    command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
    // In its own process group, Ctrl-C and the end of this program do not reach it.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let mut daemon = command.spawn().context("cannot start dockerd")?;
    while !answers() {
        if let Some(status) = daemon.try_wait()? {
            bail!("dockerd ended ({status}): {}", last_lines(&log));
        }
        if begun.elapsed() > PATIENCE {
            daemon.kill()?;
            bail!("dockerd did not answer within {PATIENCE:?}: {}", last_lines(&log));
        }
        thread::sleep(Duration::from_millis(200));
    }
    println!("dockerd answers after {:.1} s", begun.elapsed().as_secs_f64());
    Ok(())
}

fn last_lines(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(5)..].join("\n")
}

/// A daemon answers within a second or two unless the machine is very busy.
const PATIENCE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_containers_of_dead_owners_on_this_host_are_left_over() {
        let lives = |process: &str| process == "7";
        assert!(is_left_over("here:8", "here", lives));
        assert!(!is_left_over("here:7", "here", lives));
        assert!(!is_left_over("there:8", "here", lives));
        assert!(!is_left_over("no owner", "here", lives));
    }

    #[test]
    fn this_process_is_an_owner_that_lives() {
        let lives = |process: &str| process == std::process::id().to_string();
        let owner = format!("{}:{}", host(), std::process::id());
        assert!(!is_left_over(&owner, &host(), lives));
        assert!(is_left_over(&owner, &host(), |_| false));
    }
}
