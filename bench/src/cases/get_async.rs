//! `get_async`: its cost beside `get`, the throughput of many tasks on few connections, and the wait behind a future that received a
//! connection and is not polled.

use crate::load::{Load, Pace, Work};
use crate::measure::{Bench, Point, measured, millis, throughput_and_waits};
use crate::pools::{Setup, Stub, Target};
use crate::tasks::{Asynchronous, runtime};
use anyhow::{Result, anyhow, bail};
use cabrank::{GetError, Pool, PooledConnection};
use std::future::{Future, poll_fn};
use std::hint::black_box;
use std::io;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

pub fn run(bench: &mut Bench) -> Result<()> {
    beside_get(bench)?;
    bench.progress.part(1, 3);
    crowd(bench)?;
    bench.progress.part(2, 3);
    behind_one_put_aside(bench)
}

/// One thread, a few loans of each kind in turn.
fn beside_get(bench: &mut Bench) -> Result<()> {
    let pool = Pool::builder().max_size(10).build(Stub::default())?;
    let slices = bench.pick(20, 60);
    let point = Point { case: "get_async", threads: 1, size: 10 };
    bench.rounds_anew(point, bench.pick(5, 9), &["cabrank"], |_| {
        let (mut by_get, mut by_get_async) = (Duration::ZERO, Duration::ZERO);
        for _ in 0..slices {
            by_get += loans(|| pool.get())?;
            by_get_async += loans(|| at_once(pool.get_async()))?;
        }
        let each = |time: Duration| time.as_nanos() as f64 / f64::from(slices * SLICE);
        Ok(measured([("ns_per_cycle", each(by_get)), ("async_ns_per_cycle", each(by_get_async))]))
    });
    Ok(())
}

type Got = Result<PooledConnection<Stub>, GetError<io::Error>>;

fn loans(get: impl Fn() -> Got) -> Result<Duration> {
    let began = Instant::now();
    for _ in 0..SLICE {
        drop(black_box(get()?));
    }
    Ok(began.elapsed())
}

/// An idle connection is lent at the first poll.
fn at_once<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("one is idle"),
    }
}

/// A thousand tasks on eight connections. A loan lasts until the other tasks had their turn, or sleeps by the runtime's timer.
fn crowd(bench: &mut Bench) -> Result<()> {
    let setup = Setup { tasks: true, ..Setup::new(Target::Stub(Stub::default()), 8) };
    let peers = bench.peers("get_async", &["cabrank", "deadpool", "bb8"], &setup);
    let pace = Pace::For(Duration::from_millis(bench.pick(400, 1000)));
    let load = |work| Load { borrowers: 1_000, work, pace };
    let point = Point { case: "get_async", threads: 1_000, size: 8 };
    for peer in &peers {
        peer.run(&load(Work::Nothing))?;
    }
    bench.rounds(point, bench.pick(3, 5), &peers, |peer| {
        let mut measured = throughput_and_waits(&peer.run(&load(Work::Nothing))?);
        let asleep = throughput_and_waits(&peer.run(&load(Work::Sleep(Duration::from_micros(100))))?);
        measured.extend(asleep.into_iter().map(|(metric, value)| (format!("asleep_{metric}"), value)));
        Ok(measured)
    });
    Ok(())
}

/// A pool of one. A waiting future receives the connection and is never polled again. How long does the next waiter wait, up to
/// `WATCHED`?
fn behind_one_put_aside(bench: &mut Bench) -> Result<()> {
    let ours = Pool::builder().max_size(1).build(Stub::default())?;
    let deadpool = deadpool::managed::Pool::<Stub>::builder(Stub::default()).max_size(1).build()?;
    let bb8 = runtime().block_on(bb8::Pool::builder().max_size(1).build(Stub::default()))?;
    let point = Point { case: "get_async", threads: 2, size: 1 };
    bench.rounds_anew(point, bench.pick(3, 5), &["cabrank", "deadpool", "bb8"], |name| {
        let waited = runtime().block_on(async {
            match name {
                "cabrank" => next_waits(&ours).await,
                "deadpool" => next_waits(&deadpool).await,
                _ => next_waits(&bb8).await,
            }
        });
        Ok(measured([("next_waits_ms", millis(waited?))]))
    });
    Ok(())
}

async fn next_waits<P: Asynchronous>(pool: &P) -> Result<Duration> {
    let get = || async { pool.get().await.map_err(|error| anyhow!("{error}")) };
    let held = get().await?;
    let mut put_aside = pin!(get());
    if poll_fn(|context| Poll::Ready(put_aside.as_mut().poll(context).is_ready())).await {
        bail!("there was no second connection");
    }
    drop(held);
    let asked = Instant::now();
    match tokio::time::timeout(WATCHED, get()).await {
        Ok(loan) => loan.map(|_| asked.elapsed()),
        Err(_) => Ok(WATCHED),
    }
}

const SLICE: u32 = 5_000;
const WATCHED: Duration = Duration::from_secs(1);
