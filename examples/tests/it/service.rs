//! The example `web` as a process, and a minimal HTTP client.

use crate::place::{PATIENCE, Place};
use cabrank_testing::eventually;
use serde_json::Value;
use std::io;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::thread;

pub(crate) struct Service {
    process: Child,
    output: BufReader<ChildStdout>,
    pub(crate) address: SocketAddr,
}

impl Service {
    /// Starts the service, and waits until it has created its accounts.
    pub(crate) fn start(place: &Place, arguments: &[&str]) -> Self {
        let service = Self::launch(&place.url, arguments);
        let started = || ask(service.address, "GET /started", "").is_ok_and(|answer| answer.status == 200);
        eventually("it has started", started);
        service
    }

    /// Starts the service on a free port, and waits until it listens.
    pub(crate) fn launch(url: &str, arguments: &[&str]) -> Self {
        Self::launch_at("127.0.0.1:0", url, arguments)
    }

    /// Like [`launch`](Self::launch), on this address.
    pub(crate) fn launch_at(listen: &str, url: &str, arguments: &[&str]) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_web"))
            .args(["--url", url, "--listen", listen])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the programs are built with the tests");
        let output = BufReader::new(process.stdout.take().expect("a pipe"));
        let mut service = Self { process, output, address: ([127, 0, 0, 1], 0).into() };
        let line = service.line();
        service.address = line.strip_prefix("listening on http://").expect(&line).parse().expect(&line);
        service
    }

    /// The next line of its output.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("text");
        line.trim_end().to_owned()
    }

    pub(crate) fn terminate(&self) {
        let status = Command::new("kill").args(["-TERM", &self.process.id().to_string()]).status().expect("kill");
        assert!(status.success());
    }

    /// Waits until the process ends.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        self.process.wait().expect("a process")
    }

    /// Its standard error, after the process has ended.
    pub(crate) fn errors(&mut self) -> String {
        let mut text = String::new();
        self.process.stderr.as_mut().expect("a pipe").read_to_string(&mut text).expect("text");
        text
    }

    pub(crate) fn stats(&self) -> Stats {
        let answer = ask(self.address, "GET /stats", "").expect("the numbers");
        Stats(serde_json::from_str(&answer.body).expect("JSON"))
    }

    /// The balances of accounts 1 to 10, in this order.
    pub(crate) fn balances(&self) -> Vec<i64> {
        let answer = ask(self.address, "GET /accounts", "").expect("the accounts");
        let rows: Vec<(i64, i64)> = serde_json::from_str(&answer.body).expect("JSON");
        rows.into_iter().map(|(_, balance)| balance).collect()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // For a test that failed. Does nothing to a process that has ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
        if thread::panicking() {
            println!("the program's errors: {}", self.errors());
        }
    }
}

pub(crate) struct Stats(Value);

impl Stats {
    pub(crate) fn get(&self, name: &str) -> u64 {
        self.0[name].as_u64().unwrap_or_else(|| panic!("no {name} in {}", self.0))
    }
}

/// A transfer between two accounts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Transfer {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) amount: i64,
}

impl Transfer {
    pub(crate) fn ask(self, address: SocketAddr) -> io::Result<Answer> {
        let Self { from, to, amount } = self;
        ask(address, "POST /transfers", &format!(r#"{{"from":{from},"to":{to},"amount":{amount}}}"#))
    }
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// Sends a request on its own connection. Fails unless a complete answer arrives.
pub(crate) fn ask(address: SocketAddr, what: &str, body: &str) -> io::Result<Answer> {
    let mut stream = begin(address, what, body)?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    parse(&text).ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, format!("half an answer: {text:?}")))
}

/// Sends a request and does not read the answer. Dropping the stream hangs up.
pub(crate) fn begin(address: SocketAddr, what: &str, body: &str) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let head = format!("{what} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n");
    stream.write_all(format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes())?;
    Ok(stream)
}

fn parse(text: &str) -> Option<Answer> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let head = head.to_lowercase();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let length: usize = head.lines().find_map(|line| line.strip_prefix("content-length: "))?.parse().ok()?;
    (body.len() == length).then(|| Answer { status, head, body: body.to_owned() })
}
