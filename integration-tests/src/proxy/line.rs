//! One line: a client's connection, the one to the server, and what passes between them.

use super::{Fault, Scanner, Shared, State, Way};
use socket2::SockRef;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use std::{io, thread};

/// Both ends of a line. They are closed when the last thread has dropped it.
#[derive(Debug)]
pub(super) struct Line {
    client: TcpStream,
    server: TcpStream,
    /// Set by a reset: both threads drop what they have and leave.
    dead: AtomicBool,
    /// One for each way, made when its first byte passes.
    scanners: [Mutex<Option<Scanner>>; 2],
}

impl Line {
    pub(super) fn new(client: TcpStream, server: TcpStream) -> io::Result<Self> {
        for stream in [&client, &server] {
            stream.set_nodelay(true)?;
            // So that whoever writes to a peer that does not read notices a reset.
            stream.set_write_timeout(Some(Duration::from_millis(50)))?;
        }
        Ok(Self { client, server, dead: AtomicBool::new(false), scanners: Default::default() })
    }

    /// The end that receives what goes this way.
    pub(super) fn receiver(&self, way: Way) -> &TcpStream {
        match way {
            Way::ToServer => &self.server,
            Way::ToClient => &self.client,
        }
    }

    /// Lets both threads go, and closing send a reset instead of an orderly end.
    pub(super) fn reset(&self) {
        reset_when_closed(&self.client);
        reset_when_closed(&self.server);
        self.dead.store(true, Ordering::SeqCst);
        // Wakes those who read, and says nothing to the peers.
        let _ = self.client.shutdown(Shutdown::Read);
        let _ = self.server.shutdown(Shutdown::Read);
    }

    /// Says nothing until the client goes away or the line is reset.
    pub(super) fn wait_for_end(&self) {
        let mut buffer = [0; 4096];
        while matches!((&self.client).read(&mut buffer), Ok(1..)) {}
    }

    /// Carries one way's bytes until its end.
    pub(super) fn pump(&self, way: Way, shared: &Shared) {
        let mut buffer = [0; 16 * 1024];
        loop {
            let (from, to) = (self.sender(way), self.receiver(way));
            let len = match { from }.read(&mut buffer) {
                Ok(len @ 1..) => len,
                Ok(0) | Err(_) if !self.is_dead() => {
                    // The end passes on like everything else, behind whatever a stall holds back.
                    let _ = self.permission(way, 1, shared);
                    if !self.is_dead() {
                        let _ = to.shutdown(Shutdown::Write);
                    }
                    return;
                }
                _ => return,
            };
            let mut rest = &buffer[..len];
            while !rest.is_empty() {
                let Some(pass) = self.permission(way, rest.len(), shared) else { return };
                let (now, later) = rest.split_at(pass.bytes);
                self.count(way, now, shared);
                if self.write(to, now).is_err() {
                    // The receiver is gone; the sender learns of it by the end of the line.
                    let _ = from.shutdown(Shutdown::Both);
                    return;
                }
                if pass.last {
                    let _ = self.client.shutdown(Shutdown::Both);
                    let _ = self.server.shutdown(Shutdown::Both);
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

    fn is_dead(&self) -> bool {
        self.dead.load(Ordering::SeqCst)
    }

    /// Waits until something may pass this way; `None` once the line is dead.
    fn permission(&self, way: Way, len: usize, shared: &Shared) -> Option<Pass> {
        let mut state = shared.lock();
        loop {
            if self.is_dead() {
                return None;
            }
            match state.fault {
                Fault::StallBoth => {}
                Fault::Stall(stalled) if stalled == way => {}
                Fault::Delay(delay) => {
                    drop(state);
                    thread::sleep(delay);
                    return Some(Pass { bytes: len, last: false });
                }
                Fault::CutAfter(cut, left) if cut == way => {
                    return Some(cut_after(&mut state, way, left, len));
                }
                _ => return Some(Pass { bytes: len, last: false }),
            }
            state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn count(&self, way: Way, bytes: &[u8], shared: &Shared) {
        let mut scanner = self.scanners[way as usize].lock().unwrap_or_else(PoisonError::into_inner);
        let scanner = scanner.get_or_insert_with(|| Scanner::new(shared.framing, way));
        let mut state = shared.lock();
        let traffic = state.counts.traffic(way);
        traffic.bytes += bytes.len() as u64;
        scanner.scan(bytes, |kind| {
            traffic.messages += 1;
            if let Some(kind) = kind {
                *traffic.by_type.entry(kind).or_default() += 1;
            }
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

/// Lets closing a socket send a reset.
pub(super) fn reset_when_closed(stream: &TcpStream) {
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}

/// How much may pass, and whether it is the last that does.
struct Pass {
    bytes: usize,
    last: bool,
}

fn cut_after(state: &mut State, way: Way, left: u64, len: usize) -> Pass {
    let last = left <= len as u64;
    state.fault = if last { Fault::None } else { Fault::CutAfter(way, left - len as u64) };
    Pass { bytes: if last { left as usize } else { len }, last }
}
