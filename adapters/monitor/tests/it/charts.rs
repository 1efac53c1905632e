//! The charts have a history, even for a time when nobody read.

use crate::client::{Reader, get, page};
use axum::Router;
use cabrank::Pool;
use cabrank_monitor::{Monitor, Pools};
use cabrank_testing::eventually;
use cabrank_testing::fake::{FakeManager, FakeServer};
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

#[test]
fn one_who_opens_the_page_sees_the_minutes_before() {
    let server = FakeServer::new();
    let (pool, _, page) = page(&server, "one", 2);
    let _held = pool.get().unwrap();
    unseen(&pool);
    let points = points(page.address(), "/looks");
    assert!(points.len() >= 2, "{points:?}");
    assert!(points.iter().all(|point| point.lent == 1), "{points:?}");
    assert!(points.iter().map(|point| point.loans).sum::<u64>() >= 10, "{points:?}");
    assert!(points.windows(2).all(|pair| pair[0].second < pair[1].second), "{points:?}");
}

#[test]
fn without_a_past_the_charts_begin_with_the_page() {
    let server = FakeServer::new();
    let pool = Pool::builder().build_lazy(server.manager()).unwrap();
    let monitor = Monitor::new(Pools::new().with(&pool)).only_while_read();
    let page = monitor.listen("127.0.0.1:0").unwrap();
    unseen(&pool);
    assert_eq!(points(page.address(), "/looks").len(), 0);
    eventually("then they grow", || points(page.address(), "/looks").len() > 1);
}

#[test]
fn mounted_within_a_runtime_it_needs_no_request_to_begin() {
    let server = FakeServer::new();
    let pool = Pool::builder().build_lazy(server.manager()).unwrap();
    let service =
        Service::new(|| Router::new().nest_service("/pool", cabrank_monitor::router(Pools::new().with(&pool))));
    unseen(&pool);
    assert!(points(service.at, "/pool/looks").len() >= 2);
}

#[test]
fn mounted_outside_of_a_runtime_it_begins_with_the_first_request() {
    let server = FakeServer::new();
    let pool = Pool::builder().build_lazy(server.manager()).unwrap();
    let router = cabrank_monitor::router(Pools::new().with(&pool));
    let service = Service::new(|| router);
    unseen(&pool);
    assert_eq!(get(service.at, "/look").json()["pools"][0]["points"].as_array().unwrap().len(), 0);
    unseen(&pool);
    assert!(points(service.at, "/looks").len() >= 2);
}

#[test]
fn samples_end_with_the_monitor_and_when_it_is_stopped() {
    let server = FakeServer::new();
    let pool = Pool::builder().build_lazy(server.manager()).unwrap();
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let _within = runtime.enter();
    let tasks = || runtime.metrics().num_alive_tasks();
    let monitor = Monitor::new(Pools::new().with(&pool));
    let routers = [monitor.router(), monitor.router()];
    assert_eq!(tasks(), 1, "one for all");
    monitor.stop();
    eventually("it ends", || tasks() == 0);
    drop((monitor.router(), routers));
    assert_eq!(tasks(), 0, "an ended one does not begin again");

    let router = cabrank_monitor::router(Pools::new().with(&pool));
    assert_eq!(tasks(), 1);
    drop(router);
    eventually("it ends", || tasks() == 0);
}

/// Some seconds with loans while nobody reads: this wait is the subject of the test.
fn unseen(pool: &Pool<FakeManager>) {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(4) {
        drop(pool.get().unwrap());
        thread::sleep(Duration::from_millis(50));
    }
}

#[derive(Debug)]
struct Point {
    second: u64,
    lent: u64,
    loans: u64,
}

/// The charts' data that a new reader receives at once.
fn points(at: SocketAddr, path: &str) -> Vec<Point> {
    let history = Reader::open_at(at, path).expect("a stream").history();
    let points = history["pools"][0]["points"].as_array().cloned().unwrap_or_default();
    let number = |point: &serde_json::Value, place: usize| point[place].as_u64().unwrap();
    points.iter().map(|it| Point { second: number(it, 0), lent: number(it, 1), loans: number(it, 3) }).collect()
}

/// A service on a separate thread.
struct Service {
    at: SocketAddr,
    _runtime: Runtime,
}

impl Service {
    /// Its routes may be created within its runtime, or before.
    fn new(routes: impl FnOnce() -> Router) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let at = listener.local_addr().unwrap();
        let within = runtime.enter();
        runtime.spawn(axum::serve(listener, routes()).into_future());
        drop(within);
        Self { at, _runtime: runtime }
    }
}
