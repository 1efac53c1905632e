//! A Docker daemon that answers, and no container of ours left on it.
//!
//! Which images it needs belongs to `images`; starting containers is for `integration-tests`.
//! Here is only what comes before them and after them.

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

/// Ok once a daemon answers. If `install`, Docker is installed and its daemon started where that can be done.
pub(crate) fn ready(install: bool) -> Result<()> {
    if answers() {
        return Ok(());
    }
    if let Ok(host) = env::var("DOCKER_HOST") {
        return Err(Unready(format!("DOCKER_HOST is {host}, and no Docker daemon answers there")).into());
    }
    setup::ready(&[Tool::Docker], install)?;
    // Installing it has started it where something like systemd watches over services.
    if answers() {
        return Ok(());
    }
    if !(install && setup::root() && cfg!(target_os = "linux")) {
        let start = "    sudo systemctl start docker\nor, where no systemd runs,\n    sudo dockerd &";
        let rights = "and see that you may use it: `docker ps` as you (on Debian: sudo adduser $USER docker)";
        return Err(Unready(format!("no Docker daemon answers; to start one:\n{start}\n{rights}")).into());
    }
    start_daemon()
}

/// The `docker` command with these arguments. It honours `DOCKER_HOST` by itself.
pub(crate) fn docker<I: AsRef<OsStr>>(arguments: impl IntoIterator<Item = I>) -> Command {
    let mut command = Command::new("docker");
    command.args(arguments).current_dir(workspace::root());
    command
}

/// Removes the containers whose owner is gone: killed, so that it could not do it itself. Returns how many.
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

/// Others on a remote daemon keep what is theirs, and so do those who run their tests beside us.
fn is_left_over(owner: &str, host: &str, lives: impl Fn(&str) -> bool) -> bool {
    owner.rsplit_once(':').is_some_and(|(theirs, process)| theirs == host && !lives(process))
}

fn lives(process: &str) -> bool {
    if cfg!(target_os = "linux") {
        return Path::new("/proc").join(process).exists();
    }
    process::succeeds(Command::new("ps").args(["-p", process]))
}

/// Must be what the fixtures of the tests take for it.
fn host() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    if name.trim().is_empty() { "localhost".into() } else { name.trim().into() }
}

/// Whether there is a daemon.
pub(crate) fn answers() -> bool {
    process::succeeds(&mut docker(["version", "--format", "{{.Server.Version}}"]))
}

/// Starts the daemon where nothing watches over services. It stays when we end.
fn start_daemon() -> Result<()> {
    let log = workspace::target().join("dockerd.log");
    fs::create_dir_all(workspace::target())?;
    let file = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
    println!("no Docker daemon answers: starting dockerd, which writes to {}", log.display());
    let begun = Instant::now();
    let mut command = Command::new("dockerd");
    command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
    // Neither Ctrl-C nor the end of this program's group is meant for it.
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

/// It answers within a second or two unless the machine is very busy.
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
