//! Section 3: more threads than connections.

use crate::args::Args;
use crate::engine::Engine;
use crate::meeting::Meeting;
use crate::story::{Story, borrowed, time};
use cabrank::{Pool, Stats};
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::{Duration, Instant};

/// All threads work. Those that find no idle connection wait in the queue.
pub(crate) fn concurrency<M: Engine>(pool: &Pool<M>, args: &Args, story: &mut Story) -> anyhow::Result<()> {
    let Args { threads, hold, .. } = *args;
    let max_size = pool.config().max_size;
    story.section(&format!("Concurrency: {} on {}", many(threads, "thread"), many(max_size, "connection")));
    let peak = threads.min(max_size);
    story.say(&format!(
        "Each thread checks out a connection {ROUNDS} times, reads the sum of all balances, and keeps the connection for \
         {hold:?} of work. Threads without a connection wait in a queue, in order of arrival; waiting until a new connection is \
         open counts as a wait, too. In the first round each thread keeps its connection until {} in use. p50 and p90 are upper \
         bounds, at most a quarter too high: the pool counts waits in buckets.",
        if peak == 1 { "one is".to_owned() } else { format!("all {peak} are") }
    ));

    let before = pool.stats();
    let began = Instant::now();
    let lent = Lent::default();
    let all_lent = Meeting::of(peak);
    let outcomes: Vec<anyhow::Result<Work>> = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(|| work(pool, &lent, &all_lent, hold))).collect();
        workers.into_iter().map(|worker| worker.join().expect("workers do not panic")).collect()
    });
    let took = began.elapsed();
    let works = outcomes.into_iter().collect::<anyhow::Result<Vec<Work>>>()?;
    let after = pool.stats();

    let total = pool.run(|conn| M::total(conn))?;
    let right = works.iter().flat_map(|work| &work.sums).filter(|&&sum| sum == total).count();
    let most_open = works.iter().map(|work| work.most_open).max().unwrap_or(0);
    story.expect("threads that completed all rounds", threads as usize, works.len());
    story.expect("queries with the right answer", (threads * ROUNDS) as usize, right);
    story.expect("peak connections in use", peak, lent.most.load(Relaxed));
    story.expect_at_most("peak connections open", max_size, most_open);
    story.expect("loans counted by the pool", u64::from(threads * ROUNDS), borrowed(&after) - borrowed(&before));
    story.fact("loans without a wait", after.checked_out_at_once - before.checked_out_at_once);
    story.fact("loans after a wait", after.checked_out_after_waiting - before.checked_out_after_waiting);
    story.fact("wait for a connection, all loans so far", quantiles(&after));
    story.fact("time for all threads", time(took));
    Ok(())
}

/// The waits for a connection: median, 90th percentile, maximum.
pub(crate) fn quantiles(stats: &Stats) -> String {
    let wait = |q| time(stats.wait_time.quantile(q));
    format!("p50 <= {}, p90 <= {}, longest {}", wait(0.5), wait(0.9), time(stats.wait_time.max()))
}

/// The observations of one thread.
struct Work {
    sums: Vec<i64>,
    most_open: u32,
}

/// The work of one thread.
fn work<M: Engine>(pool: &Pool<M>, lent: &Lent, all_lent: &Meeting, hold: Duration) -> anyhow::Result<Work> {
    let mut seen = Work { sums: Vec::new(), most_open: 0 };
    for round in 0..ROUNDS {
        let mut conn = pool.get()?;
        lent.one_more();
        seen.sums.push(M::total(&mut conn)?);
        if round == 0 {
            all_lent.attend();
        }
        thread::sleep(hold);
        let stats = pool.stats();
        seen.most_open = seen.most_open.max(stats.open + stats.opening + stats.closing);
        lent.one_less();
    }
    Ok(seen)
}

/// Counts the loans independently of the pool's own numbers.
#[derive(Default)]
struct Lent {
    now: AtomicU32,
    most: AtomicU32,
}

impl Lent {
    fn one_more(&self) {
        let now = self.now.fetch_add(1, Relaxed) + 1;
        self.most.fetch_max(now, Relaxed);
    }

    fn one_less(&self) {
        self.now.fetch_sub(1, Relaxed);
    }
}

/// `1 thread`, `2 threads`.
fn many(count: u32, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

pub(super) const ROUNDS: u32 = 3;
