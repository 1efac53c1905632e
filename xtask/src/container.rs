//! A container that this program starts: labelled as its own, published on this machine alone, surely removed.
//!
//! What runs in it and when that is ready is for `images/server.rs` to know. What was killed before it could remove its
//! own is found by `docker::sweep`.

use crate::docker::docker;
use crate::{docker, process};
use anyhow::{Context, Result};
use std::env;
use std::process::{Child, Command, Stdio};

/// Removed with its data when dropped, and also when this program ends without: by Ctrl-C, or killed.
pub(crate) struct Container {
    id: String,
    /// `None` where there is no such shell.
    removal: Option<Child>,
}

impl Container {
    /// Starts an image. `options` are for `docker run`, `arguments` for what runs in it.
    pub(crate) fn start(image: &str, options: &[String], arguments: &[&str]) -> Result<Self> {
        let label = format!("{}={}", docker::LABEL, docker::owner());
        let mut command = docker(["run", "--detach", "--label", &label]);
        let id = process::output(command.args(options).arg(image).args(arguments))?.trim().to_owned();
        Ok(Self { removal: removal(&id), id })
    }

    /// The option that publishes a port, on a number that Docker chooses.
    pub(crate) fn publish(port: u16) -> String {
        let address = if remote().is_some() { "" } else { "127.0.0.1" };
        format!("--publish={address}::{port}")
    }

    /// Where a port that is published can be reached, as `host:port`.
    pub(crate) fn published(&self, port: u16) -> Result<String> {
        let said = process::output(&mut docker(["port", &self.id, &format!("{port}/tcp")]))?;
        let number = said.lines().next().and_then(|line| line.rsplit_once(':')).map(|(_, number)| number.trim());
        let number = number.with_context(|| format!("port {port} is not published"))?;
        Ok(format!("{}:{number}", remote().as_deref().unwrap_or("127.0.0.1")))
    }

    /// What a script says that runs in it by `sh`; its arguments are `$1` and so on.
    pub(crate) fn script(&self, script: &str, arguments: &[&str]) -> Result<String> {
        let said = process::output(docker(["exec", &self.id, "sh", "-c", script, "sh"]).args(arguments))?;
        Ok(said.trim().to_owned())
    }

    /// Its address on Docker's own network.
    pub(crate) fn address(&self) -> Result<String> {
        // Not every image has the first command.
        let said = self.script("hostname -i 2>/dev/null || getent hosts \"$(cat /etc/hostname)\"", &[])?;
        Ok(said.split_whitespace().next().context("it has no address")?.to_owned())
    }

    /// False once what runs in it has ended.
    pub(crate) fn runs(&self) -> bool {
        let said = process::output(&mut docker(["inspect", "--format", "{{.State.Running}}", &self.id]));
        said.is_ok_and(|said| said.trim() == "true")
    }

    /// The last lines that the server wrote, for a message.
    pub(crate) fn log(&self) -> String {
        let said = docker(["logs", "--tail", "20", &self.id]).output();
        said.map(|said| [said.stdout, said.stderr].concat())
            .map_or_else(|error| error.to_string(), |text| String::from_utf8_lossy(&text).into_owned())
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let removed = self.removal.take().is_some_and(|mut shell| {
            drop(shell.stdin.take());
            shell.wait().is_ok_and(|status| status.success())
        });
        if !removed && process::output(&mut docker(["rm", "--force", "--volumes", &self.id])).is_err() {
            eprintln!("container {} stays behind", self.id);
        }
    }
}

/// A shell that removes the container as soon as its input ends: when we let go of it, or are no more. It has a group
/// of its own, where Ctrl-C does not reach it.
#[cfg(unix)]
fn removal(id: &str) -> Option<Child> {
    let mut shell = Command::new("sh");
    shell.args(["-c", "cat >/dev/null; exec docker rm --force --volumes \"$1\"", "sh", id]);
    shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    std::os::unix::process::CommandExt::process_group(&mut shell, 0).spawn().ok()
}

#[cfg(not(unix))]
fn removal(_: &str) -> Option<Child> {
    None
}

/// The host of the daemon, where that is not this machine.
fn remote() -> Option<String> {
    host_of(&env::var("DOCKER_HOST").ok()?)
}

fn host_of(docker_host: &str) -> Option<String> {
    let (scheme, rest) = docker_host.split_once("://")?;
    if scheme == "unix" || scheme == "npipe" {
        return None;
    }
    let host = rest.split('/').next()?.rsplit('@').next()?;
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
    (!matches!(host, "localhost" | "127.0.0.1" | "")).then(|| host.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daemon_on_another_machine_is_told_from_one_here() {
        assert_eq!(host_of("unix:///var/run/docker.sock"), None);
        assert_eq!(host_of("tcp://127.0.0.1:2375"), None);
        assert_eq!(host_of("tcp://box:2375").as_deref(), Some("box"));
        assert_eq!(host_of("ssh://me@box").as_deref(), Some("box"));
    }
}
