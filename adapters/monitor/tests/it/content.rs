//! The content of a look.

use crate::client::{get, page};
use cabrank::{Fault, Holder, Pool};
use cabrank_monitor::{Monitor, Pools, Recorder};
use cabrank_testing::eventually;
use cabrank_testing::fake::{Call, FakeServer, Outcome};
use serde_json::Value;
use std::thread;
use std::time::Duration;

/// The first pool in the look.
fn pool_of(look: &Value) -> &Value {
    &look["pools"][0]
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

fn says(pool: &Value) -> String {
    let says: Vec<&str> = pool["says"].as_array().unwrap().iter().map(text).collect();
    says.join(" ")
}

#[test]
fn a_look_says_what_the_pool_says() {
    let server = FakeServer::new();
    let (pool, _, page) = page(&server, "accounts", 4);
    server.allow(4);
    let mut held: Vec<_> = (0..4).map(|_| pool.get().unwrap()).collect();
    held.truncate(2);
    eventually("two are idle", || pool.stats().idle == 2);
    let look = get(page.address(), "/look").json();
    let (shown, stats, holders) = (pool_of(&look), pool.stats(), pool.holders());
    assert_eq!((text(&shown["name"]), text(&shown["state"])), ("accounts", "up"));
    for (name, count) in [
        ("max_size", stats.max_size),
        ("open", stats.open),
        ("idle", stats.idle),
        ("lent", stats.in_use),
        ("waiting", 0),
    ] {
        assert_eq!(shown["counts"][name], count, "{name}");
    }
    assert_eq!(shown["totals"]["returned"], stats.returned);
    assert_eq!(shown["times"]["open"]["count"], 4);
    let connections = shown["connections"].as_array().unwrap();
    assert_eq!(connections.len(), pool.connections().len());
    let lent: Vec<&Value> = connections.iter().filter(|connection| connection["phase"] == "lent").collect();
    assert_eq!(lent.len(), holders.len());
    for Holder { id, call_site, thread, .. } in &holders {
        let connection = lent.iter().find(|connection| connection["id"] == *id).expect("it is shown");
        assert_eq!(text(&connection["site"]), call_site.to_string());
        assert_eq!(connection["thread"].as_u64(), *thread);
    }
    assert_eq!(shown["holders"][0]["count"], 2);
    let events = look["events"].as_array().unwrap();
    assert!(events.iter().any(|event| event["kind"] == "opened" && event["pool"] == "accounts"), "{events:?}");
}

#[test]
fn a_pool_that_has_lent_all_says_so_and_who_holds_them_before_anybody_waits() {
    let server = FakeServer::new();
    let (pool, _, page) = page(&server, "one", 1);
    let held = pool.get().unwrap();
    let look = get(page.address(), "/look").json();
    assert_eq!(text(&pool_of(&look)["title"]), "Up, all 1 lent: the next request will wait");
    assert!(says(pool_of(&look)).contains("Held: 1 of 1 loan from "), "{look}");
    drop(held);
}

#[test]
fn what_is_lent_in_an_outage_is_not_said_to_serve() {
    let server = FakeServer::new();
    let (pool, _, page) = page(&server, "two", 2);
    let held = pool.get().unwrap();
    server.order(Call::Connect, Outcome::Err(Fault::Unavailable));
    assert!(pool.get_timeout(Duration::from_millis(50)).is_err());
    let look = get(page.address(), "/look").json();
    let title = text(&pool_of(&look)["title"]);
    let expected = "Impaired: the server cannot be reached; 1 of 1 open connections lent, none idle; no request waits";
    assert_eq!(title, expected);
    assert!(says(pool_of(&look)).contains("Held: 1 of 1 loan from "), "{look}");
    drop(held);
}

#[test]
fn an_exhausted_pool_says_so_and_who_holds_the_connections() {
    let server = FakeServer::new();
    let (pool, _, page) = page(&server, "one", 1);
    thread::scope(|scope| {
        let held = pool.get().unwrap();
        thread::Builder::new().name("impatient".into()).spawn_scoped(scope, || drop(pool.get())).unwrap();
        eventually("it waits", || pool.stats().waiting == 1);
        let look = get(page.address(), "/look").json();
        let shown = pool_of(&look);
        assert_eq!(text(&shown["title"]), "Exhausted: all 1 connections are lent and 1 request waits");
        let said = says(shown);
        assert!(
            said.contains("Held: 1 of 1 loan from adapters/monitor/tests/it/content.rs") || said.contains("content.rs"),
            "{said}"
        );
        assert!(said.contains("The first in the queue has waited for") && said.contains("gives up in"), "{said}");
        let waiter = &shown["waiters"][0];
        assert_eq!(text(&waiter["name"]), "impatient");
        assert!(text(&waiter["site"]).contains("content.rs"));
        assert!(waiter["left_ms"].as_f64().unwrap() > 1_000.0);
        assert_eq!((&shown["waiters_hidden"], &shown["askers"][0]["count"]), (&Value::from(0), &Value::from(1)));
        drop(held);
    });
}

#[test]
fn a_thread_that_waits_for_itself_is_pointed_out() {
    let server = FakeServer::new();
    let (pool, _, page) = page(&server, "one", 1);
    thread::scope(|scope| {
        scope.spawn(|| {
            let _held = pool.get().unwrap();
            assert!(pool.get().is_err());
        });
        eventually("it holds one and waits", || pool.stats().waiting == 1 && pool.stats().in_use == 1);
        let look = get(page.address(), "/look").json();
        assert!(says(pool_of(&look)).contains("1 thread holds a connection while waiting for another"), "{look}");
        pool.close();
    });
    // A look is reused until the next one is due.
    eventually("it is closed", || {
        let look = get(page.address(), "/look").json();
        text(&pool_of(&look)["title"]) == "Closed: no connection is left"
    });
}

#[test]
fn an_outage_says_since_when_and_why_and_when_the_next_attempt_is_due() {
    let server = FakeServer::new();
    let (pool, _, page) = page(&server, "one", 2);
    server.order(Call::Connect, Outcome::Err(Fault::Permanent));
    assert!(pool.get_timeout(Duration::from_millis(50)).is_err());
    let look = get(page.address(), "/look").json();
    let shown = pool_of(&look);
    assert!(text(&shown["title"]).starts_with("Down for "), "{shown}");
    assert!(text(&shown["title"]).contains("the server refuses connections until the cause is fixed"), "{shown}");
    let said = says(shown);
    assert!(said.contains("1 attempt to connect failed") && said.contains("the next is due in"), "{said}");
    assert!(said.contains("Connect failed: Permanent"), "{said}");
    assert_eq!(shown["outage"]["failures"], 1);
    let mut kinds: Vec<&str> = look["events"].as_array().unwrap().iter().map(|event| text(&event["kind"])).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["open failed", "refused"]);
}

#[test]
fn hostile_names_are_texts_with_nothing_unseen_in_them() {
    let server = FakeServer::new();
    let name = "</script><script>alert('1')</script>\"\u{202e}\u{200b}data: x";
    let (pool, _, page) = page(&server, name, 1);
    drop(pool.get().unwrap());
    let answer = get(page.address(), "/look");
    assert!(!answer.body.contains(['\n', '\u{202e}', '\u{200b}']), "{:?}", answer.body);
    let look = answer.json();
    let shown = "</script><script>alert('1')</script>\"\\u{202e}\\u{200b}data: x";
    assert_eq!(text(&pool_of(&look)["name"]), shown);
    assert_eq!(text(&look["events"][0]["pool"]), shown);
    assert!(!get(page.address(), "/").body.contains("alert("), "the page itself has no name in it");
}

#[test]
fn of_many_connections_the_most_interesting_are_listed_and_the_others_counted() {
    let server = FakeServer::new();
    server.allow(1_000);
    let (pool, _, page) = page(&server, "big", 1_000);
    let mut held: Vec<_> = (0..1_000).map(|_| pool.get().unwrap()).collect();
    held.truncate(3);
    eventually("the others are idle", || pool.stats().idle == 997);
    let look = get(page.address(), "/look").json();
    let shown = pool_of(&look);
    let connections = shown["connections"].as_array().unwrap();
    assert_eq!((connections.len(), &shown["connections_hidden"]), (200, &Value::from(800)));
    assert_eq!(connections.iter().filter(|connection| connection["phase"] == "lent").count(), 3);
    assert_eq!((&shown["counts"]["idle"], &shown["counts"]["lent"]), (&Value::from(997), &Value::from(3)));
}

#[test]
fn events_are_kept_in_a_ring_and_those_of_a_kind_count_as_one() {
    let server = FakeServer::new();
    let (pool, _, page) = page(&server, "one", 1);
    let _held = pool.get().unwrap();
    for _ in 0..50 {
        assert!(pool.get_timeout(Duration::from_nanos(1)).is_err());
    }
    let look = get(page.address(), "/look").json();
    let events = look["events"].as_array().unwrap();
    let times: u64 =
        events.iter().filter(|event| event["kind"] == "timed out").map(|event| event["times"].as_u64().unwrap()).sum();
    assert_eq!(times, 50);
    assert!(events.len() < 10, "{events:?}");
    for _ in 0..1_000 {
        assert!(pool.get_timeout(Duration::from_nanos(1)).is_err());
        assert!(pool.try_get().unwrap().is_none());
    }
    assert!(get(page.address(), "/look").json()["events"].as_array().unwrap().len() <= 60);
}

#[test]
fn a_pool_that_is_gone_is_shown_no_more_and_one_that_comes_later_is() {
    let server = FakeServer::new();
    let (pools, recorder) = (Pools::new(), Recorder::new());
    let build = |name: &str| {
        let pool = Pool::builder().name(name).build(server.manager()).unwrap();
        pools.add(&pool);
        pool
    };
    let page = Monitor::new(pools.clone().with_events(&recorder)).listen("127.0.0.1:0").unwrap();
    let names = || -> Vec<String> {
        let look = get(page.address(), "/look").json();
        look["pools"].as_array().unwrap().iter().map(|pool| text(&pool["name"]).to_owned()).collect()
    };
    // A look is reused until the next one is due.
    let first = build("first");
    eventually("it is shown", || names() == ["first"]);
    let _second = build("second");
    eventually("both are shown", || names() == ["first", "second"]);
    drop(first);
    eventually("one is shown", || names() == ["second"]);
}
