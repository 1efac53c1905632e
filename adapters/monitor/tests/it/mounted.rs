//! The page within a user's service.

use crate::client::{Reader, get};
use axum::Router;
use axum::routing::get as on_get;
use cabrank::Pool;
use cabrank_monitor::{Monitor, Pools};
use cabrank_testing::fake::FakeServer;
use std::thread;
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::sync::oneshot;

#[test]
fn as_a_service_it_answers_with_and_without_a_slash_behind() {
    let server = FakeServer::new();
    let pool = Pool::builder().name("mounted").build_lazy(server.manager()).unwrap();
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let at = listener.local_addr().unwrap();
    let page = cabrank_monitor::router(Pools::new().with(&pool));
    runtime.spawn(axum::serve(listener, Router::new().nest_service("/pool", page)).into_future());
    for path in ["/pool", "/pool/"] {
        let page = get(at, path);
        assert!(page.status == 200 && page.body.contains("<title>Connection pools</title>"), "{path}: {}", page.status);
    }
    assert_eq!(get(at, "/pool/look").json()["pools"][0]["name"], "mounted");
    assert_eq!(get(at, "/pool/other").status, 404);
}

#[test]
fn a_service_has_the_page_where_it_likes_and_ends_in_good_order_though_somebody_reads() {
    let server = FakeServer::new();
    let pool = Pool::builder().name("mounted").build(server.manager()).unwrap();
    let monitor = Monitor::new(Pools::new().with(&pool));
    let app = Router::new().route("/", on_get(|| async { "the service" })).nest("/pool", monitor.router());
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let at = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let service = thread::spawn(move || {
        let served = axum::serve(listener, app).with_graceful_shutdown(async { drop(stopped.await) });
        runtime.block_on(served.into_future())
    });
    assert_eq!(get(at, "/").body, "the service");
    let page = get(at, "/pool");
    assert!(page.status == 200 && page.body.contains("<title>Connection pools</title>"), "{}", page.status);
    assert_eq!(get(at, "/pool/look").json()["pools"][0]["name"], "mounted");
    let mut reader = Reader::open_at(at, "/pool/looks").expect("a stream");
    assert!(reader.look().is_some());
    // The service waits for its readers, until the monitor ends their streams.
    drop(stop);
    monitor.stop();
    while reader.look().is_some() {}
    service.join().unwrap().unwrap();
}
