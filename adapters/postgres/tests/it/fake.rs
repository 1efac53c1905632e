//! A server without a database, for behaviour that no real server shows on demand: it accepts every log-in, reports a role, and counts.

use cabrank_postgres::postgres::Config;
use cabrank_postgres::postgres::config::SslMode;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{io, mem, thread};

/// Its sessions end with their clients, and dropping it frees its port.
pub(crate) struct Fake {
    shared: Arc<Shared>,
    address: SocketAddr,
}

/// The role that it plays.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Acts {
    Primary,
    Standby,
    /// Refuses each log-in with this SQLSTATE.
    Refusing(&'static str),
}

struct Shared {
    state: Mutex<State>,
    log_ins: AtomicUsize,
    questions: AtomicUsize,
}

struct State {
    acts: Acts,
    /// The role that it reports, if different: like a pooler that logged in long ago.
    shows: Option<Acts>,
    is_over: bool,
}

impl Fake {
    pub(crate) fn start(acts: Acts) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let address = listener.local_addr().expect("an address");
        let state = Mutex::new(State { acts, shows: None, is_over: false });
        let shared = Arc::new(Shared { state, log_ins: AtomicUsize::new(0), questions: AtomicUsize::new(0) });
        let own = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if own.lock().is_over {
                    return;
                }
                let (own, stream) = (Arc::clone(&own), stream.expect("a client"));
                // The client notices what goes wrong.
                thread::spawn(move || own.serve(stream));
            }
        });
        Self { shared, address }
    }

    pub(crate) fn set(&self, acts: Acts) {
        self.shared.lock().acts = acts;
    }

    /// From now on, whatever its real role.
    pub(crate) fn show(&self, shows: Acts) {
        self.shared.lock().shows = Some(shows);
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The number of log-ins, accepted or refused.
    pub(crate) fn log_ins(&self) -> usize {
        self.shared.log_ins.load(Ordering::SeqCst)
    }

    /// The number of queries for its role.
    pub(crate) fn questions(&self) -> usize {
        self.shared.questions.load(Ordering::SeqCst)
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.shared.lock().is_over = true;
        // The thread waits for the next client.
        drop(TcpStream::connect(self.address));
    }
}

/// Settings without hosts, for these servers.
pub(crate) fn settings() -> Config {
    let mut config = Config::new();
    config.user("nobody").ssl_mode(SslMode::Disable);
    config
}

/// The same, with these hosts in this order.
pub(crate) fn hosts<const N: usize>(addresses: [SocketAddr; N]) -> Config {
    let mut config = settings();
    for address in addresses {
        config.host(&address.ip().to_string()).port(address.port());
    }
    config
}

impl Shared {
    fn serve(&self, mut stream: TcpStream) -> io::Result<()> {
        let mut length = [0; 4];
        stream.read_exact(&mut length)?;
        read(&mut stream, u32::from_be_bytes(length) as usize - 4)?;
        self.log_ins.fetch_add(1, Ordering::SeqCst);
        let mut shown = self.shown();
        if let Acts::Refusing(code) = self.lock().acts {
            return stream.write_all(&error("FATAL", code));
        }
        let greeting = [message(b'R', &[0; 4]), role(shown), message(b'K', &[0; 8]), READY.to_vec()];
        stream.write_all(&greeting.concat())?;
        loop {
            let mut kind = [0];
            stream.read_exact(&mut kind)?;
            stream.read_exact(&mut length)?;
            let body = read(&mut stream, u32::from_be_bytes(length) as usize - 4)?;
            match kind[0] {
                b'Q' => {}
                b'X' => return Ok(()),
                _ => panic!("no message of this kind is understood: {}", char::from(kind[0])),
            }
            let changed = mem::replace(&mut shown, self.shown()) != shown;
            let told = if changed { role(shown) } else { Vec::new() };
            let said = self.answer(&String::from_utf8_lossy(&body));
            stream.write_all(&[said, told, READY.to_vec()].concat())?;
        }
    }

    /// Recognizes statements by their words alone.
    fn answer(&self, sql: &str) -> Vec<u8> {
        let mut said = Vec::new();
        if sql.contains("cabrank_in_recovery") {
            self.questions.fetch_add(1, Ordering::SeqCst);
            let columns = ["cabrank_in_recovery", "cabrank_read_only"];
            let in_recovery = if self.lock().acts == Acts::Standby { "t" } else { "f" };
            said.extend(row(&columns, &[in_recovery, "off"]));
        }
        if sql.starts_with("SHOW transaction_read_only") {
            let read_only = if self.lock().acts == Acts::Standby { "on" } else { "off" };
            said.extend(row(&["transaction_read_only"], &[read_only]));
        }
        if sql.starts_with("INSERT") && self.lock().acts == Acts::Standby {
            return error("ERROR", "25006");
        }
        let end = if sql == "\0" { message(b'I', b"") } else { message(b'C', b"SELECT 1\0") };
        said.extend(end);
        said
    }

    fn shown(&self) -> Acts {
        let state = self.lock();
        state.shows.unwrap_or(state.acts)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(stream: &mut TcpStream, length: usize) -> io::Result<Vec<u8>> {
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok(body)
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).expect("it is short");
    [&[kind], &length.to_be_bytes()[..], body].concat()
}

fn role(acts: Acts) -> Vec<u8> {
    let in_recovery: &[u8] = if acts == Acts::Standby { b"in_hot_standby\0on\0" } else { b"in_hot_standby\0off\0" };
    [message(b'S', in_recovery), message(b'S', b"default_transaction_read_only\0off\0")].concat()
}

fn error(severity: &str, code: &str) -> Vec<u8> {
    message(b'E', format!("S{severity}\0V{severity}\0C{code}\0Mno\0\0").as_bytes())
}

/// One row of text values.
fn row(columns: &[&str], values: &[&str]) -> Vec<u8> {
    let count = u16::try_from(columns.len()).expect("they are few").to_be_bytes();
    let (mut description, mut data) = (count.to_vec(), count.to_vec());
    for (column, value) in columns.iter().zip(values) {
        description.extend(column.as_bytes());
        // The end of the name; table 0, column 0, type 25 (text), any length, no modifier, text format.
        description.extend([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 25, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0]);
        data.extend(u32::try_from(value.len()).expect("it is short").to_be_bytes());
        data.extend(value.as_bytes());
    }
    [message(b'T', &description), message(b'D', &data)].concat()
}

/// Ready, with no transaction open.
const READY: &[u8] = b"Z\0\0\0\x05I";
