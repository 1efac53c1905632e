//! Access control. Any web page in a browser on this machine can send requests here, and it could read the answers through a host name
//! of its own that resolves to this machine. Therefore the requested host must be a name of this machine, or an allowed one.

use crate::hub::Hub;
use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderName, ORIGIN, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::net::IpAddr;
use std::sync::Arc;

/// Refuses a request or lets it pass, and restricts what the browser may do with the answer.
pub(crate) async fn guard(State(hub): State<Arc<Hub>>, request: Request, next: Next) -> Response {
    let mut response = match check(&hub, request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(why) => (StatusCode::FORBIDDEN, [(CONTENT_TYPE, "text/plain; charset=utf-8")], why).into_response(),
    };
    for (name, value) in headers() {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

fn check(hub: &Hub, uri: &Uri, headers: &HeaderMap) -> Result<(), &'static str> {
    let mut hosts = headers.get_all(HOST).iter();
    let host = match (hosts.next(), hosts.next(), uri.authority()) {
        (Some(host), None, authority) if authority.is_none_or(|authority| authority.as_str() == host) => {
            host.to_str().map_err(|_| NO_NAME)?
        }
        (None, None, Some(authority)) => authority.as_str(),
        _ => return Err("the request must name exactly one host"),
    };
    let name = name_of(host).ok_or(NO_NAME)?;
    if !is_this_machine(name) && !hub.allows_host(name, host) {
        return Err("this host is not allowed: see `Monitor::allow_host`");
    }
    let is_own = |origin: &str| origin.split_once("://").is_some_and(|(_, from)| from.eq_ignore_ascii_case(host));
    let mut origins = headers.get_all(ORIGIN).iter().map(HeaderValue::to_str);
    // A browser sends no origin for what another site's page embeds, such as a picture, but it sends that the request is cross-site. It
    // sends the same when a person follows a link to the page, which is allowed.
    let all = |name: HeaderName, allowed: &[&[u8]]| {
        headers.get_all(name).iter().all(|value| allowed.contains(&value.as_bytes()))
    };
    let is_page = !["/look", "/looks"].iter().any(|data| uri.path().ends_with(data));
    let is_followed = is_page && headers.contains_key(SEC_FETCH_DEST) && all(SEC_FETCH_DEST, &[b"document"]);
    let is_asked_here = is_followed || all(SEC_FETCH_SITE, &[b"same-origin", b"none"]);
    if is_asked_here && origins.all(|origin| origin.is_ok_and(is_own)) {
        Ok(())
    } else {
        Err("requests from other origins are refused")
    }
}

/// Without the port. `None` if there is more than a name and a port.
fn name_of(host: &str) -> Option<&str> {
    let (name, behind) = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => host.split_at(host.find(':').unwrap_or(host.len())),
    };
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    (behind.is_empty() || behind.strip_prefix(':').is_some_and(is_port)).then_some(name)
}

fn is_this_machine(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name == "localhost"
        || name.ends_with(".localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Forbids a browser to store an answer, guess its type, show it in a frame, or share it with other origins.
fn headers() -> [(HeaderName, &'static str); 5] {
    [
        (CACHE_CONTROL, "no-store"),
        (REFERRER_POLICY, "no-referrer"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ]
}

/// Which site's page makes the request; `none` if a person types the address.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// What the browser does with the answer; `document` is a page of its own.
const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");
const NO_NAME: &str = "the host is not a valid name";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_this_machine_are_told_from_others() {
        for host in
            ["localhost", "LOCALHOST:3000", "app.localhost", "127.0.0.1:3000", "127.8.8.8", "[::1]:3000", "[::1]"]
        {
            assert!(name_of(host).is_some_and(is_this_machine), "{host}");
        }
        for host in [
            "",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "10.0.0.1",
            "[::2]",
            "evil.example:3000",
            "0.0.0.0",
        ] {
            assert!(!name_of(host).is_some_and(is_this_machine), "{host}");
        }
    }
}
