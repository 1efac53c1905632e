//! A server that speaks enough of the protocol for an opening, a check and a reset, and plays states that real servers rarely have:
//! read-only, full, detached from a cluster.

use std::io;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// Listens on its address until the process ends.
pub(super) struct Fake {
    pub(super) address: SocketAddr,
    server: Arc<Server>,
}

#[derive(Default)]
struct Server {
    read_only: AtomicBool,
    full: AtomicBool,
    in_cluster: AtomicBool,
    detached: AtomicBool,
    log_ins: AtomicU32,
    texts: Mutex<Vec<String>>,
}

impl Fake {
    pub(super) fn start() -> Self {
        Self::behind(TcpListener::bind("127.0.0.2:0").expect("a port"))
    }

    /// Two of them, on different addresses and the same port, like the addresses of one name.
    pub(super) fn two() -> [Self; 2] {
        let (one, other) = two_listeners();
        [Self::behind(one), Self::behind(other)]
    }

    pub(super) fn behind(listener: TcpListener) -> Self {
        let (address, server) = (listener.local_addr().expect("an address"), Arc::new(Server::default()));
        let served = Arc::clone(&server);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let server = Arc::clone(&served);
                thread::spawn(move || server.serve(&mut Wire { stream: client, number: 0 }));
            }
        });
        Self { address, server }
    }

    pub(super) fn read_only(self) -> Self {
        self.set_read_only(true);
        self
    }

    pub(super) fn full(self) -> Self {
        self.server.full.store(true, Ordering::SeqCst);
        self
    }

    pub(super) fn in_cluster(self) -> Self {
        self.server.in_cluster.store(true, Ordering::SeqCst);
        self
    }

    pub(super) fn set_read_only(&self, read_only: bool) {
        self.server.read_only.store(read_only, Ordering::SeqCst);
    }

    pub(super) fn set_detached(&self, detached: bool) {
        self.server.detached.store(detached, Ordering::SeqCst);
    }

    /// The number of clients that have connected.
    pub(super) fn log_ins(&self) -> u32 {
        self.server.log_ins.load(Ordering::SeqCst)
    }

    /// The number of received texts that contain `part`. Each is one round trip.
    pub(super) fn texts(&self, part: &str) -> usize {
        self.server.texts.lock().expect("no panic").iter().filter(|text| text.contains(part)).count()
    }
}

/// Listeners on different addresses, at the same port.
pub(super) fn two_listeners() -> (TcpListener, TcpListener) {
    loop {
        let one = TcpListener::bind("127.0.0.2:0").expect("a port");
        let other = SocketAddr::new(IpAddr::from([127, 0, 0, 3]), one.local_addr().expect("an address").port());
        if let Ok(other) = TcpListener::bind(other) {
            return (one, other);
        }
    }
}

impl Server {
    fn serve(&self, wire: &mut Wire) -> io::Result<()> {
        let number = self.log_ins.fetch_add(1, Ordering::SeqCst) + 1;
        if self.full.load(Ordering::SeqCst) {
            return wire.refuse(1040, "Too many connections");
        }
        wire.send(&greeting(number))?;
        wire.receive()?;
        wire.send(&ok(false))?;
        loop {
            let command = wire.receive()?;
            match command.split_first() {
                Some((&QUIT, _)) | None => return Ok(()),
                Some((&QUERY, text)) => self.answer(wire, &String::from_utf8_lossy(text))?,
                Some(_) => wire.send(&ok(false))?,
            }
        }
    }

    /// Answers each statement of a text, until one is refused.
    fn answer(&self, wire: &mut Wire, text: &str) -> io::Result<()> {
        self.texts.lock().expect("no panic").push(text.to_owned());
        let statements: Vec<&str> = text.split(';').map(str::trim).filter(|statement| !statement.is_empty()).collect();
        for (place, statement) in statements.iter().enumerate() {
            let more = place + 1 < statements.len();
            let is_allowed = ["SELECT", "SHOW", "SET"].iter().any(|word| statement.starts_with(word));
            if self.detached.load(Ordering::SeqCst) && !is_allowed {
                return wire.refuse(1047, "WSREP has not yet prepared node for application use");
            }
            if self.read_only.load(Ordering::SeqCst) && statement.starts_with("INSERT") {
                return wire.refuse(1290, "The MySQL server is running with the --read-only option");
            }
            match self.row(statement) {
                Some(row) => wire.rows(&row, more)?,
                None => wire.send(&ok(more))?,
            }
        }
        Ok(())
    }

    /// The answer to one of the adapter's queries.
    fn row(&self, statement: &str) -> Option<Vec<Option<String>>> {
        let shown = |is_on: &AtomicBool, names: [&str; 2]| {
            let name = names[usize::from(is_on.load(Ordering::SeqCst))];
            Some(name.to_owned())
        };
        let text = |text: &str| Some(text.to_owned());
        if statement.starts_with("SHOW STATUS") {
            return Some(vec![text("wsrep_ready"), shown(&self.detached, ["ON", "OFF"])]);
        }
        let asked = statement.strip_prefix("SELECT ")?;
        if asked.starts_with("@@character_set_client") {
            let in_cluster = shown(&self.in_cluster, ["0", "1"]);
            let charsets = [text("utf8mb4"), text("utf8mb4"), text("utf8mb4_general_ci")];
            return Some([&charsets[..], &[text("0"), text("4194304"), in_cluster]].concat());
        }
        let (nonce, rest) = asked.split_once(", ")?;
        // Is a transaction open?
        if rest == "FALSE" {
            return Some(vec![text(nonce), text("0")]);
        }
        let read_only = shown(&self.read_only, ["0", "1"]);
        rest.starts_with("CURRENT_USER()")
            .then(|| vec![text(nonce), text("app@%"), None, None, text("1"), read_only, None, text("0")])
    }
}

struct Wire {
    stream: TcpStream,
    /// Of the next packet.
    number: u8,
}

impl Wire {
    fn receive(&mut self) -> io::Result<Vec<u8>> {
        let mut head = [0; 4];
        self.stream.read_exact(&mut head)?;
        let mut packet = vec![0; usize::from(head[0]) + (usize::from(head[1]) << 8) + (usize::from(head[2]) << 16)];
        self.stream.read_exact(&mut packet)?;
        self.number = head[3].wrapping_add(1);
        Ok(packet)
    }

    fn send(&mut self, packet: &[u8]) -> io::Result<()> {
        let length = u32::try_from(packet.len()).expect("a short packet").to_le_bytes();
        self.stream.write_all(&[&length[..3], &[self.number], packet].concat())?;
        self.number = self.number.wrapping_add(1);
        Ok(())
    }

    fn refuse(&mut self, code: u16, message: &str) -> io::Result<()> {
        self.send(&[&[0xff], &code.to_le_bytes()[..], b"#HY000", message.as_bytes()].concat())
    }

    /// One row of text values.
    fn rows(&mut self, row: &[Option<String>], more: bool) -> io::Result<()> {
        self.send(&[byte(row.len())])?;
        for _ in row {
            let names = [&b"\x03def"[..], &[0, 0, 0, 1], b"x", &[1], b"x"].concat();
            let kind = [12, 45, 0, 255, 0, 0, 0, VAR_STRING, 0, 0, 0, 0, 0];
            self.send(&[&names[..], &kind].concat())?;
        }
        self.send(&end(false))?;
        let values = row.iter().map(|value| match value {
            Some(value) => [&[byte(value.len())], value.as_bytes()].concat(),
            None => vec![NULL],
        });
        self.send(&values.collect::<Vec<_>>().concat())?;
        self.send(&end(more))
    }
}

fn greeting(number: u32) -> Vec<u8> {
    let [a, b, c, d] = CAPABILITIES.to_le_bytes();
    let scramble = b"abcdefghijklmnopqrst";
    [
        &b"\x0a8.0.36\0"[..],
        &number.to_le_bytes(),
        &scramble[..8],
        &[0, a, b, 45, 2, 0, c, d, 21],
        &[0; 10],
        &scramble[8..],
        b"\0mysql_native_password\0",
    ]
    .concat()
}

fn ok(more: bool) -> [u8; 7] {
    [0, 0, 0, status(more), 0, 0, 0]
}

fn end(more: bool) -> [u8; 5] {
    [0xfe, 0, 0, status(more), 0]
}

/// Autocommit, and whether more results follow.
fn status(more: bool) -> u8 {
    2 | if more { 8 } else { 0 }
}

fn byte(length: usize) -> u8 {
    u8::try_from(length).expect("less than 251")
}

/// Long password, long flags, protocol 4.1, transactions, secure log-in, several statements and results, authentication plugins.
const CAPABILITIES: u32 = 0x1 | 0x4 | 0x200 | 0x2000 | 0x8000 | 0x1_0000 | 0x2_0000 | 0x8_0000;
const QUIT: u8 = 1;
const QUERY: u8 = 3;
const VAR_STRING: u8 = 0xfd;
const NULL: u8 = 0xfb;
