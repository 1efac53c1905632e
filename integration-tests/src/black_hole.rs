//! Established connections into a black hole: their traffic, in both directions, is dropped silently in the network namespace of the
//! server's container. New connections work. A firewall that has forgotten its flows has the same effect.
//!
//! Needs root, Docker's own command, `nsenter`, and `nft` or `iptables`; nothing is installed.

use crate::container::Container;
use anyhow::{Context, Result, bail};
use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// Swallows the connections for as long as it lives.
#[derive(Debug)]
pub struct BlackHole {
    /// The process in whose network namespace it is.
    process: String,
    tool: &'static Tool,
    name: String,
}

impl BlackHole {
    /// Swallows the connections to this container from these ports. The error states what this machine lacks.
    pub fn swallow(container: &Container, ports: &[u16]) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let id = container.id()?;
        let output = Command::new("docker").args(["inspect", "--format", "{{.State.Pid}}", &id]).output();
        let process = text_of(output.context("Docker's own command is missing")?)?;
        let name = format!("cabrank_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let mut lacking = Vec::new();
        for tool in &TOOLS {
            let hole = Self { process: process.clone(), tool, name: name.clone() };
            match hole.run(&(tool.dig)(&hole.name, ports)) {
                Ok(()) => return Ok(hole),
                Err(error) => {
                    // Nothing was dug, so nothing needs to be filled in.
                    std::mem::forget(hole);
                    lacking.push(format!("{error:#}"));
                }
            }
        }
        bail!("no connection can be black-holed: {}", lacking.join("; "))
    }

    fn run(&self, script: &str) -> Result<()> {
        let Tool { command, .. } = self.tool;
        let mut child = Command::new("nsenter")
            .arg(format!("--net=/proc/{}/ns/net", self.process))
            .args(*command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("nsenter is missing")?;
        // If the write fails, the program's own message has the reason.
        let _ = child.stdin.take().expect("it is piped").write_all(script.as_bytes());
        text_of(child.wait_with_output()?).with_context(|| command.join(" ")).map(drop)
    }
}

impl Drop for BlackHole {
    fn drop(&mut self) {
        if let Err(error) = self.run(&(self.tool.fill)(&self.name)) {
            eprintln!("a black hole stays open until its container is gone: {error:#}");
        }
    }
}

/// A packet filter that reads a script.
#[derive(Debug)]
struct Tool {
    command: &'static [&'static str],
    /// From the hole's name and the clients' ports.
    dig: fn(&str, &[u16]) -> String,
    fill: fn(&str) -> String,
}

const TOOLS: [Tool; 2] = [
    Tool {
        command: &["nft", "-f", "-"],
        dig: |name, ports| {
            let ports = ports.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
            let chain = |hook: &str, end: &str| {
                format!("chain {hook} {{ type filter hook {hook} priority 0; tcp {end} {{ {ports} }} drop; }}\n")
            };
            format!("table inet {name} {{\n{}{}}}\n", chain("input", "sport"), chain("output", "dport"))
        },
        fill: |name| format!("delete table inet {name}\n"),
    },
    Tool {
        command: &["iptables-restore", "--noflush"],
        dig: |name, ports| {
            let drops = ports.iter().map(|port| {
                format!("-A {name} -p tcp --sport {port} -j DROP\n-A {name} -p tcp --dport {port} -j DROP\n")
            });
            format!(
                "*filter\n:{name} - [0:0]\n{}-I INPUT -j {name}\n-I OUTPUT -j {name}\nCOMMIT\n",
                drops.collect::<String>()
            )
        },
        fill: |name| format!("*filter\n-D INPUT -j {name}\n-D OUTPUT -j {name}\n-F {name}\n-X {name}\nCOMMIT\n"),
    },
];

fn text_of(output: Output) -> Result<String> {
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
