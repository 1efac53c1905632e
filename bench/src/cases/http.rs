//! A web service under 200 clients, over each of three ways to a pool of 8: how many requests are answered, how soon, and with how many
//! threads; and what happens when clients request more than can be answered, lose patience and hang up.

use crate::measure::{Bench, Measured, Point, measured, millis, percentile};
use crate::tasks::runtime;
use crate::web;
use crate::web::{Answers, Crowd, Service};
use anyhow::Result;
use std::pin::pin;
use std::time::Duration;
use tokio::time::{sleep, timeout};

pub fn read(bench: &mut Bench) -> Result<()> {
    steady(bench, "http_read", 0)
}

pub fn slow(bench: &mut Bench) -> Result<()> {
    steady(bench, "http_slow", 5)
}

/// Clients with unlimited patience.
fn steady(bench: &mut Bench, case: &'static str, server_sleeps: u32) -> Result<()> {
    let during = Duration::from_millis(bench.pick(200, 500));
    let crowd = Crowd { clients: CLIENTS, path: path(server_sleeps), during, patience: None };
    rounds(bench, case, WAYS, async |service| {
        let (answers, threads) = under(service, &crowd).await?;
        Ok(told(&answers, threads))
    })
}

/// Clients that request several times as much as can be answered within their patience. Then all hang up at once.
pub fn overload(bench: &mut Bench) -> Result<()> {
    let during = Duration::from_millis(bench.pick(600, 1500));
    let crowd = Crowd { clients: CLIENTS, path: path(50), during, patience: Some(CLIENTS_PATIENCE) };
    rounds(bench, "http_overload", WAYS_OVERLOADED, async |service| {
        let (_, finished_before) = web::counts(service.address).await?;
        let (answers, threads) = under(service, &crowd).await?;
        let (prompt, probes) = web::until_prompt(service.address, &path(0), PROMPT).await?;
        let finished = finished_at_rest(service).await? - finished_before;
        let hung_up = 100.0 * answers.hung_up as f64 / answers.all() as f64;
        let mut all = told(&answers, threads);
        all.extend(measured([
            ("hung_up_percent", hung_up),
            ("prompt_again_ms", millis(prompt)),
            ("for_nobody", finished as f64 - (answers.good.len() + probes) as f64),
        ]));
        Ok(all)
    })
}

/// A new service for each round of each way, warm and at rest.
fn rounds(
    bench: &mut Bench,
    case: &'static str,
    ways: &[&'static str],
    measure: impl AsyncFn(&Service) -> Result<Measured>,
) -> Result<()> {
    let url = bench.servers.postgres()?;
    let point = Point { case, threads: CLIENTS, size: SIZE };
    bench.rounds_anew(point, bench.pick(1, 3), ways, |way| {
        let service = Service::start(way, SIZE, &url)?;
        runtime().block_on(async {
            // Opens all connections.
            let crowd = Crowd { clients: 2 * SIZE as usize, path: path(5), during: WARM_UP, patience: None };
            crowd.ask(service.address).await?;
            measure(&service).await
        })
    });
    Ok(())
}

/// The answers to a crowd, and the most threads that the service had meanwhile.
async fn under(service: &Service, crowd: &Crowd) -> Result<(Answers, usize)> {
    let mut answers = pin!(crowd.ask(service.address));
    let mut most = 0;
    loop {
        most = most.max(service.threads()?);
        if let Ok(answers) = timeout(LOOK, &mut answers).await {
            return Ok((answers?, most));
        }
    }
}

/// How many requests had their queries run to the end, counted once none is under way.
async fn finished_at_rest(service: &Service) -> Result<u64> {
    loop {
        match web::counts(service.address).await? {
            (0, finished) => return Ok(finished),
            _ => sleep(LOOK).await,
        }
    }
}

fn told(answers: &Answers, threads: usize) -> Measured {
    measured([
        ("ops_per_s", answers.good.len() as f64 / answers.elapsed.as_secs_f64()),
        ("p50_ms", percentile(&answers.good, 0.5)),
        ("p99_ms", percentile(&answers.good, 0.99)),
        ("p999_ms", percentile(&answers.good, 0.999)),
        ("failed_percent", 100.0 * answers.busy as f64 / answers.all() as f64),
        ("threads", threads as f64),
    ])
}

fn path(server_sleeps: u32) -> String {
    format!("/account/{server_sleeps}")
}

const WAYS: &[&str] = &["cabrank", "r2d2", "deadpool_diesel"];
/// Also cabrank without `cancel_on_drop`, and with `max_waiters`, which rejects at once requests that would wait in vain.
const WAYS_OVERLOADED: &[&str] = &["cabrank", "cabrank_max_waiters", "cabrank_uncancelled", "r2d2", "deadpool_diesel"];
const CLIENTS: usize = 200;
const SIZE: u32 = 8;
const WARM_UP: Duration = Duration::from_millis(100);
/// The interval between two counts of the threads.
const LOOK: Duration = Duration::from_millis(5);
/// A sixth of the time for which a request may wait for a connection.
const CLIENTS_PATIENCE: Duration = Duration::from_millis(500);
/// A service without other work answers within this time.
const PROMPT: Duration = Duration::from_millis(50);
