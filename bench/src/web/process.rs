//! The process of a service: its start, its threads, its end.

use anyhow::{Context, Result};
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::{env, fs};

/// The process ends when this is dropped, because its input closes.
pub struct Service {
    process: Child,
    input: Option<ChildStdin>,
    pub address: SocketAddr,
}

impl Service {
    pub fn start(way: &str, size: u32, url: &str) -> Result<Self> {
        let mut command = Command::new(env::current_exe()?);
        command.args(["--serve", way, &size.to_string()]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().context("cannot start the service")?;
        let (input, output) = (process.stdin.take(), process.stdout.take().expect("piped"));
        let mut service = Self { process, input, address: ([127, 0, 0, 1], 0).into() };
        writeln!(service.input.as_mut().expect("piped"), "{url}")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        service.address = line.trim_end().parse().context("the service did not start")?;
        Ok(service)
    }

    pub fn threads(&self) -> Result<usize> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.process.id()));
        Ok(tasks.context("this system does not list threads")?.count())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.input = None;
        let _ = self.process.wait();
    }
}
