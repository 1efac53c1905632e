//! A process that borrows from its own pool, by commands on its standard input, and reports on its standard output: for tests that freeze
//! a whole process, or start hundreds.
//!
//! `integration_tests::borrower`, which starts and reads it, documents the commands. Variables with the prefix `DB_POOL_` are the pool's
//! settings; `BORROWER_URL` names the server, and the statement in `BORROWER_ON_OPEN` runs in each new session.

mod engine;

use anyhow::{Context, Result, bail};
use cabrank::{CloseReason, Manager, Pool, PooledConnection, Stats};
use engine::{Engine, MySql, Postgres};
use rustix::time::{ClockId, clock_gettime};
use std::io::stdin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use std::{env, thread};

fn main() -> Result<()> {
    let url = env::var("BORROWER_URL").context("BORROWER_URL")?;
    if url.starts_with("postgres") { serve::<Postgres>(&url) } else { serve::<MySql>(&url) }
}

/// Executes each line until the input ends, and closes the pool.
fn serve<E: Engine>(url: &str) -> Result<()> {
    let mut builder = Pool::builder().from_env("DB_POOL_")?;
    if let Ok(sql) = env::var("BORROWER_ON_OPEN") {
        builder = builder.on_open(move |conn, _| E::run(conn, &sql));
    }
    let mut borrower = Borrower { pool: builder.build_lazy(E::manager(url)?)?, held: None, rests: Arc::default() };
    println!("ready");
    for line in stdin().lines() {
        let line = line?;
        borrower.obey::<E>(line.split_once(' ').unwrap_or((&line, "")))?;
    }
    borrower.rests.store(true, Ordering::Relaxed);
    println!("closed {}", borrower.pool.close_within(Duration::from_secs(5)).is_clean());
    Ok(())
}

struct Borrower<M: Manager> {
    pool: Pool<M>,
    held: Option<PooledConnection<M>>,
    /// Ends the load.
    rests: Arc<AtomicBool>,
}

impl<M: Manager> Borrower<M> {
    fn obey<E: Engine<Manager = M>>(&mut self, (word, rest): (&str, &str)) -> Result<()> {
        match word {
            "get" => {
                let (pool, sql) = (self.pool.clone(), rest.to_owned());
                thread::spawn(move || borrow::<E>(&pool, &sql));
            }
            "once" => borrow::<E>(&self.pool, rest),
            "load" => {
                let (threads, sql) = rest.split_once(' ').context("how many threads ask what?")?;
                self.rests = Arc::default();
                for _ in 0..threads.parse()? {
                    let (pool, sql, rests) = (self.pool.clone(), sql.to_owned(), self.rests.clone());
                    thread::spawn(move || {
                        while !rests.load(Ordering::Relaxed) {
                            borrow::<E>(&pool, &sql);
                            thread::sleep(PAUSE);
                        }
                    });
                }
            }
            "rest" => self.rests.store(true, Ordering::Relaxed),
            "take" => self.held = Some(self.pool.get()?),
            "run" => E::run(self.held.as_mut().context("nothing is held")?, rest)?,
            "give" => drop(self.held.take()),
            "evict" => self.pool.evict_all(),
            "stats" => print(&self.pool.stats()),
            other => bail!("what is {other:?}?"),
        }
        if matches!(word, "take" | "run" | "give" | "evict") {
            println!("done");
        }
        Ok(())
    }
}

/// Makes one loan, and reports its request time by the clock that all processes share, its wait, and its outcome.
fn borrow<E: Engine>(pool: &Pool<E::Manager>, sql: &str) {
    let (asked, begun) = (clock_gettime(ClockId::Monotonic), Instant::now());
    let got = pool.get();
    let waited = begun.elapsed().as_micros();
    let outcome = match got.map(|mut conn| E::run(&mut conn, sql)) {
        Ok(Ok(())) => "served".to_owned(),
        Ok(Err(error)) => format!("unanswered {error:?}"),
        Err(error) => format!("refused {error:?}"),
    };
    let asked = asked.tv_sec * 1_000_000 + asked.tv_nsec / 1_000;
    println!("loan {asked} {waited} {}", outcome.replace('\n', " "));
}

fn print(stats: &Stats) {
    let numbers = [
        ("max_size", stats.max_size.into()),
        ("open", stats.open.into()),
        ("idle", stats.idle.into()),
        ("in_use", stats.in_use.into()),
        ("opening", stats.opening.into()),
        ("checking", stats.checking.into()),
        ("resetting", stats.resetting.into()),
        ("closing", stats.closing.into()),
        ("aborted", stats.aborted.into()),
        ("opened", stats.opened),
        ("open_failures", stats.open_failures),
        ("longest_opening_us", stats.open_time.max().as_micros() as u64),
    ];
    let numbers = numbers.iter().map(|(name, number)| format!("{name}={number}"));
    let closed = CloseReason::ALL.iter().map(|&reason| format!("closed_{reason}={}", stats.closed.by(reason)));
    println!("stats {}", numbers.chain(closed).collect::<Vec<_>>().join(" "));
}

/// Between the loans of a thread, as if it had other work.
const PAUSE: Duration = Duration::from_millis(5);
