//! The state that the threads of a proxy share: the fault, the open connections, the counts. Also the thread that accepts.

use super::connection::Connection;
use super::framing::{Framing, Message};
use super::{Counts, NetworkFault, Way};
use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use std::{io, thread};

#[derive(Debug)]
pub(super) struct Relay {
    pub(super) framing: Framing,
    /// No socket is read or written under this lock.
    state: Mutex<RelayState>,
    /// Signals a change of the fault or of a connection's state.
    changed: Condvar,
}

#[derive(Debug, Default)]
pub(super) struct RelayState {
    /// The server's addresses for new connections, tried in this order.
    pub(super) server: Vec<SocketAddr>,
    pub(super) fault: NetworkFault,
    /// The open connections, silent ones included.
    pub(super) connections: HashMap<usize, Arc<Connection>>,
    pub(super) counts: Counts,
    /// The clients' messages; `None` unless they are kept.
    pub(super) messages: Option<Vec<Message>>,
    /// How often all connections were ended. A connection accepted before the last of these never opens.
    endings: u64,
}

impl Relay {
    pub(super) fn new(server: Vec<SocketAddr>, framing: Framing) -> Self {
        let state = Mutex::new(RelayState { server, ..RelayState::default() });
        Self { framing, state, changed: Condvar::new() }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, RelayState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a change of the fault, or for the end of a connection.
    pub(super) fn wait<'a>(&self, state: MutexGuard<'a, RelayState>) -> MutexGuard<'a, RelayState> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set(&self, fault: NetworkFault) {
        self.lock().fault = fault;
        self.changed.notify_all();
    }

    pub(super) fn each(&self, act: impl Fn(&Connection)) {
        self.lock().connections.values().for_each(|connection| act(connection));
    }

    pub(super) fn end_all(&self, end: impl Fn(&Connection)) {
        let mut state = self.lock();
        state.endings += 1;
        state.connections.drain().for_each(|(_, connection)| end(&connection));
        drop(state);
        self.changed.notify_all();
    }

    /// Serves a client until its connection ends.
    fn serve(&self, client: TcpStream, accepted: Accepted) -> io::Result<()> {
        let connection = Arc::new(Connection::new(client, self.connect()?)?);
        let fault = {
            let mut state = self.lock();
            if state.endings != accepted.endings {
                return Ok(());
            }
            state.connections.insert(accepted.number, connection.clone());
            state.counts.peak = state.counts.peak.max(state.connections.len());
            state.fault
        };
        if fault == NetworkFault::Silence {
            connection.wait_for_end();
        } else {
            thread::scope(|scope| {
                scope.spawn(|| connection.pump(Way::ToClient, self));
                connection.pump(Way::ToServer, self);
            });
        }
        self.lock().connections.remove(&accepted.number);
        Ok(())
    }

    fn connect(&self) -> io::Result<TcpStream> {
        let mut failed = io::ErrorKind::NotFound.into();
        let server = self.lock().server.clone();
        for address in server {
            match TcpStream::connect_timeout(&address, PATIENCE) {
                Ok(stream) => return Ok(stream),
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }
}

/// Accepts connections until new ones are refused.
pub(super) fn listen(relay: &Arc<Relay>, listener: TcpListener) -> JoinHandle<()> {
    let relay = relay.clone();
    thread::spawn(move || {
        for client in listener.incoming() {
            let Ok(client) = client else { continue };
            let accepted = {
                let mut state = relay.lock();
                if state.fault == NetworkFault::Refuse {
                    return;
                }
                state.counts.attempts.push(Instant::now());
                #[cfg(feature = "reset")]
                if state.fault == NetworkFault::ResetNew {
                    super::connection::reset_when_closed(&client);
                    continue;
                }
                Accepted { number: state.counts.attempts.len(), endings: state.endings }
            };
            let relay = relay.clone();
            thread::spawn(move || relay.serve(client, accepted));
        }
    })
}

/// A connection that was accepted and is not open yet.
struct Accepted {
    number: usize,
    /// The count of endings at its acceptance.
    endings: u64,
}

/// The limit of a connect to a server that does not answer.
const PATIENCE: Duration = Duration::from_secs(5);
