//! The service in its process: the same two routes over each pool, in a runtime with two workers and tokio's default number of blocking
//! threads.

use super::counts;
use super::counts::Ticket;
use super::ways::{Interact, RunAsync, SpawnBlocking, Way};
use anyhow::{Result, bail};
use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use std::{io, process};
use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::{Builder, Runtime};

/// Reads the URL of a PostgreSQL server, prints its own address, and serves until its input ends.
pub fn serve(way: &str, size: u32) -> Result<()> {
    let mut url = String::new();
    io::stdin().read_line(&mut url)?;
    let url = url.trim_end();
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    match way {
        "cabrank" => start(&runtime, RunAsync::new(url, size, None)?)?,
        "cabrank_uncancelled" => start(&runtime, RunAsync::new(url, size, None)?.uncancelled())?,
        "cabrank_max_waiters" => start(&runtime, RunAsync::new(url, size, Some(4 * size))?)?,
        "r2d2" => start(&runtime, SpawnBlocking::new(url, size)?)?,
        "deadpool_diesel" => start(&runtime, Interact::new(url, size)?)?,
        _ => bail!("no service is named {way}"),
    }
    io::copy(&mut io::stdin(), &mut io::sink())?;
    // Work in progress ends with the process. Nothing is dropped, because a task must not drop a blocking driver.
    process::exit(0)
}

fn start<W: Way>(runtime: &Runtime, way: W) -> Result<()> {
    let routes = Router::new().route("/account/{sleep}", get(account::<W>)).with_state(way);
    let routes = routes.route("/counts", get(|| async { counts::told() }));
    let listener = runtime.block_on(listen())?;
    println!("{}", listener.local_addr()?);
    runtime.spawn(async { axum::serve(listener, routes).await });
    Ok(())
}

/// All clients arrive at once; with the usual backlog of 128 some would be accepted a second later.
async fn listen() -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(([127, 0, 0, 1], 0).into())?;
    socket.listen(1024)
}

/// Returns a balance, after so many milliseconds of sleep in the server.
async fn account<W: Way>(State(way): State<W>, Path(sleep): Path<u32>) -> Result<String, StatusCode> {
    let sleep = (sleep > 0).then(|| format!("SELECT pg_sleep({})", f64::from(sleep) / 1e3));
    Ok(way.read(sleep, Ticket::new()).await?.to_string())
}
