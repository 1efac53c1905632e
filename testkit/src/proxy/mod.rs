//! A TCP proxy with faults on demand, which counts its traffic. It uses std threads, two for each connection.
//!
//! Silence is the worst fault of a network, so most faults are kinds of silence. This file has the public API. `relay` has the state that
//! the threads share, `connection` the life of one connection, `fault` the effect of a fault on the bytes, `framing` the parser of
//! messages.

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
    /// Starts a proxy that does not parse messages: see [`with_framing`](Self::with_framing).
    ///
    /// # Errors
    ///
    /// The server's name cannot be looked up or has no address, or no port is free.
    pub fn start(server: impl ToSocketAddrs) -> io::Result<Self> {
        Self::with_framing(server, Framing::Raw)
    }

    /// Starts a proxy that counts the messages of a protocol, and keeps the clients' messages on [request](Self::record).
    ///
    /// # Errors
    ///
    /// Like those of [`start`](Self::start).
    pub fn with_framing(server: impl ToSocketAddrs, framing: Framing) -> io::Result<Self> {
        let server = addresses_of(server)?;
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        let relay = Arc::new(Relay::new(server, framing));
        let thread = listen(&relay, listener);
        Ok(Self { relay, address, listener: Mutex::new(Some(thread)) })
    }

    /// The address on which it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on new connections go to another server, as behind a name that moves. Open ones continue.
    ///
    /// # Errors
    ///
    /// The server's name cannot be looked up or has no address.
    pub fn lead_to(&self, server: impl ToSocketAddrs) -> io::Result<()> {
        self.relay.lock().server = addresses_of(server)?;
        Ok(())
    }

    /// Replaces the fault. The new one applies from the return of this call.
    ///
    /// # Panics
    ///
    /// If another process took the proxy's port while new connections were refused; if a text to find is empty or longer than 256 bytes;
    /// if a garbled text would change its length.
    pub fn set(&self, fault: NetworkFault) {
        fault.check();
        let mut listener = self.listener.lock().unwrap_or_else(PoisonError::into_inner);
        self.relay.set(fault);
        if fault == NetworkFault::Refuse {
            if let Some(thread) = listener.take() {
                // The listener waits for a connection, so it gets one: it first reads the fault, and ends.
                let _ = TcpStream::connect(self.address);
                let _ = thread.join();
            }
        } else if listener.is_none() {
            let socket = TcpListener::bind(self.address).expect("the proxy's own port is free");
            *listener = Some(listen(&self.relay, socket));
        }
    }

    /// Ends all open connections: both peers see the end of the stream, and bytes on their way are lost.
    pub fn close_all(&self) {
        self.relay.end_all(|connection| connection.close());
    }

    /// Resets all open connections: both peers get an error.
    #[cfg(feature = "reset")]
    pub fn reset(&self) {
        self.relay.end_all(|connection| connection.reset());
    }

    /// Ends one direction of all open connections in an orderly way: the receiver sees the end of the stream, and the other direction
    /// continues.
    pub fn half_close(&self, way: Way) {
        self.relay.each(|connection| connection.half_close(way));
    }

    /// Silences all open connections for good, like a firewall that has forgotten them: arriving bytes are read and dropped. Only the
    /// connections' end is passed on, so nothing is left at the server. New connections are not affected.
    pub fn swallow(&self) {
        self.relay.each(|connection| connection.swallow());
    }

    /// From now on keeps the clients' messages, for [`take_messages`](Self::take_messages). Needs memory for all of them.
    pub fn record(&self) {
        self.relay.lock().messages.get_or_insert_default();
    }

    /// The clients' messages since the last call, or since [`record`](Self::record). Each is recorded before it reaches the server.
    pub fn take_messages(&self) -> Vec<Message> {
        self.relay.lock().messages.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// The counts so far.
    pub fn counts(&self) -> Counts {
        let state = self.relay.lock();
        Counts { open: state.connections.len(), ..state.counts.clone() }
    }
}

fn addresses_of(server: impl ToSocketAddrs) -> io::Result<Vec<SocketAddr>> {
    let mut addresses: Vec<_> = server.to_socket_addrs()?.collect();
    // If the name has an IPv4 and an IPv6 address, the port may belong to another process in IPv6.
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

/// One of a connection's two directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From the client to the server.
    ToServer,
    /// From the server to the client.
    ToClient,
}

/// The counts of a [`Proxy`] since its start.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// The time at which each connection was accepted, however it ended.
    pub attempts: Vec<Instant>,
    /// The number of open connections.
    pub open: usize,
    /// The most connections open at one time.
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

/// The traffic of one direction on all connections.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Traffic {
    /// Bytes that were passed on.
    pub bytes: u64,
    /// Messages of the protocol that have begun; see [`Framing`].
    pub messages: u64,
    /// The same by type: PostgreSQL's type byte, or MySQL's command byte.
    pub by_type: HashMap<u8, u64>,
    /// How many senders have hung up, including ends not passed on yet.
    pub ends: u64,
}
