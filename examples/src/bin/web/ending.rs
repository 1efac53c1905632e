//! Serving, and the graceful shutdown. After SIGTERM or Ctrl-C the service reports that it is not ready, lingers, and then accepts no more
//! requests. It answers those in progress and closes the pool, all within a deadline.

use crate::bank::Bank;
use crate::probes::{Stage, probes};
use crate::routes::routes;
use anyhow::Result;
use cabrank::{CloseReport, Pool};
use cabrank_monitor::Monitor;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpListener;
#[cfg(unix)]
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout_at};

/// Counted from the signal.
pub(crate) struct Times {
    /// How long the service still accepts requests.
    pub(crate) linger: Duration,
    /// When everything has ended.
    pub(crate) deadline: Duration,
}

/// Serves until a signal. Returns whether all requests were answered, and the report of the closed pool.
pub(crate) async fn until_told_to_stop<M: Bank>(
    pool: &Pool<M>,
    monitor: &Monitor,
    address: SocketAddr,
    Times { linger, deadline }: Times,
) -> Result<(bool, CloseReport)> {
    let (signal, stage) = (signals()?, Stage::default());
    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    let (stop, stopped) = oneshot::channel::<()>();
    let service =
        routes(pool.clone()).merge(probes(pool.clone(), stage.clone())).nest_service("/pool", monitor.router());
    let server = axum::serve(listener, service).with_graceful_shutdown(async { drop(stopped.await) });
    let server = tokio::spawn(server.into_future());
    tokio::spawn(start(pool.clone(), stage.clone()));

    let signal = signal.await;
    let end = Instant::now() + deadline;
    println!("{signal}: ending within {deadline:?}");
    stage.is_ending();
    sleep(linger.min(deadline / 2)).await;
    drop(stop); // The server accepts no new requests, and continues those in progress.
    // Viewers of the live page see the requests end. Their streams have no end of their own, so they are closed before the server's time
    // is over.
    let _ = timeout_at(end - Duration::from_millis(1_500), nobody_is_served(pool)).await;
    monitor.stop();
    // The last second is for the pool: it cancels the statements that still run, and then aborts them.
    let drained = matches!(timeout_at(end - Duration::from_secs(1), server).await, Ok(Ok(Ok(()))));
    let report = pool.close_async(end.saturating_duration_since(Instant::now())).await;
    Ok((drained, report))
}

/// Waits until no request has a connection or waits for one.
async fn nobody_is_served<M: Bank>(pool: &Pool<M>) {
    while pool.stats().in_use + pool.stats().waiting > 0 {
        sleep(Duration::from_millis(50)).await;
    }
}

/// Creates the accounts as soon as the server accepts a connection. Until then the service has not started.
async fn start<M: Bank>(pool: Pool<M>, stage: Stage) {
    while let Err(error) = pool.run_async(|conn| M::open(conn)).await {
        if pool.is_closed() {
            return;
        }
        eprintln!("not started, trying again in 1 s: {error:?}");
        sleep(Duration::from_secs(1)).await;
    }
    stage.has_started();
}

/// Returns a future of the name of the signal: SIGTERM, which service managers send, or Ctrl-C.
#[cfg(unix)]
fn signals() -> Result<impl Future<Output = &'static str>> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "Ctrl-C",
        }
    })
}

#[cfg(not(unix))]
fn signals() -> Result<impl Future<Output = &'static str>> {
    Ok(async { tokio::signal::ctrl_c().await.map_or("no handler for Ctrl-C", |()| "Ctrl-C") })
}
