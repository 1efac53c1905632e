//! The proxy in front of a server that says back what it hears.

use super::*;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Instant;

/// Says back what it hears, on any number of lines; says "bye" when its client has ended its way.
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

/// A client of a proxy that says whether it hears something back.
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

fn within_ten_seconds(condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < Duration::from_secs(10));
        thread::sleep(Duration::from_millis(1));
    }
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
    // A client that ends its way hears out the server.
    client.0.shutdown(Shutdown::Write).unwrap();
    client.hears("bye");
    client.hears_the_end();
    within_ten_seconds(|| proxy.counts().open == 1);
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

#[test]
fn refused_lines_are_refused_and_open_ones_go_on() {
    let (proxy, mut client) = both();
    proxy.set(Fault::Refuse);
    assert_eq!(TcpStream::connect(proxy.address()).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    client.say("still here");
    client.hears("still here");
    proxy.set(Fault::None);
    let mut next = Client::new(&proxy);
    next.say("again");
    next.hears("again");
    assert_eq!(proxy.counts().attempts.len(), 2, "the one that was refused is not counted");
}

#[test]
fn new_lines_are_reset_and_counted() {
    let (proxy, mut client) = both();
    proxy.set(Fault::ResetNew);
    Client::new(&proxy).is_reset();
    assert_eq!(proxy.counts().attempts.len(), 2);
    client.say("x");
    client.hears("x");
}

#[test]
fn a_silent_line_stays_silent() {
    let (proxy, mut client) = both();
    proxy.set(Fault::Silence);
    let mut silent = Client::new(&proxy);
    silent.say("anybody?");
    silent.hears_nothing();
    client.say("open ones go on");
    client.hears("open ones go on");
    proxy.set(Fault::None);
    silent.say("now?");
    silent.hears_nothing();
    assert_eq!(proxy.counts().open, 2);
    drop(silent);
    within_ten_seconds(|| proxy.counts().open == 1);
}

#[test]
fn a_stalled_way_holds_everything_back_until_it_goes_on() {
    let (proxy, mut client) = both();
    for (fault, reaches_server) in
        [(Fault::Stall(Way::ToServer), false), (Fault::Stall(Way::ToClient), true), (Fault::StallBoth, false)]
    {
        let before = proxy.counts().to_server.bytes;
        proxy.set(fault);
        client.say("late");
        if reaches_server {
            within_ten_seconds(|| proxy.counts().to_server.bytes == before + 4);
        }
        client.hears_nothing();
        assert_eq!(proxy.counts().to_server.bytes == before + 4, reaches_server, "{fault:?}");
        let mut new = Client::new(&proxy);
        new.say("me too");
        new.hears_nothing();
        proxy.set(Fault::None);
        client.hears("late");
        new.hears("me too");
    }
}

#[test]
fn a_stalled_line_can_be_reset() {
    let (proxy, mut client) = both();
    proxy.set(Fault::StallBoth);
    client.say("late");
    client.hears_nothing();
    proxy.reset();
    client.is_reset();
    assert_eq!(proxy.counts().open, 0);
}

#[test]
fn a_reset_reaches_a_client_that_waits() {
    let (proxy, mut client) = both();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| client.is_reset());
        proxy.reset();
        waiting.join().unwrap();
    });
    Client::new(&proxy).say("new lines pass");
}

#[test]
fn a_reset_ends_a_line_whose_client_does_not_read() {
    let (proxy, client) = both();
    // Until nothing more fits in: the server's echo has nowhere to go.
    client.0.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    while { &client.0 }.write(&[0; 65536]).is_ok() {}
    let before = Arc::strong_count(&proxy.shared);
    proxy.reset();
    within_ten_seconds(|| Arc::strong_count(&proxy.shared) < before);
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
    within_ten_seconds(|| proxy.counts().to_server.bytes == before + 11);
}

#[test]
fn a_delay_is_added_to_each_way() {
    let (proxy, mut client) = both();
    proxy.set(Fault::Delay(Duration::from_millis(40)));
    let begun = Instant::now();
    client.say("slow");
    client.hears("slow");
    assert!(begun.elapsed() >= Duration::from_millis(80));
}

#[test]
fn a_line_is_cut_after_the_byte_that_was_named() {
    let (proxy, mut client) = both();
    proxy.set(Fault::CutAfter(Way::ToClient, 6));
    client.say("four");
    client.hears("four");
    client.say("more");
    client.hears("mo");
    client.hears_the_end();
    let mut next = Client::new(&proxy);
    next.say("no fault any more");
    next.hears("no fault any more");
    proxy.set(Fault::CutAfter(Way::ToServer, 3));
    next.say("abcdef");
    within_ten_seconds(|| proxy.counts().open == 0);
    let counts = proxy.counts();
    assert_eq!(counts.to_server.bytes, 5 + 4 + 4 + 17 + 3);
}

#[test]
fn a_server_that_is_away_ends_the_line() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let proxy = Proxy::start(gone).unwrap();
    let mut client = Client::new(&proxy);
    client.hears_the_end();
    let counts = proxy.counts();
    assert_eq!((counts.attempts.len(), counts.open), (1, 0));
}

#[test]
fn a_dropped_proxy_leaves_no_line() {
    let (proxy, mut client) = both();
    let address = proxy.address();
    drop(proxy);
    client.is_reset();
    assert!(TcpStream::connect(address).is_err());
}
