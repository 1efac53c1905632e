//! Section 1: the settings, and the first connection.

use super::concurrency::ROUNDS;
use crate::args::Args;
use crate::engine::Engine;
use crate::story::{Story, time};
use crate::watch::Watch;
use anyhow::anyhow;
use cabrank::{Pool, PooledConnection};
use std::time::Duration;

/// Builds the pool that all other sections use.
pub(crate) fn opening<M: Engine>(
    manager: M,
    args: &Args,
    watch: Option<&Watch>,
    story: &mut Story,
) -> anyhow::Result<Pool<M>> {
    let builder = Pool::builder()
        .name("demo")
        // The last one waits for all the others.
        .acquire_timeout(Duration::from_secs(10) + args.hold * ROUNDS * args.threads)
        // By default a connection is checked if nobody has used it for a second. On a slow machine that may come at
        // any moment of this story, and the story shall be the same everywhere.
        .check_after(Duration::from_secs(60))
        .from_env("DB_POOL_")?;
    let builder = if let Some(max_size) = args.max_size { builder.max_size(max_size) } else { builder };
    let builder = if let Some(watch) = watch { watch.record(builder) } else { builder };
    let pool = builder
        .build(manager)
        .map_err(|error| anyhow!("{error:?}; correct --url, or leave it out for a temporary SQLite file"))?;

    if let Some(watch) = watch {
        watch.show(&pool);
    }

    story.section("The pool");
    story.say(
        "A pool keeps connections open and lends them. It opens one to see that it can, and more when they are needed.",
    );

    let mut conn = pool.get()?;
    let config = pool.config();
    story.fact("database", M::describe(&mut conn)?);
    story.fact("max_size: the most connections", config.max_size);
    story.fact("min_idle: kept ready", config.min_idle);
    story.fact("acquire_timeout: how long `get` waits", limit(config.acquire_timeout));
    story.fact("max_lifetime: how old one may become", limit(config.max_lifetime));
    story.fact("opening the first took", time(pool.stats().open_time.max()));
    story.expect("connections open", 1, pool.stats().open);
    story.expect("the number of the first", 1, PooledConnection::id(&conn));
    drop(conn);
    Ok(pool)
}

/// A setting; the longest duration stands for none.
fn limit(span: Duration) -> String {
    if span == Duration::MAX { "no limit".to_owned() } else { format!("{span:?}") }
}
