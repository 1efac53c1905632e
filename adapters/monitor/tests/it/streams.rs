//! Readers of the stream: one sampler for all, and no reader waits for a slow one.

use crate::client::{Reader, get, page};
use cabrank_testing::eventually;
use cabrank_testing::fake::FakeServer;
use std::time::{Duration, Instant};

#[test]
fn many_read_the_same_looks_and_one_sampler_takes_them() {
    let server = FakeServer::new();
    let (pool, monitor, page) = page(&server, "one", 2);
    let _ = monitor.looks_per_second(10);
    let _held = pool.get().unwrap();
    let begin = Instant::now();
    let mut readers: Vec<_> = (0..20).map(|_| Reader::open(page.address())).collect();
    let first = readers[0].look().unwrap();
    let mut last = first.clone();
    while begin.elapsed() < Duration::from_secs(1) {
        last = readers[0].look().unwrap();
    }
    // All twenty have read, and the number of a look counts all looks.
    let number = |look: &serde_json::Value| look["number"].as_u64().unwrap();
    let most = begin.elapsed().as_millis() as u64 / 100 + 2;
    assert!(number(&last) <= most, "{} looks in {:?}", number(&last), begin.elapsed());
    for reader in &mut readers[1..] {
        let mut look = reader.look().unwrap();
        while number(&look) < number(&last) {
            look = reader.look().unwrap();
        }
        assert_eq!(look["pools"][0]["counts"]["lent"], 1);
        if number(&look) == number(&last) {
            assert_eq!(look, last);
        }
    }
}

#[test]
fn the_sampler_sleeps_while_nobody_reads_and_wakes_for_the_next() {
    let server = FakeServer::new();
    let (_pool, monitor, page) = page(&server, "one", 1);
    let _ = monitor.looks_per_second(10);
    let mut reader = Reader::open(page.address());
    reader.look().unwrap();
    drop(reader);
    // Each request for `look` may take one; only a sampler takes more.
    let number = || get(page.address(), "/look").json()["number"].as_u64().unwrap();
    eventually("it sleeps", || {
        let before = number();
        std::thread::sleep(Duration::from_millis(350));
        number() == before + 1
    });
    assert!(Reader::open(page.address()).look().is_some());
}

#[test]
fn one_who_does_not_read_holds_up_nobody_and_has_the_newest_look_when_it_reads() {
    let server = FakeServer::new();
    server.allow(200);
    let (pool, monitor, page) = page(&server, "one", 200);
    let _ = monitor.looks_per_second(10);
    let _held: Vec<_> = (0..200).map(|_| pool.get().unwrap()).collect();
    let (mut slow, mut quick) = (Reader::open(page.address()), Reader::open(page.address()));
    let first = slow.look().unwrap()["number"].as_u64().unwrap();
    let begin = Instant::now();
    let mut last = 0;
    // The buffers between the two sides hold some megabytes, at 40 KB for each look.
    for _ in 0..100 {
        last = quick.look().unwrap()["number"].as_u64().unwrap();
    }
    assert!(last >= first + 90, "{first} {last}");
    assert!(begin.elapsed() < Duration::from_secs(30), "it was held up");
    let mut looks = 0;
    while slow.look().unwrap()["number"].as_u64().unwrap() < last {
        looks += 1;
    }
    assert!(looks <= last - first);
}

#[test]
fn a_monitor_that_stops_ends_its_streams_and_takes_no_new_readers() {
    let server = FakeServer::new();
    let (_pool, monitor, page) = page(&server, "one", 1);
    let mut reader = Reader::open(page.address());
    assert!(reader.look().is_some());
    monitor.stop();
    while reader.look().is_some() {}
    assert_eq!(get(page.address(), "/looks").status, 503);
    assert_eq!(get(page.address(), "/look").status, 200);
}

#[test]
fn the_last_look_is_taken_when_the_monitor_stops() {
    let server = FakeServer::new();
    let (pool, monitor, page) = page(&server, "one", 1);
    let _ = monitor.clone().looks_per_second(1);
    let held = pool.get().unwrap();
    let mut reader = Reader::open(page.address());
    let mut last = reader.look().unwrap();
    assert_eq!(last["pools"][0]["counts"]["lent"], 1);
    drop(held);
    eventually("it is back", || pool.stats().idle == 1);
    monitor.stop();
    while let Some(look) = reader.look() {
        last = look;
    }
    assert_eq!(last["pools"][0]["counts"]["lent"], 0);
}

#[test]
fn a_page_that_is_served_no_more_leaves_no_thread_and_no_listener() {
    let server = FakeServer::new();
    let (pool, _monitor, page) = page(&server, "one", 1);
    let at = page.address();
    let mut reader = Reader::open(at);
    assert!(reader.look().is_some());
    page.stop();
    while reader.look().is_some() {}
    assert!(std::net::TcpStream::connect(at).is_err());
    // It kept the pool neither open nor alive.
    let weak = pool.downgrade();
    drop(pool);
    assert!(weak.upgrade().is_none());
}

#[test]
fn no_more_than_sixty_four_read_at_a_time() {
    let server = FakeServer::new();
    let (_pool, _monitor, page) = page(&server, "one", 1);
    let mut readers: Vec<_> = (0..64).map(|_| Reader::open(page.address())).collect();
    assert_eq!(get(page.address(), "/looks").status, 503);
    // The next look reveals that a reader is gone.
    readers.pop();
    eventually("there is a place", || Reader::try_open(page.address()).is_some());
}
