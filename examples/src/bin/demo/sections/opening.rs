//! Section 1: the settings, and the first connection.

use super::concurrency::ROUNDS;
use super::queries::settle;
use crate::args::Args;
use crate::engine::Engine;
use crate::story::{Story, time};
use crate::watch::Watch;
use anyhow::anyhow;
use cabrank::{Pool, PooledConnection};
use std::time::{Duration, Instant};

/// Builds the pool that all other sections use.
pub(crate) fn opening<M: Engine>(
    manager: M,
    args: &Args,
    watch: Option<&Watch>,
    story: &mut Story,
) -> anyhow::Result<Pool<M>> {
    // The last thread in the queue waits for all others.
    let longest_queue = Duration::from_secs((args.hold * ROUNDS * args.threads).as_secs());
    let acquire_timeout = Duration::from_secs(10) + longest_queue;
    let builder = Pool::builder()
        .name("demo")
        .acquire_timeout(acquire_timeout)
        // By default the pool checks a connection that was unused for a second. On a slow machine such a check could come at any
        // moment of the story, which should be the same everywhere.
        .check_after(Duration::from_secs(60))
        .from_env("DB_POOL_")?;
    let builder = if let Some(max_size) = args.max_size { builder.max_size(max_size) } else { builder };
    let builder = if let Some(watch) = watch { watch.record(builder) } else { builder };
    let pool = builder
        .build(manager)
        .map_err(|error| anyhow!("{error:?}; correct --url, or omit it to use a temporary SQLite file"))?;

    if let Some(watch) = watch {
        watch.show(&pool);
    }

    story.section("The pool");
    story.say(
        "A pool opens connections, keeps them open and lends them to threads. It opens the first one when it is built, which \
         proves that the database accepts it, and more of them on demand. A program without a pool pays the time to open a \
         connection for each use; with a pool it pays the time to borrow one.",
    );

    let mut conn = pool.get()?;
    let config = pool.config();
    story.fact("database", M::describe(&mut conn)?);
    story.fact("max_size: connections at most", config.max_size);
    story.fact("min_idle: idle connections kept ready", config.min_idle);
    let why = if !longest_queue.is_zero() && config.acquire_timeout == acquire_timeout {
        " (10 s, and the time of all loans of section 3)"
    } else {
        ""
    };
    story.fact("acquire_timeout: longest wait of `get`", format!("{}{why}", limit(config.acquire_timeout)));
    story.fact("max_lifetime: maximum age of a connection", limit(config.max_lifetime));
    story.expect("open connections", 1, pool.stats().open);
    story.expect("id of the first connection", 1, PooledConnection::id(&conn));
    drop(conn);

    settle(&pool);
    story.fact("time to open the first connection", time(pool.stats().open_time.max()));
    story.fact("time to borrow and return it, mean of 10", time(borrow(&pool)?));
    Ok(pool)
}

/// Measures how long `get` and the return take.
fn borrow<M: Engine>(pool: &Pool<M>) -> anyhow::Result<Duration> {
    let began = Instant::now();
    for _ in 0..10 {
        drop(pool.get()?);
    }
    Ok(began.elapsed() / 10)
}

/// Formats a setting. The longest duration means no limit.
fn limit(span: Duration) -> String {
    if span == Duration::MAX { "no limit".to_owned() } else { format!("{span:?}") }
}
