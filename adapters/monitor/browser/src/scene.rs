//! A pool on a fake server, and a page that shows it.

use cabrank::{Builder, Pool, PooledConnection};
use cabrank_monitor::{Listening, Monitor, Pools, Recorder};
use cabrank_testing::fake::{FakeManager, FakeServer};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::thread::Scope;
use std::time::Duration;

/// A pool, its server and its page.
#[derive(Debug)]
pub struct Scene {
    /// The server's remote control.
    pub server: FakeServer,
    /// The pool.
    pub pool: Pool<FakeManager>,
    /// The monitor, for serving the page again.
    pub monitor: Monitor,
    /// The page.
    pub page: Option<Listening>,
}

impl Scene {
    /// A scene with a pool of this name and size.
    pub fn new(name: &str, max_size: u32) -> Self {
        Self::built(Pool::builder().name(name).max_size(max_size))
    }

    /// A scene with a pool of this builder.
    pub fn built(builder: Builder<FakeManager>) -> Self {
        let (server, recorder) = (FakeServer::new(), Recorder::new());
        server.allow(10_000);
        let pool = builder.event_handler(recorder.clone()).build_lazy(server.manager()).expect("its settings are good");
        let monitor = Monitor::new(Pools::new().with(&pool).with_events(&recorder)).looks_per_second(10);
        let page = Some(monitor.listen("127.0.0.1:0").expect("a free port"));
        Self { server, pool, monitor, page }
    }

    /// The page's address.
    pub fn url(&self) -> String {
        self.page.as_ref().expect("it is served").url()
    }

    /// Checks out this many connections.
    #[track_caller]
    pub fn hold(&self, count: u32) -> Vec<PooledConnection<FakeManager>> {
        (0..count).map(|_| self.pool.get().expect("there is one")).collect()
    }

    /// This many threads check out and return connections, each holding for `hold`, until the returned flag is set.
    pub fn load<'s>(&'s self, scope: &'s Scope<'s, '_>, threads: usize, hold: Duration) -> Arc<AtomicBool> {
        let stop = Arc::new(AtomicBool::new(false));
        for number in 0..threads {
            let stop = Arc::clone(&stop);
            let work = move || {
                while !stop.load(Ordering::Relaxed) {
                    if let Ok(_held) = self.pool.get() {
                        thread::sleep(hold);
                    }
                }
            };
            thread::Builder::new().name(format!("request-{number}")).spawn_scoped(scope, work).expect("a thread");
        }
        stop
    }
}
