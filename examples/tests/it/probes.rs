//! The platform's probes of the example `web`, in each of its states.

use crate::place::{Place, on_each_engine, on_each_server};
use crate::service::{Service, ask, begin};
use crate::web::{Obstacle, assert_clean_end};
use cabrank_testing::{NetworkFault, Proxy, eventually};
use std::io::Read;
use std::net::ToSocketAddrs;
use url::Url;

fn a_service_that_is_to_end_is_alive_and_no_longer_ready(place: &mut Place) {
    let mut service = Service::start(place, &["--linger", "3", "--deadline", "60"]);
    assert_eq!(said(&service, "alive"), (200, "alive".into()));
    assert_eq!(said(&service, "started"), (200, "started".into()));
    assert_eq!(said(&service, "ready"), (200, "up".into()));

    service.terminate();
    eventually("it wants no more requests", || said(&service, "ready") == (503, "ending".into()));
    assert_eq!(said(&service, "alive").0, 200);
    // It lingers, and still answers requests.
    assert_eq!(said(&service, "accounts").0, 200);
    assert_eq!(service.line(), "SIGTERM: ending within 60s");
    assert_eq!(service.line(), "all requests answered: true; 0 connections and 0 threads left");
    assert!(service.ended().success());
}

fn a_busy_service_is_ready_and_says_how_long_a_wait_is_likely(place: &mut Place) {
    let service = Service::start(place, &["--max-size", "1", "--wait", "60"]);
    let obstacle = Obstacle::new(place);
    let transfer = r#"{"from":1,"to":2,"amount":1}"#;
    let held = begin(service.address, "POST /transfers", transfer).expect("a connection");
    eventually("one is lent", || service.stats().get("in_use") == 1);
    let waiting = begin(service.address, "GET /accounts", "").expect("a connection");
    eventually("one waits", || service.stats().get("waiting") == 1);

    let (status, text) = said(&service, "ready");
    assert!(status == 200 && text.starts_with("busy: a new request is likely to wait for "), "{status} {text}");
    assert_eq!(said(&service, "alive").0, 200);
    obstacle.remove();
    drop((held, waiting));
}

fn while_the_server_is_away_the_service_is_alive_and_ready_and_has_not_started(place: &mut Place) {
    let (proxy, url) = proxy_before(place);
    proxy.set(NetworkFault::Refuse);
    let service = Service::launch(&url, &["--wait", "1"]);
    assert_eq!(said(&service, "alive").0, 200);
    assert_eq!(said(&service, "started"), (503, "starting".into()));
    eventually("the pool has noticed", || said(&service, "ready").1.starts_with("down for "));
    assert_eq!(said(&service, "ready").0, 200, "no other replica would fare better");
    assert_eq!(said(&service, "accounts"), (503, "busy".into()));
    assert_eq!(said(&service, "started").0, 503);

    proxy.set(NetworkFault::None);
    eventually("it has started", || said(&service, "started").0 == 200);
    assert_eq!(said(&service, "accounts").0, 200);
    assert_eq!(said(&service, "ready"), (200, "up".into()));

    // Later the answers are the same, except that a service that has started stays started.
    proxy.set(NetworkFault::Refuse);
    proxy.close_all();
    eventually("the pool has noticed", || {
        let _ = said(&service, "accounts");
        said(&service, "ready").1.starts_with("down for ")
    });
    assert_eq!((said(&service, "alive").0, said(&service, "started").0, said(&service, "ready").0), (200, 200, 200));
    proxy.set(NetworkFault::None);
    eventually("all is well again", || said(&service, "accounts").0 == 200);
}

fn the_metrics_are_those_of_the_pool(place: &mut Place) {
    let service = Service::start(place, &["--max-size", "3"]);
    let answer = ask(service.address, "GET /metrics", "").expect("the metrics");
    assert!(answer.head.contains("content-type: text/plain; version=0.0.4"), "{}", answer.head);
    let pool = r#"{db_client_connection_pool_name="web"}"#;
    for line in
        [format!("db_client_connection_max{pool} 3"), format!("db_client_connection_use_time_seconds_count{pool} 1")]
    {
        assert!(answer.body.lines().any(|found| found == line), "no {line} in {}", answer.body);
    }
}

/// A stream of the live page has no end of its own, but must not keep the service from ending.
fn the_live_page_shows_the_pool_and_ends_with_the_service(place: &mut Place) {
    let mut service = Service::start(place, &["--max-size", "3", "--deadline", "60"]);
    let page = ask(service.address, "GET /pool", "").expect("the page");
    assert!(page.head.contains("content-security-policy: default-src 'none'"), "{}", page.head);
    let look = ask(service.address, "GET /pool/look", "").expect("a look");
    assert!(look.body.contains(r#""name":"web""#), "{}", look.body);

    let mut watching = begin(service.address, "GET /pool/looks", "").expect("a stream");
    let mut beginning = [0; 12];
    watching.read_exact(&mut beginning).expect("looks");
    assert_eq!(&beginning, b"HTTP/1.1 200");
    service.terminate();
    watching.read_to_end(&mut Vec::new()).expect("the end of the stream");
    assert_clean_end(&mut service, place);
}

/// The status and the text of an answer.
fn said(service: &Service, path: &str) -> (u16, String) {
    let answer = ask(service.address, &format!("GET /{path}"), "").expect("an answer");
    (answer.status, answer.body)
}

/// A proxy between the service and its server, and the URL that leads through it.
pub(crate) fn proxy_before(place: &Place) -> (Proxy, String) {
    let mut url = Url::parse(&place.url).expect("a URL");
    let server = (url.host_str().expect("a host"), url.port().expect("a port"));
    let server = server.to_socket_addrs().expect("an address").next().expect("one at least");
    let proxy = Proxy::start(server).expect("a proxy");
    url.set_ip_host(proxy.address().ip()).expect("it had a host");
    url.set_port(Some(proxy.address().port())).expect("it had a port");
    (proxy, url.into())
}

cabrank_testing::tests! {
    on_each_engine:
        a_service_that_is_to_end_is_alive_and_no_longer_ready,
        a_busy_service_is_ready_and_says_how_long_a_wait_is_likely,
        the_live_page_shows_the_pool_and_ends_with_the_service,
        the_metrics_are_those_of_the_pool;
    on_each_server:
        while_the_server_is_away_the_service_is_alive_and_ready_and_has_not_started,
}
