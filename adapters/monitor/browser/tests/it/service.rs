//! The running example `web`: its process, and its database on a PostgreSQL behind a proxy that injects faults.

use cabrank_postgres::postgres::{Client, NoTls};
use cabrank_testing::harness::skip;
use cabrank_testing::{Proxy, eventually, servers};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use std::{io, process, thread};
use url::Url;

pub(crate) struct Service {
    process: Child,
    output: BufReader<ChildStdout>,
    pub(crate) address: SocketAddr,
    /// The proxy of its connections.
    pub(crate) proxy: Proxy,
    database: Database,
}

impl Service {
    /// Starts it, and waits until it has created its accounts. Skips the test without the program or a server.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let Some(program) = servers::variable("CABRANK_WEB") else {
            skip("the example `web` is built by `cargo xtask browser`, which names it in CABRANK_WEB");
        };
        let database = Database::new();
        let (proxy, url) = proxy_before(&database.url);
        let mut process = Command::new(program)
            .args(["--url", url.as_str(), "--listen", "127.0.0.1:0"])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it was built");
        let output = BufReader::new(process.stdout.take().expect("a pipe"));
        let mut service = Self { process, output, address: ([127, 0, 0, 1], 0).into(), proxy, database };
        let line = service.line();
        service.address = line.strip_prefix("listening on http://").expect(&line).parse().expect(&line);
        eventually("it has started", || service.ask("GET /started", "").is_ok_and(|answer| answer.status == 200));
        service
    }

    /// The next line that it prints.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("text");
        line.trim_end().to_owned()
    }

    pub(crate) fn terminate(&self) {
        let status = Command::new("kill").args(["-TERM", &self.process.id().to_string()]).status().expect("kill");
        assert!(status.success());
    }

    /// Waits for its end, and returns whether it succeeded.
    pub(crate) fn ends_well(&mut self) -> bool {
        self.process.wait().expect("a process").success()
    }

    /// A client that locks the table of accounts while it exists: nobody else reads or writes the table.
    pub(crate) fn locked(&self) -> Client {
        let mut client = self.database.client();
        client.batch_execute("BEGIN; LOCK TABLE cabrank_example_bank").expect("a lock");
        client
    }

    /// One request on a separate connection. Fails without an answer.
    pub(crate) fn ask(&self, what: &str, body: &str) -> io::Result<Answer> {
        ask(self.address, what, body)
    }

    /// Its answer to this path.
    pub(crate) fn json(&self, path: &str) -> Value {
        let answer = self.ask(&format!("GET {path}"), "").expect("an answer");
        serde_json::from_str(&answer.body).expect("JSON")
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // For a test that failed: has no effect on a process that has ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
        if thread::panicking() {
            let mut errors = String::new();
            let _ = self.process.stderr.as_mut().expect("a pipe").read_to_string(&mut errors);
            println!("the program's errors: {errors}");
        }
    }
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

pub(crate) fn ask(address: SocketAddr, what: &str, body: &str) -> io::Result<Answer> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let head = format!("{what} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n");
    stream.write_all(format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes())?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let answer = text
        .split_once("\r\n\r\n")
        .and_then(|(head, body)| Some(Answer { status: head.split(' ').nth(1)?.parse().ok()?, body: body.to_owned() }));
    answer.ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, format!("half an answer: {text:?}")))
}

/// A separate database, dropped with this value.
struct Database {
    url: Url,
    name: String,
    /// A client of the server, outside the database.
    admin: Client,
}

impl Database {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let url = servers::url("CABRANK_POSTGRES_URL").unwrap_or_else(|reason| skip(reason));
        let name = format!("cabrank_page_{}_{}", process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let mut admin = Client::connect(&url, NoTls).expect("a server that answers");
        admin.batch_execute(&format!("CREATE DATABASE {name}")).expect("a database");
        let mut url = Url::parse(&url).expect("CABRANK_POSTGRES_URL must be a URL");
        url.set_path(&name);
        Self { url, name, admin }
    }

    /// A client that bypasses the proxy.
    fn client(&self) -> Client {
        Client::connect(self.url.as_str(), NoTls).expect("a server that answers")
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let dropped = self.admin.batch_execute(&format!("DROP DATABASE {} WITH (FORCE)", self.name));
        assert!(dropped.is_ok() || thread::panicking(), "{dropped:?}");
    }
}

fn proxy_before(server: &Url) -> (Proxy, Url) {
    let address = (server.host_str().expect("a host"), server.port().unwrap_or(5432));
    let proxy =
        Proxy::start(address.to_socket_addrs().expect("an address").next().expect("one at least")).expect("a proxy");
    let mut url = server.clone();
    url.set_ip_host(proxy.address().ip()).expect("it had a host");
    url.set_port(Some(proxy.address().port())).expect("it had a port");
    (proxy, url)
}

/// Far longer than it ever takes, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
