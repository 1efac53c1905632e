//! A TCP proxy that does wrong on demand, and counts what passes. Std threads, two for each connection.
//!
//! Silence is the worst that a network can do, so most faults are kinds of silence. This file is the face: the switch and
//! the numbers. What the threads share lies in `relay`, one connection's life in `connection`, what a fault does to what
//! passes in `fault`, the reading of messages in `framing`.

mod connection;
#[cfg(unix)]
mod door;
mod fault;
mod framing;
mod relay;
#[cfg(test)]
mod tests;

#[cfg(unix)]
pub use door::UnixDoor;
pub use fault::NetworkFault;
pub use framing::{Framing, Message};

use relay::{Relay, listen};
use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

/// A TCP proxy in front of one server, on a free port of the loopback interface.
///
/// Dropping it ends its connections and frees the port.
///
/// ```
/// use cabrank_testing::{NetworkFault, Proxy, Way};
/// use std::io::{Read, Write};
/// use std::net::{TcpListener, TcpStream};
///
/// # fn main() -> std::io::Result<()> {
/// let server = TcpListener::bind("127.0.0.1:0")?;
/// let proxy = Proxy::start(server.local_addr()?)?;
/// let mut client = TcpStream::connect(proxy.address())?;
/// let (mut session, _) = server.accept()?;
///
/// proxy.set(NetworkFault::Stall(Way::ToServer));
/// client.write_all(b"late")?; // stays in the proxy
/// proxy.set(NetworkFault::None);
/// session.read_exact(&mut [0; 4])?;
/// assert_eq!(proxy.counts().to_server.bytes, 4);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Proxy {
    relay: Arc<Relay>,
    address: SocketAddr,
    /// `None` while new connections are refused.
    listener: Mutex<Option<JoinHandle<()>>>,
}

impl Proxy {
    /// Starts one. Messages are not told apart: see [`with_framing`](Self::with_framing).
    ///
    /// # Errors
    ///
    /// The server's name cannot be looked up or has no address, or no port is free.
    pub fn start(server: impl ToSocketAddrs) -> io::Result<Self> {
        Self::with_framing(server, Framing::Raw)
    }

    /// Starts one that reads along: it counts the messages of a protocol, and keeps the clients' if [asked](Self::record).
    ///
    /// # Errors
    ///
    /// As those of [`start`](Self::start).
    pub fn with_framing(server: impl ToSocketAddrs, framing: Framing) -> io::Result<Self> {
        let server = addresses_of(server)?;
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        let relay = Arc::new(Relay::new(server, framing));
        let thread = listen(&relay, listener);
        Ok(Self { relay, address, listener: Mutex::new(Some(thread)) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// New connections lead to another server from now on, as behind a name that moves. Open ones go on.
    ///
    /// # Errors
    ///
    /// The server's name cannot be looked up or has no address.
    pub fn lead_to(&self, server: impl ToSocketAddrs) -> io::Result<()> {
        self.relay.lock().server = addresses_of(server)?;
        Ok(())
    }

    /// Sets the fault, in place of the last one. From when this returns, the fault holds.
    ///
    /// # Panics
    ///
    /// If somebody else has taken the proxy's port while new connections were refused; if a text to look for is empty or
    /// longer than 256 bytes; if what is garbled would change its length.
    pub fn set(&self, fault: NetworkFault) {
        fault.check();
        let mut listener = self.listener.lock().unwrap_or_else(PoisonError::into_inner);
        self.relay.set(fault);
        if fault == NetworkFault::Refuse {
            if let Some(thread) = listener.take() {
                // It waits for a connection, so it gets one: it looks at the fault before anything else, and ends.
                let _ = TcpStream::connect(self.address);
                let _ = thread.join();
            }
        } else if listener.is_none() {
            let socket = TcpListener::bind(self.address).expect("the proxy's own port is free");
            *listener = Some(listen(&self.relay, socket));
        }
    }

    /// Ends all open connections: both ends see the end of the stream, and what was on its way is lost.
    pub fn close_all(&self) {
        self.relay.end_all(|connection| connection.close());
    }

    /// Resets all open connections: both ends get an error.
    #[cfg(feature = "reset")]
    pub fn reset(&self) {
        self.relay.end_all(|connection| connection.reset());
    }

    /// Ends one way of all open connections in good order: the receiver sees the end of the stream, the other way goes on.
    pub fn half_close(&self, way: Way) {
        self.relay.each(|connection| connection.half_close(way));
    }

    /// Lets the connections that are open fall silent for good, as a firewall does that has forgotten them: what comes is read
    /// and dropped. Only their end is passed on, so that nothing is left at the server. New connections are not concerned.
    pub fn swallow(&self) {
        self.relay.each(|connection| connection.swallow());
    }

    /// From now on keeps the clients' messages, for [`take_messages`](Self::take_messages). Needs room for all of them.
    pub fn record(&self) {
        self.relay.lock().messages.get_or_insert_default();
    }

    /// The clients' messages since the last time, or since [`record`](Self::record). Each is there before the server can hear it.
    pub fn take_messages(&self) -> Vec<Message> {
        self.relay.lock().messages.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// What was counted until now.
    pub fn counts(&self) -> Counts {
        let state = self.relay.lock();
        Counts { open: state.connections.len(), ..state.counts.clone() }
    }
}

fn addresses_of(server: impl ToSocketAddrs) -> io::Result<Vec<SocketAddr>> {
    let mut addresses: Vec<_> = server.to_socket_addrs()?.collect();
    // Behind a name that stands for both, the port may be somebody else's in IPv6.
    addresses.sort_by_key(SocketAddr::is_ipv6);
    if addresses.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the server has no address"));
    }
    Ok(addresses)
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.set(NetworkFault::Refuse);
        #[cfg(feature = "reset")]
        self.reset();
        #[cfg(not(feature = "reset"))]
        self.close_all();
    }
}

/// One of a connection's two ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From the client to the server.
    ToServer,
    /// From the server to the client.
    ToClient,
}

/// What a [`Proxy`] has counted since its start.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// When each connection was accepted, in whatever way it ended.
    pub attempts: Vec<Instant>,
    /// How many connections are open now.
    pub open: usize,
    /// How many were open at the same time, at most.
    pub peak: usize,
    /// From the clients to the server.
    pub to_server: Traffic,
    /// From the server to the clients.
    pub to_client: Traffic,
}

impl Counts {
    fn traffic(&mut self, way: Way) -> &mut Traffic {
        match way {
            Way::ToServer => &mut self.to_server,
            Way::ToClient => &mut self.to_client,
        }
    }
}

/// What went one way on all connections.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Traffic {
    /// Bytes that were passed on.
    pub bytes: u64,
    /// Messages of the protocol that were begun; see [`Framing`].
    pub messages: u64,
    /// The same by type: of PostgreSQL's messages the type byte, of MySQL's commands the command byte.
    pub by_type: HashMap<u8, u64>,
    /// How many senders have hung up, whether or not that was passed on yet.
    pub ends: u64,
}
