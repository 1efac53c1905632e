//! Each fault has its documented effect, on the documented connections, for as long as it is set.

use super::*;

#[test]
fn refused_connections_are_refused_and_open_ones_go_on() {
    let (proxy, mut client) = both();
    proxy.set(NetworkFault::Refuse);
    assert_eq!(TcpStream::connect(proxy.address()).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    client.say("still here");
    client.hears("still here");
    proxy.set(NetworkFault::None);
    let mut next = Client::new(&proxy);
    next.say("again");
    next.hears("again");
    assert_eq!(proxy.counts().attempts.len(), 2, "the one that was refused is not counted");
}

#[cfg(feature = "reset")]
#[test]
fn new_connections_are_reset_and_counted() {
    let (proxy, mut client) = both();
    proxy.set(NetworkFault::ResetNew);
    Client::new(&proxy).is_reset();
    assert_eq!(proxy.counts().attempts.len(), 2);
    client.say("x");
    client.hears("x");
}

#[test]
fn a_silent_connection_stays_silent() {
    let (proxy, mut client) = both();
    proxy.set(NetworkFault::Silence);
    let mut silent = Client::new(&proxy);
    silent.say("anybody?");
    silent.hears_nothing();
    client.say("open ones go on");
    client.hears("open ones go on");
    proxy.set(NetworkFault::None);
    silent.say("now?");
    silent.hears_nothing();
    assert_eq!(proxy.counts().open, 2);
    drop(silent);
    eventually("one is open", || proxy.counts().open == 1);
}

#[test]
fn a_stalled_way_holds_everything_back_until_it_goes_on() {
    let (proxy, mut client) = both();
    for (fault, reaches_server) in [
        (NetworkFault::Stall(Way::ToServer), false),
        (NetworkFault::Stall(Way::ToClient), true),
        (NetworkFault::StallBoth, false),
    ] {
        let before = proxy.counts().to_server.bytes;
        proxy.set(fault);
        client.say("late");
        if reaches_server {
            eventually("the bytes have passed", || proxy.counts().to_server.bytes == before + 4);
        }
        client.hears_nothing();
        assert_eq!(proxy.counts().to_server.bytes == before + 4, reaches_server, "{fault:?}");
        let mut new = Client::new(&proxy);
        new.say("me too");
        new.hears_nothing();
        proxy.set(NetworkFault::None);
        client.hears("late");
        new.hears("me too");
    }
}

#[cfg(feature = "reset")]
#[test]
fn a_stalled_connection_can_be_reset() {
    let (proxy, mut client) = both();
    proxy.set(NetworkFault::StallBoth);
    client.say("late");
    client.hears_nothing();
    proxy.reset();
    client.is_reset();
    assert_eq!(proxy.counts().open, 0);
}

#[test]
fn a_delay_is_added_to_each_way() {
    let (proxy, mut client) = both();
    proxy.set(NetworkFault::Delay(Duration::from_millis(40)));
    let begun = Instant::now();
    client.say("slow");
    client.hears("slow");
    assert!(begun.elapsed() >= Duration::from_millis(80));
}

#[test]
fn a_connection_is_closed_after_the_byte_that_was_named() {
    let (proxy, mut client) = both();
    proxy.set(NetworkFault::CloseAfter(Way::ToClient, 6));
    client.say("four");
    client.hears("four");
    client.say("more");
    client.hears("mo");
    client.hears_the_end();
    let mut next = Client::new(&proxy);
    next.say("no fault any more");
    next.hears("no fault any more");
    proxy.set(NetworkFault::CloseAfter(Way::ToServer, 3));
    next.say("abcdef");
    eventually("none is open", || proxy.counts().open == 0);
    let counts = proxy.counts();
    assert_eq!(counts.to_server.bytes, 5 + 4 + 4 + 17 + 3);
}

#[test]
fn a_connection_is_closed_before_a_text_has_passed_though_it_comes_in_pieces() {
    let (proxy, mut client) = both();
    proxy.set(NetworkFault::CloseAt(Way::ToServer, b"COMMIT"));
    client.say("BEGIN; COM");
    client.hears("BEGIN; COM");
    client.say("MIT AND CHAIN");
    client.hears_at_most("MI");
    assert_eq!(proxy.counts().to_server.bytes, 5 + 10 + 2);
    let mut next = Client::new(&proxy);
    next.say("COMMIT");
    next.hears("COMMIT");
    proxy.set(NetworkFault::CloseAt(Way::ToClient, b"COMMIT"));
    next.say("COMMIT");
    next.hears("COMMI");
    next.hears_the_end();
}

#[test]
fn a_garbled_text_keeps_its_length() {
    let (proxy, mut client) = both();
    proxy.set(NetworkFault::Garble(Way::ToClient, b"utf8", b"utf\x00"));
    client.say("utf8 and utf8, not utf");
    client.hears("utf\0 and utf\0, not utf");
    proxy.set(NetworkFault::None);
    client.say("utf8");
    client.hears("utf8");
}

#[test]
#[should_panic(expected = "keeps its length")]
fn what_would_change_the_length_is_refused() {
    both().0.set(NetworkFault::Garble(Way::ToClient, b"utf8", b""));
}

#[test]
fn what_is_swallowed_never_comes_and_its_end_does() {
    let (proxy, mut client) = both();
    let before = proxy.counts().to_server.bytes;
    proxy.swallow();
    client.say("anybody?");
    client.hears_nothing();
    let mut new = Client::new(&proxy);
    new.say("new ones are fine");
    new.hears("new ones are fine");
    proxy.set(NetworkFault::None);
    client.hears_nothing();
    assert_eq!(proxy.counts().to_server.bytes, before + 17, "what was swallowed is not counted");
    drop(client);
    eventually("one is open", || proxy.counts().open == 1);
}
