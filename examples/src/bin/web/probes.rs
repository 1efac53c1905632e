//! The platform's probes: is the process alive, has it started, is it ready for requests? No probe queries the database or waits for it.
//! Such a probe would take a busy service out of rotation, or restart all replicas because the database server is down.

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use cabrank::{Health, Manager, Pool};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The stage of the service: starting, started or ending. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Stage(Arc<Reached>);

#[derive(Default)]
struct Reached {
    start: AtomicBool,
    end: AtomicBool,
}

impl Stage {
    /// Everything that requests need exists.
    pub(crate) fn has_started(&self) {
        self.0.start.store(true, Ordering::Relaxed);
    }

    /// From now on the platform should send requests elsewhere.
    pub(crate) fn is_ending(&self) {
        self.0.end.store(true, Ordering::Relaxed);
    }
}

pub(crate) fn probes<M: Manager>(pool: Pool<M>, stage: Stage) -> Router {
    let started = stage.clone();
    Router::new()
        // Only shows that the process answers: a restart does not repair a database.
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

/// Not ready means that another replica would do better: this one is ending, or its pool is stuck. A service whose pool is busy, or whose
/// database server is down, is ready: another replica would do no better, and clients get a 503.
fn is_ready(health: &Health, Stage(reached): &Stage) -> (StatusCode, String) {
    if reached.end.load(Ordering::Relaxed) {
        return (StatusCode::SERVICE_UNAVAILABLE, "ending".to_owned());
    }
    let status = if health.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, health.to_string())
}
