//! One connection: the client's socket, the server's socket, and the traffic between them.

use super::fault::Verdict;
use super::framing::{Message, Scanner, Step};
use super::relay::Relay;
use super::{Way, fault};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use std::{io, thread};

/// Both sockets. They are closed when the last thread drops it.
#[derive(Debug)]
pub(super) struct Connection {
    client: TcpStream,
    server: TcpStream,
    /// Set when it is closed or reset: both threads then drop their bytes and end.
    dead: AtomicBool,
    /// Nothing passes any more.
    swallows: AtomicBool,
    /// One for each direction, created when its first byte passes.
    readers: [Mutex<Option<Reader>>; 2],
}

/// Counts the messages of one direction.
#[derive(Debug)]
struct Reader {
    scanner: Scanner,
    /// The message being read.
    message: Message,
}

impl Connection {
    pub(super) fn new(client: TcpStream, server: TcpStream) -> io::Result<Self> {
        for stream in [&client, &server] {
            stream.set_nodelay(true)?;
            // Lets a writer whose peer does not read notice the end.
            stream.set_write_timeout(Some(Duration::from_millis(50)))?;
        }
        let (dead, swallows) = (AtomicBool::new(false), AtomicBool::new(false));
        Ok(Self { client, server, dead, swallows, readers: Default::default() })
    }

    pub(super) fn half_close(&self, way: Way) {
        let _ = self.receiver(way).shutdown(Shutdown::Write);
    }

    pub(super) fn swallow(&self) {
        self.swallows.store(true, Ordering::SeqCst);
    }

    pub(super) fn close(&self) {
        self.end(Shutdown::Both);
    }

    /// Ends both threads, and makes closing send a reset instead of an orderly end.
    #[cfg(feature = "reset")]
    pub(super) fn reset(&self) {
        reset_when_closed(&self.client);
        reset_when_closed(&self.server);
        // Wakes the reading threads, and sends nothing to the peers.
        self.end(Shutdown::Read);
    }

    fn end(&self, how: Shutdown) {
        self.dead.store(true, Ordering::SeqCst);
        let _ = self.client.shutdown(how);
        let _ = self.server.shutdown(how);
    }

    /// Stays silent until the client leaves or the connection is ended.
    pub(super) fn wait_for_end(&self) {
        let mut buffer = [0; 4096];
        while matches!((&self.client).read(&mut buffer), Ok(1..)) {}
    }

    /// Forwards the bytes of one direction until its end.
    pub(super) fn pump(&self, way: Way, relay: &Relay) {
        let mut buffer = [0; 16 * 1024];
        let mut before = Vec::new();
        loop {
            let (from, to) = (self.sender(way), self.receiver(way));
            let len = match { from }.read(&mut buffer) {
                Ok(len @ 1..) => len,
                Ok(0) | Err(_) if !self.is_dead() => {
                    relay.lock().counts.traffic(way).ends += 1;
                    // The end passes like any byte, behind everything that a stall holds back.
                    let _ = self.permission(way, &before, &mut [], relay);
                    if !self.is_dead() {
                        let _ = to.shutdown(Shutdown::Write);
                    }
                    return;
                }
                _ => return,
            };
            let mut rest = &mut buffer[..len];
            while !rest.is_empty() && !self.swallows.load(Ordering::SeqCst) {
                let Some((bytes, last)) = self.permission(way, &before, rest, relay) else { return };
                let (now, later) = rest.split_at_mut(bytes);
                remember(&mut before, now);
                self.count(way, now, relay);
                if self.write(to, now).is_err() {
                    // The receiver is gone; the sender notices by the end of its connection.
                    let _ = from.shutdown(Shutdown::Both);
                    return;
                }
                if last {
                    self.close();
                    return;
                }
                rest = later;
            }
        }
    }

    fn sender(&self, way: Way) -> &TcpStream {
        match way {
            Way::ToServer => &self.client,
            Way::ToClient => &self.server,
        }
    }

    fn receiver(&self, way: Way) -> &TcpStream {
        match way {
            Way::ToServer => &self.server,
            Way::ToClient => &self.client,
        }
    }

    fn is_dead(&self) -> bool {
        self.dead.load(Ordering::SeqCst)
    }

    /// Waits until some of the bytes may pass. Returns how many, and whether they are the last, or `None` once the connection is dead.
    fn permission(&self, way: Way, before: &[u8], bytes: &mut [u8], relay: &Relay) -> Option<(usize, bool)> {
        let mut state = relay.lock();
        while !self.is_dead() {
            match fault::judge(&mut state, way, before, bytes) {
                Verdict::Wait => state = relay.wait(state),
                Verdict::Late(delay) => {
                    drop(state);
                    thread::sleep(delay);
                    return Some((bytes.len(), false));
                }
                Verdict::Pass { bytes, last } => return Some((bytes, last)),
            }
        }
        None
    }

    fn count(&self, way: Way, bytes: &[u8], relay: &Relay) {
        let mut reader = self.readers[way as usize].lock().unwrap_or_else(PoisonError::into_inner);
        let Reader { scanner, message } = reader.get_or_insert_with(|| Reader::new(relay, way));
        let mut state = relay.lock();
        let state = &mut *state;
        let traffic = state.counts.traffic(way);
        let mut kept = state.messages.as_mut().filter(|_| way == Way::ToServer);
        traffic.bytes += bytes.len() as u64;
        scanner.scan(bytes, |step| match step {
            Step::Begin(kind) => {
                traffic.messages += 1;
                if let Some(kind) = kind {
                    *traffic.by_type.entry(kind).or_default() += 1;
                }
                *message = Message { kind, body: Vec::new() };
            }
            Step::Body(part) if kept.is_some() => message.body.extend_from_slice(part),
            Step::Body(_) => {}
            Step::End => kept.iter_mut().for_each(|kept| kept.push(std::mem::take(message))),
        });
    }

    fn write(&self, mut to: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match to.write(bytes) {
                Ok(written) => bytes = &bytes[written..],
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) && !self.is_dead() => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Reader {
    fn new(relay: &Relay, way: Way) -> Self {
        Self { scanner: Scanner::new(relay.framing, way), message: Message::default() }
    }
}

/// Keeps the end of what has passed, to find a text that arrives in pieces.
fn remember(before: &mut Vec<u8>, passed: &[u8]) {
    before.extend_from_slice(&passed[passed.len().saturating_sub(fault::LONGEST)..]);
    before.drain(..before.len().saturating_sub(fault::LONGEST));
}

/// Makes closing a socket send a reset.
#[cfg(feature = "reset")]
pub(super) fn reset_when_closed(stream: &TcpStream) {
    let _ = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO));
}
