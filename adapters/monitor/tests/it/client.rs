//! A client with hand-written requests, which can read slowly.

use cabrank::Pool;
use cabrank_monitor::{Listening, Monitor, Pools, Recorder};
use cabrank_testing::fake::{FakeManager, FakeServer};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A complete answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        let found = self.head.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }
}

/// A pool with a recorder of events, and a page that shows it.
pub(crate) fn page(server: &FakeServer, name: &str, max_size: u32) -> (Pool<FakeManager>, Monitor, Listening) {
    let recorder = Recorder::new();
    let pool = Pool::builder()
        .name(name)
        .max_size(max_size)
        .event_handler(recorder.clone())
        .acquire_timeout(Duration::from_secs(30))
        .build_lazy(server.manager())
        .unwrap();
    let monitor = Monitor::new(Pools::new().with(&pool).with_events(&recorder));
    let listening = monitor.listen("127.0.0.1:0").unwrap();
    (pool, monitor, listening)
}

pub(crate) fn get(at: SocketAddr, path: &str) -> Answer {
    ask(at, &format!("GET {path} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n"))
}

/// Sends these bytes, and reads until the other side closes.
pub(crate) fn ask(at: SocketAddr, request: &str) -> Answer {
    let mut stream = connect(at);
    stream.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").expect("a head");
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).expect("a status").parse().unwrap();
    let pair = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned()));
    Answer { status, head: lines.filter_map(pair).collect(), body: body.to_owned() }
}

/// An open stream of looks.
pub(crate) struct Reader(BufReader<TcpStream>);

impl Reader {
    pub(crate) fn open(at: SocketAddr) -> Self {
        Self::try_open(at).expect("a stream")
    }

    /// `None`: refused.
    pub(crate) fn try_open(at: SocketAddr) -> Option<Self> {
        Self::open_at(at, "/looks")
    }

    pub(crate) fn open_at(at: SocketAddr, path: &str) -> Option<Self> {
        let mut stream = connect(at);
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {at}\r\n\r\n").unwrap();
        let mut reader = Self(BufReader::new(stream));
        reader.line().starts_with("HTTP/1.1 200").then_some(reader)
    }

    /// The next look. `None`: the stream has ended.
    pub(crate) fn look(&mut self) -> Option<Value> {
        loop {
            let line = self.line();
            // An empty chunk ends the stream, or the connection ends.
            if matches!(line.trim_end_matches(['\r', '\n']), "0") || line.is_empty() {
                return None;
            }
            // Other events, and the framing of the encoding, are skipped.
            let look = line.strip_prefix("data: ").map(|look| serde_json::from_str::<Value>(look).expect("JSON"));
            if let Some(look) = look.filter(|look| look["number"].is_u64()) {
                return Some(look);
            }
        }
    }

    /// The charts' data so far: it arrives before the first look.
    pub(crate) fn history(&mut self) -> Value {
        loop {
            let line = self.line();
            assert!(!line.is_empty(), "the stream has ended");
            if let Some(history) = line.strip_prefix("data: ") {
                return serde_json::from_str(history).expect("JSON");
            }
        }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        // A connection that the other side has reset has ended too.
        let _ = self.0.read_line(&mut line);
        line
    }
}

fn connect(at: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(at).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream
}
