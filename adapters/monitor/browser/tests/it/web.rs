//! The page of the example `web`, a service in a separate process with a real PostgreSQL: under load, exhausted, in an outage, and at
//! its end.

use crate::service::ask;
use crate::watched::{Numbers, Watched};
use cabrank_testing::{NetworkFault, eventually};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::thread::JoinHandle;

fn under_load_the_page_shows_what_the_service_says_of_the_same_moment() {
    let mut watched = Watched::start(&["--max-size", "4", "--wait", "60"]);
    let load = Load::begin(watched.service.address, 8);
    eventually("there is load", || load.answered() > 50);
    let seen: Vec<_> = (0..5).map(|_| watched.assert_agrees()).collect();
    assert!(seen[4].numbers.returned() > seen[0].numbers.returned(), "there was load: {seen:?}");
    load.end();
    watched.comes_to_rest();
    let seen = watched.assert_agrees();
    assert_eq!(seen.numbers, Numbers::of(&watched.service.json("/stats")));
    assert!(seen.title.starts_with("Up: 0 of 4 lent"), "{seen:?}");
    watched.browser.eventually(
        "the charts have the load",
        "rings.get(chosen).points.reduce((sum, point) => sum + point[LOANS], 0) > 50",
    );
    assert_eq!(watched.browser.complaints(), [""; 0]);
}

fn of_a_locked_table_the_page_says_who_holds_the_connections_and_how_many_wait() {
    let mut watched = Watched::start(&["--max-size", "2", "--wait", "60"]);
    let locked = watched.service.locked();
    let address = watched.service.address;
    let clients: Vec<_> =
        (0..5).map(|_| thread::spawn(move || ask(address, "GET /accounts", "").expect("an answer").status)).collect();
    watched.browser.eventually("three wait", "last.pools[0].counts.waiting === 3");
    let seen = watched.assert_agrees();
    assert_eq!(seen.title, "Exhausted: all 2 connections are lent and 3 requests wait");
    assert!(seen.says.contains("Held: 2 of 2 loans from ") && seen.says.contains("routes.rs"), "{seen:?}");
    assert!(seen.says.contains("The first in the queue has waited for "), "{seen:?}");
    assert_eq!((seen.numbers.max_size, seen.numbers.in_use, seen.numbers.waiting), (2, 2, 3));
    assert_eq!(seen.numbers, Numbers::of(&watched.service.json("/stats")));
    drop(locked);
    assert!(clients.into_iter().all(|client| client.join().unwrap() == 200), "each is served in the end");
    watched.comes_to_rest();
    assert_eq!(watched.assert_agrees().numbers, Numbers::of(&watched.service.json("/stats")));
    assert_eq!(watched.browser.complaints(), [""; 0]);
}

fn of_an_outage_the_page_says_what_the_service_says_and_when_it_is_over() {
    let mut watched = Watched::start(&["--max-size", "2", "--wait", "1"]);
    watched.comes_to_be("up");
    watched.service.proxy.set(NetworkFault::Refuse);
    watched.service.proxy.close_all();
    let ask = |watched: &Watched, path: &str| watched.service.ask(&format!("GET /{path}"), "").expect("an answer");
    eventually("it is noticed", || {
        let _ = ask(&watched, "accounts");
        ask(&watched, "ready").body.starts_with("down for ")
    });
    watched.comes_to_be("down");
    eventually("more attempts have failed", || {
        assert_eq!(ask(&watched, "accounts").status, 503);
        watched.browser.evaluate("last.pools[0].outage?.failures > 2") == true
    });
    let seen = watched.assert_agrees();
    assert!(seen.title.starts_with("Down for ") && seen.title.contains("the server cannot be reached"), "{seen:?}");
    assert!(seen.says.contains("attempts to connect failed in "), "{seen:?}");
    assert!(seen.says.contains("The last attempt failed "), "{seen:?}");
    assert_eq!(seen.numbers, Numbers::of(&watched.service.json("/stats")));
    watched.service.proxy.set(NetworkFault::None);
    eventually("it is over", || ask(&watched, "accounts").status == 200);
    watched.comes_to_rest();
    assert_eq!(watched.assert_agrees().numbers, Numbers::of(&watched.service.json("/stats")));
    assert_eq!(watched.browser.complaints(), [""; 0]);
}

fn while_the_service_drains_the_page_shows_the_last_requests_until_they_are_answered() {
    let mut watched = Watched::start(&["--max-size", "2", "--wait", "60", "--linger", "10", "--deadline", "60"]);
    let locked = watched.service.locked();
    let address = watched.service.address;
    let client = thread::spawn(move || ask(address, "GET /accounts", "").expect("an answer").status);
    watched.browser.eventually("one is lent", "last.pools[0].counts.lent === 1");
    watched.service.terminate();
    eventually("it wants no more requests", || {
        watched.service.ask("GET /ready", "").is_ok_and(|answer| answer.status == 503 && answer.body == "ending")
    });
    // The connection stays lent for a while.
    assert_eq!(watched.assert_agrees().numbers.in_use, 1);
    eventually("nothing new is accepted", || TcpStream::connect(address).is_err());
    // Readers still see the request that is under way.
    let last = watched.browser.evaluate("last.number");
    watched.browser.eventually("looks go on", &format!("last.number > {last} + 4 && last.pools[0].counts.lent === 1"));
    assert_eq!(watched.browser.text("#link").split(',').next(), Some("live"));
    assert_eq!(watched.browser.complaints(), [""; 0]);
    drop(locked);
    assert_eq!(client.join().unwrap(), 200);
    watched.browser.eventually("the connection is lost", "!document.getElementById('lost').hidden");
    assert!(watched.browser.text("#lost").starts_with("Connection lost: last update at "));
    // The last look shows that every request was answered.
    assert!(watched.browser.text("#title").starts_with("Up: 0 of 2 lent"), "{}", watched.browser.text("#title"));
    let refused = watched.browser.complaints();
    assert!(refused.iter().all(|it| it.contains("net::ERR_CONNECTION_REFUSED")), "{refused:?}");
    assert_eq!(watched.service.line(), "SIGTERM: ending within 60s");
    assert_eq!(watched.service.line(), "all requests answered: true; 0 connections and 0 threads left");
    assert!(watched.service.ends_well());
}

/// Clients that request transfers without a pause.
struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    fn begin(address: SocketAddr, clients: u64) -> Self {
        let (stop, answered) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let client = |number| {
            let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
            let transfer = format!(r#"{{"from":{},"to":{},"amount":1}}"#, number + 1, number + 2);
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let status = ask(address, "POST /transfers", &transfer).expect("an answer").status;
                    assert!(matches!(status, 200 | 409), "only too little money stops a transfer: {status}");
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            })
        };
        let clients = (0..clients).map(client).collect();
        Self { stop, answered, clients }
    }

    fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.clients.into_iter().for_each(|client| client.join().expect("clients do not panic"));
    }
}

cabrank_testing::tests! {
    cabrank_testing::harness::alone:
        under_load_the_page_shows_what_the_service_says_of_the_same_moment,
        of_a_locked_table_the_page_says_who_holds_the_connections_and_how_many_wait,
        of_an_outage_the_page_says_what_the_service_says_and_when_it_is_over,
        while_the_service_drains_the_page_shows_the_last_requests_until_they_are_answered,
}
