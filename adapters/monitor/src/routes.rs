//! The routes: the page, a snapshot, and a stream of snapshots. All are read-only.

use crate::guard::guard;
use crate::hub::{Frame, Hub, Refused};
use crate::page::page;
use crate::watch::watch;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::convert::Infallible;
use std::iter;
use std::sync::Arc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::WatchStream;

pub(crate) fn routes(hub: &Arc<Hub>) -> Router {
    watch(hub);
    Router::new()
        .route("/", get(|| async { page() }))
        .route("/look", get(look))
        .route("/looks", get(looks))
        .layer(from_fn_with_state(Arc::clone(hub), guard))
        .with_state(Arc::clone(hub))
}

async fn look(State(hub): State<Arc<Hub>>) -> Response {
    watch(&hub);
    ([(CONTENT_TYPE, "application/json")], hub.newest()).into_response()
}

/// Server-sent events. All readers receive the same bytes.
async fn looks(State(hub): State<Arc<Hub>>) -> Response {
    watch(&hub);
    let (history, reader) = match hub.subscribe() {
        Ok(subscribed) => subscribed,
        Err(Refused(why)) => return (StatusCode::SERVICE_UNAVAILABLE, why).into_response(),
    };
    let looks = WatchStream::from_changes(reader).map_while(|frame| match frame {
        Frame::Look(look) => Some(look),
        Frame::End => None,
    });
    let last = tokio_stream::iter(iter::once_with(move || hub.last()));
    let frames = tokio_stream::once(history).chain(looks).chain(last).map(Ok::<Bytes, Infallible>);
    ([(CONTENT_TYPE, "text/event-stream")], Body::from_stream(frames)).into_response()
}
