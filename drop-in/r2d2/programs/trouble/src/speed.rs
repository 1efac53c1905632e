//! Loans with a query, as fast as possible, and the same query on connections without a pool.

use crate::application::{ask, pool};
use crate::server::Server;
use crate::{Failure, Measured};
use diesel::pg::PgConnection;
use diesel::prelude::*;
use std::thread;
use std::time::{Duration, Instant};

pub(crate) fn of_one(server: &Server) -> Result<Measured, Failure> {
    speed(server, 1)
}

pub(crate) fn of_sixteen(server: &Server) -> Result<Measured, Failure> {
    speed(server, 16)
}

fn speed(server: &Server, threads: usize) -> Result<Measured, Failure> {
    let pool = pool(&server.url(), SIZE, Duration::from_secs(30))?;
    let mut own = (0..threads).map(|_| PgConnection::establish(&server.url())).collect::<Result<Vec<_>, _>>()?;
    let pooled = || -> Result<f64, Failure> {
        let workers = (0..threads).map(|_| || Ok(ask(&mut *pool.get()?)?));
        per_second(workers.collect())
    };
    let mut alone = || per_second(own.iter_mut().map(|conn| || Ok(ask(conn)?)).collect());
    // Opens the connections that are opened on demand.
    pooled()?;
    alone()?;
    // In turns, so a machine that slows down slows both.
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        rounds.push((pooled()?, alone()?));
    }
    let (pooled, alone): (Vec<_>, Vec<_>) = rounds.into_iter().unzip();
    Ok(vec![("ops_per_s", median(pooled)), ("own_ops_per_s", median(alone))])
}

/// How often all of them together do their work in a second.
fn per_second<W: FnMut() -> Result<(), Failure> + Send>(workers: Vec<W>) -> Result<f64, Failure> {
    let begun = Instant::now();
    let repeat = |mut work: W| -> Result<u32, Failure> {
        let mut done = 0;
        while begun.elapsed() < SPAN {
            work()?;
            done += 1;
        }
        Ok(done)
    };
    let done = thread::scope(|scope| {
        let all: Vec<_> = workers.into_iter().map(|work| scope.spawn(move || repeat(work))).collect();
        all.into_iter().map(|thread| thread.join().expect("it does not panic")).sum::<Result<u32, Failure>>()
    })?;
    Ok(f64::from(done) / begun.elapsed().as_secs_f64())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

const SIZE: u32 = 8;
const ROUNDS: usize = 5;
const SPAN: Duration = Duration::from_millis(250);
