//! The proxy in front of an echo server. `faults` tests the faults.

mod faults;

use super::*;
use crate::eventually;
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::thread;
use std::time::Duration;

/// Echoes any number of connections; says "bye" when its client has ended its direction.
fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            thread::spawn(move || {
                let mut stream = stream.unwrap();
                let mut buffer = [0; 4096];
                while let Ok(len @ 1..) = stream.read(&mut buffer) {
                    if stream.write_all(&buffer[..len]).is_err() {
                        return;
                    }
                }
                let _ = stream.write_all(b"bye");
            });
        }
    });
    address
}

/// A client of a proxy that checks which of its messages come back.
struct Client(TcpStream);

impl Client {
    fn new(proxy: &Proxy) -> Self {
        let stream = TcpStream::connect(proxy.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        Self(stream)
    }

    fn say(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).unwrap();
    }

    fn hears(&mut self, text: &str) {
        let mut buffer = vec![0; text.len()];
        self.0.read_exact(&mut buffer).unwrap();
        assert_eq!(String::from_utf8(buffer).unwrap(), text);
    }

    fn hears_nothing(&mut self) {
        self.0.set_read_timeout(Some(Duration::from_millis(60))).unwrap();
        let error = self.0.read(&mut [0]).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");
        self.0.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    }

    fn hears_the_end(&mut self) {
        assert_eq!(self.0.read(&mut [0]).unwrap(), 0);
    }

    /// Text that passed before the end may come back, or be lost with the connection.
    fn hears_at_most(&mut self, text: &str) {
        let mut heard = String::new();
        self.0.read_to_string(&mut heard).unwrap();
        assert!(text.starts_with(&heard), "{heard:?}");
    }

    #[cfg(feature = "reset")]
    fn is_reset(&mut self) {
        assert_eq!(self.0.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    }
}

fn both() -> (Proxy, Client) {
    let proxy = Proxy::start(echo()).unwrap();
    let mut client = Client::new(&proxy);
    client.say("hello");
    client.hears("hello");
    (proxy, client)
}

#[test]
fn without_a_fault_all_passes_and_is_counted() {
    let (proxy, mut client) = both();
    let mut other = Client::new(&proxy);
    other.say("x");
    other.hears("x");
    let counts = proxy.counts();
    assert_eq!((counts.attempts.len(), counts.open, counts.peak), (2, 2, 2));
    assert_eq!((counts.to_server.bytes, counts.to_client.bytes), (6, 6));
    assert_eq!((counts.to_server.messages, counts.to_client.messages), (2, 2));
    assert!(counts.attempts[0] <= counts.attempts[1]);
    // A client that has ended its direction still receives the server's text.
    client.0.shutdown(Shutdown::Write).unwrap();
    client.hears("bye");
    client.hears_the_end();
    eventually("one is open", || proxy.counts().open == 1);
    assert_eq!(proxy.counts().peak, 2);
}

#[test]
fn large_messages_pass_whole() {
    let (_proxy, client) = both();
    let sent: Vec<u8> = (0..1_000_000_u32).map(|at| at as u8).collect();
    let (mut writer, text) = (client.0.try_clone().unwrap(), sent.clone());
    let writing = thread::spawn(move || writer.write_all(&text));
    let mut heard = vec![0; sent.len()];
    { &client.0 }.read_exact(&mut heard).unwrap();
    writing.join().unwrap().unwrap();
    assert!(heard == sent);
}

#[cfg(feature = "reset")]
#[test]
fn a_reset_reaches_a_client_that_waits() {
    let (proxy, mut client) = both();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| client.is_reset());
        proxy.reset();
        waiting.join().unwrap();
    });
    Client::new(&proxy).say("new connections pass");
}

#[cfg(feature = "reset")]
#[test]
fn a_reset_ends_a_connection_whose_client_does_not_read() {
    let (proxy, client) = both();
    // Fills the buffers: the server's echo has nowhere to go.
    client.0.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    while { &client.0 }.write(&[0; 65536]).is_ok() {}
    let before = Arc::strong_count(&proxy.relay);
    proxy.reset();
    eventually("its threads have ended", || Arc::strong_count(&proxy.relay) < before);
}

#[test]
fn one_way_can_end_while_the_other_goes_on() {
    let (proxy, mut client) = both();
    proxy.half_close(Way::ToServer);
    client.hears("bye");
    client.hears_the_end();

    let (proxy, mut client) = both();
    proxy.half_close(Way::ToClient);
    client.hears_the_end();
    let before = proxy.counts().to_server.bytes;
    client.say("still heard");
    eventually("the bytes have passed", || proxy.counts().to_server.bytes == before + 11);
}

#[test]
fn a_server_that_is_away_ends_the_connection() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let proxy = Proxy::start(gone).unwrap();
    let mut client = Client::new(&proxy);
    client.hears_the_end();
    let counts = proxy.counts();
    assert_eq!((counts.attempts.len(), counts.open), (1, 0));
}

#[cfg(feature = "reset")]
#[test]
fn a_dropped_proxy_leaves_no_connection() {
    let (proxy, mut client) = both();
    let address = proxy.address();
    drop(proxy);
    client.is_reset();
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn closing_all_ends_open_connections_and_no_others() {
    let (proxy, mut client) = both();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| client.hears_the_end());
        proxy.close_all();
        waiting.join().unwrap();
    });
    assert_eq!(proxy.counts().open, 0);
    let mut next = Client::new(&proxy);
    next.say("again");
    next.hears("again");
}

#[test]
fn a_sender_that_hangs_up_is_counted_though_its_end_is_held_back() {
    let (proxy, mut client) = both();
    proxy.set(NetworkFault::Stall(Way::ToClient));
    client.0.shutdown(Shutdown::Write).unwrap();
    eventually("its end is counted", || proxy.counts().to_server.ends == 1 && proxy.counts().open == 1);
    client.hears_nothing();
    proxy.set(NetworkFault::None);
    client.hears("bye");
    client.hears_the_end();
    assert_eq!(proxy.counts().to_client.ends, 1);
}

#[test]
fn messages_are_kept_from_when_it_is_asked_for() {
    let proxy = Proxy::with_framing(echo(), Framing::Postgres).unwrap();
    let mut client = Client::new(&proxy);
    let mut says = |text: &str| {
        client.say(text);
        client.hears(text);
    };
    says("\0\0\0\x0a\0\x03\0\0u\0");
    says("Q\0\0\0\x06x\0");
    assert_eq!(proxy.take_messages(), []);
    proxy.record();
    says("Q\0\0\0\x06");
    assert_eq!(proxy.take_messages(), [], "not before it has come whole");
    says("y\0X\0\0\0\x04");
    let query = Message { kind: Some(b'Q'), body: b"y\0".to_vec() };
    assert_eq!(proxy.take_messages(), [query, Message { kind: Some(b'X'), body: Vec::new() }]);
    assert_eq!(proxy.take_messages(), []);
}

#[cfg(unix)]
#[test]
fn a_door_leads_to_the_server_and_is_gone_afterwards() {
    use std::os::unix::net::UnixStream;
    let path = std::env::temp_dir().join(format!("cabrank-door-{}", std::process::id()));
    let door = UnixDoor::open(&path, echo()).unwrap();
    let mut client = UnixStream::connect(door.path()).unwrap();
    client.write_all(b"hello").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut heard = String::new();
    client.read_to_string(&mut heard).unwrap();
    assert_eq!(heard, "hellobye");
    drop(door);
    assert!(!path.exists() && UnixStream::connect(&path).is_err());
}
