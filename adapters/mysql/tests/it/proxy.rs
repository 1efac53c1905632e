//! A proxy before the server: it cuts the line at a word of the client's, or holds back or garbles what the server says. And another
//! that listens on a Unix socket, for servers in containers, whose own cannot be reached.

use crate::server::Server;
use cabrank_mysql::mysql::OptsBuilder;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
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
    /// What a client says with this in it does not pass: the line is cut instead.
    cut_at: Mutex<Option<&'static [u8]>>,
    /// This in the server's answers becomes that, which is as long.
    garbled: Mutex<Option<(&'static [u8], &'static [u8])>>,
    /// The server's answers, and the end of its stream, stay here for now.
    holding: AtomicBool,
    /// The server has hung up on somebody.
    ended: AtomicBool,
}

impl Proxy {
    pub(crate) fn to(server: &Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let target = (server.opts.get_ip_or_hostname().into_owned(), server.opts.get_tcp_port());
        let shared = Arc::new(Shared::default());
        let proxy = Self { port, shared: Arc::clone(&shared) };
        // Ends with the process.
        thread::spawn(move || {
            while let Ok((client, _)) = listener.accept() {
                let upstream = TcpStream::connect(&target).unwrap();
                client.set_nodelay(true).and(upstream.set_nodelay(true)).unwrap();
                let (from, to) = (upstream.try_clone().unwrap(), client.try_clone().unwrap());
                let of_server = Arc::clone(&shared);
                thread::spawn(move || of_server.answer(from, to));
                let of_client = Arc::clone(&shared);
                thread::spawn(move || of_client.ask(client, upstream));
            }
        });
        proxy
    }

    /// The server's options by way of the proxy.
    pub(crate) fn opts(&self, server: &Server) -> OptsBuilder {
        server.tcp().ip_or_hostname(Some("127.0.0.1")).tcp_port(self.port)
    }

    pub(crate) fn cut_at(&self, word: &'static str) {
        *self.shared.cut_at.lock().unwrap() = Some(word.as_bytes());
    }

    pub(crate) fn garble(&self, word: &'static [u8], into: &'static [u8]) {
        assert_eq!(word.len(), into.len());
        *self.shared.garbled.lock().unwrap() = Some((word, into));
    }

    pub(crate) fn hold_answers(&self, hold: bool) {
        self.shared.holding.store(hold, Ordering::SeqCst);
    }

    pub(crate) fn has_seen_the_end(&self) -> bool {
        self.shared.ended.load(Ordering::SeqCst)
    }
}

/// A Unix socket that leads to the server. It works until the process ends; its file is there until the caller removes it.
#[cfg(unix)]
pub(crate) fn unix_door_to(server: &Server) -> PathBuf {
    let target = (server.opts.get_ip_or_hostname().into_owned(), server.opts.get_tcp_port());
    let path = std::env::temp_dir().join(format!("{}.sock", server.database));
    let listener = UnixListener::bind(&path).unwrap();
    thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let mut server = TcpStream::connect(&target).unwrap();
            let (mut from, mut to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
            thread::spawn(move || drop((std::io::copy(&mut from, &mut to), to.shutdown(Shutdown::Both))));
            thread::spawn(move || drop((std::io::copy(&mut client, &mut server), server.shutdown(Shutdown::Write))));
        }
    });
    path
}

impl Shared {
    fn ask(&self, mut client: TcpStream, mut server: TcpStream) {
        let mut buffer = [0; 4096];
        while let Ok(n @ 1..) = client.read(&mut buffer) {
            let forbidden = *self.cut_at.lock().unwrap();
            let is_in = |word: &[u8]| buffer[..n].windows(word.len()).any(|part| part == word);
            if forbidden.is_some_and(is_in) || server.write_all(&buffer[..n]).is_err() {
                let _ = client.shutdown(Shutdown::Both);
                break;
            }
        }
        // The other half stays open: the server has the last word.
        let _ = server.shutdown(Shutdown::Write);
    }

    fn answer(&self, mut server: TcpStream, mut client: TcpStream) {
        let mut buffer = [0; 4096];
        loop {
            let came = server.read(&mut buffer);
            self.ended.fetch_or(!matches!(came, Ok(1..)), Ordering::SeqCst);
            while self.holding.load(Ordering::SeqCst) {
                thread::sleep(Duration::from_millis(1));
            }
            let garbled = *self.garbled.lock().unwrap();
            if let (Ok(n), Some((word, into))) = (&came, garbled) {
                for at in 0..n.saturating_sub(word.len() - 1) {
                    if buffer[at..*n].starts_with(word) {
                        buffer[at..at + into.len()].copy_from_slice(into);
                    }
                }
            }
            match came {
                Ok(n @ 1..) if client.write_all(&buffer[..n]).is_ok() => {}
                _ => break,
            }
        }
        let _ = client.shutdown(Shutdown::Both);
    }
}
