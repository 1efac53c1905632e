//! A proxy between the adapter and the server that notes the client's messages, and cuts or stops at a word; and another
//! that listens on a Unix socket, for servers in containers, whose own cannot be reached.

use cabrank_postgres::postgres::Config;
use cabrank_postgres::postgres::config::Host;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
#[cfg(unix)]
use std::os::unix::net::UnixListener;
#[cfg(unix)]
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

pub(crate) struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    messages: Mutex<Vec<String>>,
    /// A client's message with this in it does not pass: the line is cut instead.
    cut_at: Mutex<Option<String>>,
    /// The server's answers, and the end of its stream, stay here for now.
    holding: AtomicBool,
}

impl Proxy {
    pub(crate) fn to(server: &Config) -> Self {
        let target = address_of(server);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = listener.local_addr().expect("its number").port();
        let shared = Arc::new(Shared::default());
        let proxy = Self { port, shared: Arc::clone(&shared) };
        // Ends with the process.
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let server = TcpStream::connect((target.0.as_str(), target.1)).expect("the server");
                client.set_nodelay(true).and(server.set_nodelay(true)).expect("no delay");
                let (from, to) = (server.try_clone().expect("a clone"), client.try_clone().expect("a clone"));
                let holder = Arc::clone(&shared);
                thread::spawn(move || holder.pass_on(from, to));
                let shared = Arc::clone(&shared);
                thread::spawn(move || shared.read_along(client, server));
            }
        });
        proxy
    }

    /// The same settings by way of the proxy, unencrypted.
    pub(crate) fn config(&self, server: &Config) -> Config {
        let mut config = Config::new();
        config.host("127.0.0.1").port(self.port).user(server.get_user().expect("a user"));
        config.ssl_mode(cabrank_postgres::postgres::config::SslMode::Disable);
        server.get_password().map(|password| config.password(password));
        server.get_dbname().map(|name| config.dbname(name));
        config
    }

    /// The messages since the last time: type and beginning of the text.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.shared.messages.lock().unwrap())
    }

    pub(crate) fn hold_answers(&self, hold: bool) {
        self.shared.holding.store(hold, Ordering::SeqCst);
    }

    pub(crate) fn cut_at(&self, word: &str) {
        *self.shared.cut_at.lock().unwrap() = Some(word.to_owned());
    }
}

/// A Unix socket that leads to the server, in a folder of its own. It is there until the process ends; the folder, until
/// the caller removes it.
#[cfg(unix)]
pub(crate) fn unix_door_to(server: &Config) -> PathBuf {
    let target = address_of(server);
    let folder = std::env::temp_dir().join(format!("cabrank-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let listener = UnixListener::bind(folder.join(format!(".s.PGSQL.{}", target.1))).expect("a socket");
    thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let mut server = TcpStream::connect((target.0.as_str(), target.1)).expect("the server");
            let (mut from, mut to) = (server.try_clone().expect("a clone"), client.try_clone().expect("a clone"));
            thread::spawn(move || drop((std::io::copy(&mut from, &mut to), to.shutdown(Shutdown::Both))));
            thread::spawn(move || drop((std::io::copy(&mut client, &mut server), server.shutdown(Shutdown::Both))));
        }
    });
    folder
}

fn address_of(server: &Config) -> (String, u16) {
    let host = match server.get_hosts().first() {
        Some(Host::Tcp(host)) => host.clone(),
        _ => server.get_hostaddrs().first().expect("a TCP address").to_string(),
    };
    (host, server.get_ports().first().copied().unwrap_or(5432))
}

impl Shared {
    fn read_along(&self, mut client: TcpStream, mut server: TcpStream) {
        let mut tagged = false;
        while let Some(message) = read_message(&mut client, tagged) {
            let text = String::from_utf8_lossy(&message).into_owned();
            if tagged {
                // Statements are numbered through the whole program, so their names say nothing.
                let kind = char::from(message[0]);
                let note = match kind {
                    'Q' => format!("Q {}", String::from_utf8_lossy(&message[5..message.len() - 1])),
                    kind => kind.to_string(),
                };
                self.messages.lock().unwrap().push(note);
            }
            tagged = true;
            if self.cut_at.lock().unwrap().take_if(|word| text.contains(word.as_str())).is_some() {
                let _ = client.shutdown(Shutdown::Both);
                break;
            }
            if server.write_all(&message).is_err() {
                break;
            }
        }
        let _ = server.shutdown(Shutdown::Both);
    }

    fn pass_on(&self, mut from: TcpStream, mut to: TcpStream) {
        let mut bytes = [0; 8192];
        loop {
            let came = from.read(&mut bytes);
            while self.holding.load(Ordering::SeqCst) {
                thread::sleep(Duration::from_millis(1));
            }
            match came {
                Ok(count @ 1..) if to.write_all(&bytes[..count]).is_ok() => {}
                _ => break,
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    }
}

fn read_message(from: &mut TcpStream, tagged: bool) -> Option<Vec<u8>> {
    let mut message = vec![0; if tagged { 5 } else { 4 }];
    from.read_exact(&mut message).ok()?;
    let length = i32::from_be_bytes(message[message.len() - 4..].try_into().ok()?) as usize;
    let begin = message.len();
    message.resize(begin + length - 4, 0);
    from.read_exact(&mut message[begin..]).ok()?;
    Some(message)
}
