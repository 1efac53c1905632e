//! A server's container: started, stopped, paused, and reliably removed. Works around gaps in testcontainers' blocking API. `server`
//! determines when the server is ready.

use crate::launch::Launch;
use anyhow::{Context as _, Result, bail};
use std::future::Future;
use std::net::TcpListener;
use std::pin::pin;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use std::{fs, iter};
use testcontainers::core::{CmdWaitFor, ExecCommand, Host, IntoContainerPort};
use testcontainers::runners::SyncRunner;
use testcontainers::{ContainerRequest, GenericImage, ImageExt};

/// A running container with one port, which stays the same when it is stopped and started.
#[derive(Debug)]
pub struct Container {
    /// `None` once it is removed. The lock prevents a pause during a restart by another thread.
    inner: Mutex<Option<testcontainers::Container<GenericImage>>>,
    host: String,
    port: u16,
}

impl Container {
    /// Starts an image, and publishes its port on this machine only.
    pub fn start(launch: &Launch) -> Result<Self> {
        let Launch { image, port: inside, variables, arguments, entrypoint, .. } = launch;
        let (name, tag) = match image.rsplit_once(':') {
            // A colon before a slash belongs to a registry's port.
            Some((name, tag)) if !tag.contains('/') => (name, tag),
            _ => (image.as_str(), "latest"),
        };
        let mut tries = 0;
        loop {
            tries += 1;
            let port = free_port()?;
            // Published explicitly: Docker would choose another port at each start.
            let request = match entrypoint {
                Some(entrypoint) => {
                    let request = GenericImage::new(name, tag).with_entrypoint(entrypoint);
                    request.with_host("host.docker.internal", Host::HostGateway)
                }
                None => GenericImage::new(name, tag).into(),
            };
            let request = request.with_mapped_port(port, inside.tcp());
            let request = request.with_label(LABEL, owner()).with_startup_timeout(Duration::from_secs(120));
            let request = variables.iter().fold(request, |request, (name, value)| request.with_env_var(*name, value));
            let request = request.with_cmd(arguments.iter().copied());
            match with_loopback(request).start() {
                Ok(container) => {
                    let host = container.get_host()?.to_string();
                    // `localhost` may resolve to ::1 first, where another port may be published.
                    let host = if host == "localhost" { "127.0.0.1".into() } else { host };
                    return Ok(Self { inner: Mutex::new(Some(container)), host, port });
                }
                // Another process took the port between our look and Docker's binding.
                Err(error) if tries < 5 && format!("{error:?}").contains("already") => {}
                Err(error) => return Err(error).with_context(|| format!("cannot start a container of {image}")),
            }
        }
    }

    /// The address at which its port is published.
    pub fn address(&self) -> (&str, u16) {
        (&self.host, self.port)
    }

    /// Its address on Docker's own network, for another container.
    pub fn inner_address(&self) -> Result<String> {
        // Not through `get_bridge_ip_address`, which asks older engines for a network named "default" and finds none. Not every image has
        // the first command.
        let said = self.script("hostname -i 2>/dev/null || getent hosts \"$(cat /etc/hostname)\"", &[])?;
        Ok(said.split_whitespace().next().context("it has no address")?.to_owned())
    }

    /// The output of a script that `sh` runs in it; the arguments are `$1` and so on. If the script fails, an error with its standard
    /// error.
    pub fn script(&self, script: &str, arguments: &[&str]) -> Result<String> {
        let command = [&["sh", "-c", script, "sh"], arguments].concat();
        let command = ExecCommand::new(command).with_cmd_ready_condition(CmdWaitFor::exit());
        self.with(|container| {
            let mut ended = container.exec(command)?;
            let said = String::from_utf8_lossy(&ended.stdout_to_vec()?).trim().to_owned();
            match ended.exit_code()? {
                Some(0) => Ok(said),
                _ => bail!("{}", String::from_utf8_lossy(&ended.stderr_to_vec()?).trim()),
            }
        })
    }

    /// Its id in Docker.
    pub(crate) fn id(&self) -> Result<String> {
        self.with(|container| Ok(container.id().to_owned()))
    }

    /// Asks the server to end, and kills it after ten seconds.
    pub fn stop(&self) -> Result<()> {
        self.with(|container| Ok(container.stop_with_timeout(Some(10))?))
    }

    /// Kills the server.
    pub fn kill(&self) -> Result<()> {
        self.with(|container| Ok(container.stop_with_timeout(Some(0))?))
    }

    /// Starts it again, on its old data and port. Does not wait until the server is ready.
    pub fn start_again(&self) -> Result<()> {
        self.with(|container| Ok(container.start()?))
    }

    /// Freezes all its processes: connections stay open, and nothing answers.
    pub fn pause(&self) -> Result<()> {
        self.with(|container| {
            let mut tries = 0;
            loop {
                tries += 1;
                match poll_once(container.pause()) {
                    // On a busy machine the kernel may not freeze all of them within Docker's time limit.
                    Err(error) if tries < 5 && format!("{error:?}").contains("unable to freeze") => {}
                    paused => return Ok(paused?),
                }
            }
        })
    }

    /// Lets them continue.
    pub fn unpause(&self) -> Result<()> {
        self.with(|container| Ok(poll_once(container.unpause())?))
    }

    /// Returns whether its server is running, or paused.
    pub fn is_running(&self) -> Result<bool> {
        self.with(|container| Ok(container.is_running()?))
    }

    /// The last lines of the server's log, for a message.
    pub fn log(&self) -> String {
        let read = self.with(|container| Ok([container.stdout_to_vec()?, container.stderr_to_vec()?].concat()));
        let text = String::from_utf8_lossy(&read.unwrap_or_default()).into_owned();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// Removes it with its data. Later calls do nothing.
    pub fn remove(&self) -> Result<()> {
        let container = self.lock().take();
        container.map_or(Ok(()), |container| Ok(container.rm()?))
    }

    fn with<T>(&self, act: impl FnOnce(&testcontainers::Container<GenericImage>) -> Result<T>) -> Result<T> {
        act(self.lock().as_ref().context("the container is removed")?)
    }

    fn lock(&self) -> MutexGuard<'_, Option<testcontainers::Container<GenericImage>>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Publishes ports on this machine only, unless the daemon is on another one.
fn with_loopback(request: ContainerRequest<GenericImage>) -> ContainerRequest<GenericImage> {
    if std::env::var("DOCKER_HOST").is_ok_and(|host| is_elsewhere(&host)) {
        return request;
    }
    request.with_host_config_modifier(|config| {
        let bindings = config.port_bindings.iter_mut().flat_map(|ports| ports.values_mut()).flatten().flatten();
        bindings.for_each(|binding| binding.host_ip = Some("127.0.0.1".into()));
    })
}

/// Whether the daemon is on another machine.
fn is_elsewhere(docker_host: &str) -> bool {
    let Some((scheme, rest)) = docker_host.split_once("://") else { return false };
    let host = rest.split('/').next().unwrap_or_default().rsplit('@').next().unwrap_or_default();
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
    scheme != "unix" && scheme != "npipe" && !matches!(host, "localhost" | "127.0.0.1" | "")
}

/// A free port below those that the system gives to outgoing connections, which come and go while a server restarts. No port is returned
/// twice, because a container whose port is taken is left behind, created but not started.
fn free_port() -> Result<u16> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Other processes on this machine begin elsewhere.
    let begin = std::process::id() as u16 % PORTS;
    let mut ports = iter::repeat_with(|| 20_000 + (begin + NEXT.fetch_add(1, Ordering::Relaxed)) % PORTS);
    let mut few = ports.by_ref().take(usize::from(PORTS));
    few.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).context("no port is free between 20000 and 32000")
}

/// The blocking `pause` and `unpause` are `async` by mistake: they do all their work in the first poll, and none without it.
fn poll_once<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("its work is done when it is first polled"),
    }
}

const PORTS: u16 = 12_000;

/// By this label and its value, `host:process`, `cargo xtask test` finds containers whose owner was killed.
pub(crate) const LABEL: &str = "cabrank-tests";

pub(crate) fn owner() -> String {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = if host.trim().is_empty() { "localhost" } else { host.trim() };
    format!("{host}:{}", std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daemon_on_another_machine_is_told_from_one_here() {
        assert!(!is_elsewhere("unix:///var/run/docker.sock"));
        assert!(!is_elsewhere("tcp://127.0.0.1:2375"));
        assert!(is_elsewhere("tcp://box:2375"));
        assert!(is_elsewhere("ssh://me@box"));
    }
}
