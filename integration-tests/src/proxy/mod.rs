//! A TCP proxy that breaks lines on demand, and counts what passes. Std threads, two for each line.
//!
//! Silence is the worst that a network can do, so most faults here are kinds of silence. This file owns the switch and
//! the listener; one line's life lies in `line`, the counting of messages in `framing`.

mod framing;
mod line;
#[cfg(test)]
mod tests;

use anyhow::Context;
use std::collections::HashMap;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use std::{io, thread};

pub use framing::Framing;
use framing::Scanner;
use line::Line;

/// What the proxy does wrong. Holds for lines that are open and lines to come, until another is set.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Fault {
    /// Nothing: what was held back by a stall goes on its way.
    #[default]
    None,
    /// New lines are refused by the system, which nobody can count. Open ones go on.
    Refuse,
    /// New lines are accepted and reset at once. Open ones go on.
    ResetNew,
    /// New lines are accepted and nothing is ever said on them, also later. Open ones go on.
    Silence,
    /// Nothing passes this way, on any line.
    Stall(Way),
    /// Nothing passes either way, on any line.
    StallBoth,
    /// Everything comes this much later, in both ways.
    Delay(Duration),
    /// The line that carries the n-th byte this way from now on is closed right after it; then there is no fault.
    CutAfter(Way, u64),
}

/// One of a line's two ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From the client to the server.
    ToServer,
    /// From the server to the client.
    ToClient,
}

/// What was counted since the start.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// When each line was accepted, in whatever way it ended.
    pub attempts: Vec<Instant>,
    /// How many lines are open now.
    pub open: usize,
    /// How many were open at the same time, at most.
    pub peak: usize,
    /// From the clients to the server.
    pub to_server: Traffic,
    /// From the server to the clients.
    pub to_client: Traffic,
}

/// What passed one way on all lines.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Traffic {
    /// Bytes that were passed on.
    pub bytes: u64,
    /// Messages of the protocol that were begun; see [`Framing`].
    pub messages: u64,
    /// The same by type: of PostgreSQL's messages the type byte, of MySQL's commands the command byte.
    pub by_type: HashMap<u8, u64>,
}

/// A proxy in front of one server. Dropping it resets its lines.
#[derive(Debug)]
pub struct Proxy {
    shared: Arc<Shared>,
    address: SocketAddr,
    /// `None` while new lines are refused.
    listener: Mutex<Option<JoinHandle<()>>>,
}

impl Proxy {
    /// Starts one on a free port of the loopback interface. Messages are not told apart.
    pub fn start(server: impl ToSocketAddrs) -> anyhow::Result<Self> {
        Self::with_framing(server, Framing::Raw)
    }

    /// Starts one that counts the messages of a protocol.
    pub fn with_framing(server: impl ToSocketAddrs, framing: Framing) -> anyhow::Result<Self> {
        let server = server.to_socket_addrs()?.find(SocketAddr::is_ipv4).context("the server has no IPv4 address")?;
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared { server, framing, state: Mutex::default(), changed: Condvar::new() });
        let thread = listen(&shared, listener);
        Ok(Self { shared, address, listener: Mutex::new(Some(thread)) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sets the fault, in place of the last one. From when it returns, the fault holds.
    pub fn set(&self, fault: Fault) {
        let mut listener = self.listener.lock().unwrap_or_else(PoisonError::into_inner);
        {
            let mut state = self.shared.lock();
            state.fault = fault;
            self.shared.changed.notify_all();
        }
        if fault == Fault::Refuse {
            if let Some(thread) = listener.take() {
                // It waits for a line, so it gets one: it looks at the fault before anything else, and ends.
                let _ = TcpStream::connect(self.address);
                let _ = thread.join();
            }
        } else if listener.is_none() {
            let socket = TcpListener::bind(self.address).expect("our own port is free");
            *listener = Some(listen(&self.shared, socket));
        }
    }

    /// Resets all open lines, so that both ends get an error.
    pub fn reset(&self) {
        self.shared.lock().lines.drain().for_each(|(_, line)| line.reset());
        self.shared.changed.notify_all();
    }

    /// Ends one way of all open lines in good order: the receiver sees the end of the stream, the other way goes on.
    pub fn half_close(&self, way: Way) {
        let state = self.shared.lock();
        state.lines.values().for_each(|line| drop(line.receiver(way).shutdown(Shutdown::Write)));
    }

    /// What was counted until now.
    pub fn counts(&self) -> Counts {
        let state = self.shared.lock();
        Counts { open: state.lines.len(), ..state.counts.clone() }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.set(Fault::Refuse);
        self.reset();
    }
}

/// What the threads of a proxy have in common.
#[derive(Debug)]
struct Shared {
    server: SocketAddr,
    framing: Framing,
    /// Guards the fault, the lines and the counts. No socket is read or written under it.
    state: Mutex<State>,
    /// The fault or a line's life has changed.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    fault: Fault,
    /// The open lines, silent ones included.
    lines: HashMap<usize, Arc<Line>>,
    counts: Counts,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Serves a client until its line ends.
    fn serve(&self, client: TcpStream, id: usize) -> io::Result<()> {
        let line = Arc::new(Line::new(client, TcpStream::connect(self.server)?)?);
        let fault = {
            let mut state = self.lock();
            state.lines.insert(id, line.clone());
            state.counts.peak = state.counts.peak.max(state.lines.len());
            state.fault
        };
        if fault == Fault::Silence {
            line.wait_for_end();
        } else {
            thread::scope(|scope| {
                scope.spawn(|| line.pump(Way::ToClient, self));
                line.pump(Way::ToServer, self);
            });
        }
        self.lock().lines.remove(&id);
        Ok(())
    }
}

impl Counts {
    fn traffic(&mut self, way: Way) -> &mut Traffic {
        match way {
            Way::ToServer => &mut self.to_server,
            Way::ToClient => &mut self.to_client,
        }
    }
}

/// Accepts lines until new ones are to be refused.
fn listen(shared: &Arc<Shared>, listener: TcpListener) -> JoinHandle<()> {
    let shared = shared.clone();
    thread::spawn(move || {
        for client in listener.incoming() {
            let Ok(client) = client else { continue };
            let (fault, id) = {
                let mut state = shared.lock();
                if state.fault == Fault::Refuse {
                    return;
                }
                state.counts.attempts.push(Instant::now());
                (state.fault, state.counts.attempts.len())
            };
            if fault == Fault::ResetNew {
                line::reset_when_closed(&client);
                continue;
            }
            let shared = shared.clone();
            thread::spawn(move || shared.serve(client, id));
        }
    })
}
