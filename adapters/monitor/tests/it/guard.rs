//! Which requests are answered, and with which headers.

use crate::client::{ask, get, page};
use cabrank::Pool;
use cabrank_monitor::{Monitor, Pools};
use cabrank_testing::fake::FakeServer;
use std::io::ErrorKind;

const PATHS: [&str; 3] = ["/", "/look", "/looks"];

#[test]
fn only_hosts_of_this_machine_and_those_that_were_allowed_are_answered() {
    let server = FakeServer::new();
    let (_pool, monitor, page) = page(&server, "one", 1);
    let (at, port) = (page.address(), page.address().port());
    let status = |host: &str| ask(at, &format!("GET /look HTTP/1.1\r\n{host}Connection: close\r\n\r\n")).status;
    for host in [format!("127.0.0.1:{port}"), format!("localhost:{port}"), "app.localhost".into(), "[::1]:1".into()] {
        assert_eq!(status(&format!("Host: {host}\r\n")), 200, "{host}");
    }
    for host in
        ["evil.example", "127.0.0.1.evil.example", "10.0.0.1", "localhost.", "", "x@localhost", "pools.example:80"]
    {
        assert_eq!(status(&format!("Host: {host}\r\n")), 403, "{host}");
    }
    for host in ["[::1].evil.example", "[::1]@evil.example", "localhost:@evil.example", "localhost:80.evil.example"] {
        assert_eq!(status(&format!("Host: {host}\r\n")), 403, "{host}");
    }
    let absolute = "GET http://evil.example/look HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    assert_eq!(ask(at, absolute).status, 403, "it names two");
    assert_ne!(status(""), 200, "it names none");
    assert_ne!(status("Host: localhost\r\nHost: evil.example\r\n"), 200, "it names two");
    for path in PATHS {
        assert_eq!(
            ask(at, &format!("GET {path} HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n")).status,
            403
        );
    }
    let hosts = ["pools.example", "gate.example:8080", "10.0.0.1", "[fd00::1]", "front.example:443"];
    let _ = hosts.into_iter().fold(monitor, |monitor, host| monitor.allow_host(host));
    for (host, expected) in [
        ("Pools.Example:80", 200),
        ("pools.example", 200),
        ("gate.example:8080", 200),
        ("gate.example:80", 403),
        ("gate.example", 403),
        ("10.0.0.1:3000", 200),
        ("10.0.0.2", 403),
        ("[fd00::1]:3000", 200),
        ("[fd00::2]:3000", 403),
        ("front.example", 200),
        ("front.example:443", 200),
        ("front.example:8080", 403),
    ] {
        assert_eq!(status(&format!("Host: {host}\r\n")), expected, "{host}");
    }
}

#[test]
fn what_another_sites_page_embeds_is_refused_and_takes_no_readers_place() {
    let server = FakeServer::new();
    let (_pool, _, page) = page(&server, "one", 1);
    let at = page.address();
    let asked_for = |path: &str, site: &str| {
        let site = format!("Sec-Fetch-Site: {site}\r\n");
        ask(at, &format!("GET {path} HTTP/1.1\r\nHost: {at}\r\n{site}Connection: close\r\n\r\n")).status
    };
    let asked_by = |site: &str| asked_for("/look", site);
    assert_eq!(["same-origin", "none"].map(asked_by), [200, 200]);
    assert_eq!(["cross-site", "same-site", "", "none\r\nSec-Fetch-Site: cross-site"].map(asked_by), [403; 4]);
    assert_eq!(asked_by("cross-site\r\nSec-Fetch-Dest: image"), 403);
    let link = "cross-site\r\nSec-Fetch-Dest: document";
    assert_eq!(["/", "/look", "/looks"].map(|path| asked_for(path, link)), [200, 403, 403], "a link leads to the page");
}

#[test]
fn only_the_pages_own_origin_is_answered() {
    let server = FakeServer::new();
    let (_pool, _, page) = page(&server, "one", 1);
    let at = page.address();
    let status = |origin: &str| {
        ask(at, &format!("GET /look HTTP/1.1\r\nHost: {at}\r\nOrigin: {origin}\r\nConnection: close\r\n\r\n")).status
    };
    assert_eq!(status(&format!("http://{at}")), 200);
    for origin in ["null", "http://evil.example", "http://127.0.0.1:1", "http://localhost", &format!("http://x.{at}")] {
        assert_eq!(status(origin), 403, "{origin}");
    }
    assert_eq!(status(&format!("http://{at}\r\nOrigin: http://evil.example")), 403, "two");
}

#[test]
fn nothing_can_be_changed() {
    let server = FakeServer::new();
    let (_pool, _, page) = page(&server, "one", 1);
    let at = page.address();
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        for path in PATHS {
            let request =
                format!("{method} {path} HTTP/1.1\r\nHost: {at}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            assert_eq!(ask(at, &request).status, 405, "{method} {path}");
        }
    }
    assert_eq!(get(at, "/other").status, 404);
}

#[test]
fn the_page_may_load_nothing_and_nobody_may_keep_or_frame_what_is_answered() {
    let server = FakeServer::new();
    let (_pool, _, listening) = page(&server, "one", 1);
    let at = listening.address();
    let policies = [get(at, "/"), get(at, "/")].map(|page| {
        assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
        let policy = page.header("content-security-policy").to_owned();
        assert!(policy.starts_with("default-src 'none';"), "{policy}");
        for part in ["connect-src 'self'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"] {
            assert!(policy.contains(part), "{policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        let nonce =
            policy.split("script-src 'nonce-").nth(1).and_then(|rest| rest.split('\'').next()).expect("a nonce");
        assert_eq!(page.body.matches(&format!("nonce=\"{nonce}\"")).count(), 2, "one style, one script");
        // The page loads nothing, and contains no call that would interpret a text as code or markup.
        for way in [
            "https://",
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "style=",
            "onclick=",
        ] {
            assert!(!page.body.contains(way), "{way}");
        }
        let addresses = page.body.matches("http://").count();
        assert_eq!(addresses, page.body.matches("http://www.w3.org/2000/svg").count(), "the name of a language alone");
        policy
    });
    assert_ne!(policies[0], policies[1], "a nonce is for one answer");
    for answer in
        [get(at, "/"), get(at, "/look"), ask(at, "GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n")]
    {
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
        assert_eq!(answer.header("x-frame-options"), "DENY");
        assert_eq!(answer.header("cross-origin-resource-policy"), "same-origin");
    }
}

#[test]
fn other_addresses_than_those_of_this_machine_are_refused_unless_asked_for() {
    let server = FakeServer::new();
    let pool = Pool::builder().build_lazy(server.manager()).unwrap();
    let monitor = Monitor::new(Pools::new().with(&pool));
    for address in ["0.0.0.0:0", "[::]:0", "10.0.0.1:0"] {
        let error = monitor.listen(address).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("listen_openly"), "{error}");
    }
    let page = monitor.listen_openly("0.0.0.0:0").unwrap();
    let at = ([127, 0, 0, 1], page.address().port()).into();
    assert_eq!(get(at, "/look").status, 200);
}
