//! What a platform asks: is the process alive, has it started, shall it get requests? No answer asks the database, or waits for it: a
//! probe that did would take a service out of rotation because it is busy, or restart all of them because the server is away.

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use cabrank::{Health, Manager, Pool};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// How far the service has come. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Stage(Arc<Reached>);

#[derive(Default)]
struct Reached {
    start: AtomicBool,
    end: AtomicBool,
}

impl Stage {
    /// All is there that requests need.
    pub(crate) fn has_started(&self) {
        self.0.start.store(true, Ordering::Relaxed);
    }

    /// From now on requests should go elsewhere.
    pub(crate) fn is_ending(&self) {
        self.0.end.store(true, Ordering::Relaxed);
    }
}

pub(crate) fn probes<M: Manager>(pool: Pool<M>, stage: Stage) -> Router {
    let started = stage.clone();
    Router::new()
        // The process answers, and that is all: no restart mends a database.
        .route("/alive", get(|| async { "alive" }))
        .route("/started", get(move || async move { is_started(&started) }))
        .route("/ready", get(move || async move { is_ready(&pool.health(), &stage) }))
}

fn is_started(Stage(reached): &Stage) -> (StatusCode, &'static str) {
    match reached.start.load(Ordering::Relaxed) {
        true => (StatusCode::OK, "started"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "starting"),
    }
}

/// Not ready is what another replica would do better: this one ends, or its pool is stuck. A pool that is busy, or whose server is away, is
/// ready: it answers what it cannot serve with 503, at once.
fn is_ready(health: &Health, Stage(reached): &Stage) -> (StatusCode, String) {
    if reached.end.load(Ordering::Relaxed) {
        return (StatusCode::SERVICE_UNAVAILABLE, "ending".to_owned());
    }
    let status = if health.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, health.to_string())
}
