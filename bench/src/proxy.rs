//! A TCP proxy before a server, that plays its absence: lines cut and new ones refused by the system from one moment to
//! another, both known exactly; or established lines that fall silent.

use anyhow::{Context, Result};
use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use std::{fs, io, thread};
use url::Url;

/// Ends its lines when dropped.
pub struct Proxy {
    shared: Arc<Shared>,
    address: SocketAddr,
    listener: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    server: SocketAddr,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    down: bool,
    lines: HashMap<u64, Arc<Line>>,
    accepted: u64,
}

struct Line {
    client: TcpStream,
    server: TcpStream,
    /// Nothing passes any more.
    silent: AtomicBool,
}

impl Proxy {
    /// Before the server of that URL; and the URL by which it is reached through the proxy.
    pub fn before(url: &str) -> Result<(Self, String)> {
        let mut url = Url::parse(url)?;
        let host = url.host_str().context("a URL without host")?.to_owned();
        let server = (host, url.port().unwrap_or(5432)).to_socket_addrs()?.next().context("no address")?;
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared { server, state: Mutex::default() });
        let thread = accept(&shared, listener);
        url.set_host(Some("127.0.0.1"))?;
        url.set_port(Some(address.port())).ok().context("a URL without port")?;
        Ok((Self { shared, address, listener: Mutex::new(Some(thread)) }, url.into()))
    }

    /// Ends all lines and refuses new ones, as the death of a server does.
    pub fn down(&self) {
        self.shared.lock().down = true;
        if let Some(thread) = self.listener.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // It waits for a line, so it gets one, and ends.
            let _ = TcpStream::connect(self.address);
            let _ = thread.join();
        }
        self.end_lines();
    }

    /// Takes lines again.
    pub fn up(&self) -> Result<()> {
        self.shared.lock().down = false;
        let listener = TcpListener::bind(self.address).context("our own port is taken")?;
        *self.listener.lock().unwrap_or_else(PoisonError::into_inner) = Some(accept(&self.shared, listener));
        Ok(())
    }

    /// Lets the lines that are open fall silent for good. New ones are not concerned.
    pub fn black_hole(&self) {
        self.shared.lock().lines.values().for_each(|line| line.silent.store(true, Ordering::SeqCst));
    }

    /// Ends the lines that are open, so that a thread that hangs on one gets away.
    pub fn end_lines(&self) {
        self.shared.lock().lines.drain().for_each(|(_, line)| line.end());
    }

    /// How many lines were accepted until now.
    pub fn accepted(&self) -> u64 {
        self.shared.lock().accepted
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.down();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    fn end(&self) {
        let _ = self.client.shutdown(Shutdown::Both);
        let _ = self.server.shutdown(Shutdown::Both);
    }

    /// Carries bytes one way until either end is gone.
    fn pump(&self, mut from: &TcpStream, mut to: &TcpStream) {
        let mut buffer = [0; 16 * 1024];
        while let Ok(len @ 1..) = from.read(&mut buffer) {
            if !self.silent.load(Ordering::SeqCst) && to.write_all(&buffer[..len]).is_err() {
                break;
            }
        }
        self.end();
    }
}

fn accept(shared: &Arc<Shared>, listener: TcpListener) -> JoinHandle<()> {
    let shared = shared.clone();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            if shared.lock().down {
                return;
            }
            let shared = shared.clone();
            thread::spawn(move || serve(&shared, client));
        }
    })
}

fn serve(shared: &Shared, client: TcpStream) -> io::Result<()> {
    let server = TcpStream::connect_timeout(&shared.server, Duration::from_secs(5))?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let line = Arc::new(Line { client, server, silent: AtomicBool::new(false) });
    let number = {
        let mut state = shared.lock();
        state.accepted += 1;
        let number = state.accepted;
        if state.down {
            return Ok(());
        }
        state.lines.insert(number, line.clone());
        number
    };
    thread::scope(|scope| {
        scope.spawn(|| line.pump(&line.server, &line.client));
        line.pump(&line.client, &line.server);
    });
    shared.lock().lines.remove(&number);
    Ok(())
}

/// How many connection attempts of this whole system were refused or failed since it started; `None` where it does not
/// tell. What a proxy that does not listen cannot count.
pub fn refused_attempts() -> Option<u64> {
    let text = fs::read_to_string("/proc/net/snmp").ok()?;
    let mut lines = text.lines().filter(|line| line.starts_with("Tcp:"));
    let (names, values) = (lines.next()?, lines.next()?);
    let place = names.split(' ').position(|name| name == "AttemptFails")?;
    values.split(' ').nth(place)?.parse().ok()
}
