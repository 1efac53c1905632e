//! Section 5: the states a connection can be in, and how the pool counts them.

use crate::engine::Engine;
use crate::sections::concurrency::borrowed;
use crate::story::Story;
use cabrank::{CloseReason, Pool, PooledConnection, RunError};
use std::thread;
use std::time::Duration;

/// Shows connections that are active, idle, invalid and expired.
pub(crate) fn states<M: Engine>(pool: &Pool<M>, manager: M, story: &mut Story) -> anyhow::Result<()> {
    story.section("States and statistics");
    active_and_idle(pool, story)?;
    invalid(pool, story)?;
    expired(manager, story)?;
    borrowed_and_returned(pool, story);
    Ok(())
}

/// A connection that is lent is active; one that waits for a borrower is idle.
fn active_and_idle<M: Engine>(pool: &Pool<M>, story: &mut Story) -> anyhow::Result<()> {
    let wanted = pool.config().max_size.min(3);
    let loans = (0..wanted).map(|_| pool.get()).collect::<Result<Vec<_>, _>>()?;
    let stats = pool.stats();
    drop(loans);

    story
        .say(&format!("Idle and active: {wanted} of the pool's connections are lent, the others wait for a borrower."));
    let between_loans = stats.idle + stats.checking + stats.resetting;
    story.expect("active (in_use)", wanted, stats.in_use);
    story.expect("idle (or being checked or reset)", stats.open - wanted, between_loans);
    let percent = |share: f64| (100.0 * share).round();
    let expected = f64::from(wanted) / f64::from(stats.max_size);
    story.expect("utilization, in percent", percent(expected), percent(stats.utilization()));
    Ok(())
}

/// A connection that proved unusable is closed when it comes back, and replaced when it is missed.
fn invalid<M: Engine>(pool: &Pool<M>, story: &mut Story) -> anyhow::Result<()> {
    let before = pool.stats();

    // `run` sees the driver's error pass and knows what it means. With a guard in hand it is `PooledConnection::report_error`.
    let outcome = pool.run(|conn| M::lose(conn));

    // The holder may know better than any driver.
    let conn = pool.get()?;
    PooledConnection::discard(conn);

    let after = pool.stats();
    let closed = |reason| after.closed.by(reason) - before.closed.by(reason);
    story.say(
        "Invalid: one connection meets an error after which it cannot be trusted, another is discarded by its holder. \
         Both are closed instead of reused, and after the error the others are checked before their next loan.",
    );
    if let Err(RunError::User(error)) = outcome {
        // With all that lies behind it: PostgreSQL's driver tells the cause only there.
        story.quote(&format!("{:#}", anyhow::Error::new(error.into_inner())));
    }
    story.expect("closed because they were broken", 1, closed(CloseReason::Broken));
    story.expect("closed because they were discarded", 1, closed(CloseReason::Discarded));
    Ok(())
}

/// A connection that reached `max_lifetime` is closed: here in a pool of its own, where lives are very short.
fn expired<M: Engine>(manager: M, story: &mut Story) -> anyhow::Result<()> {
    let lifetime = Duration::from_millis(20);
    let short_lived = Pool::builder().name("short-lived").max_size(1).max_lifetime(lifetime).build_lazy(manager)?;

    let conn = short_lived.get()?;
    let (first, opened_at) = (PooledConnection::id(&conn), PooledConnection::opened_at(&conn));
    // Used for longer than it may live. A loan that is out is left alone.
    while opened_at.elapsed() < lifetime {
        thread::sleep(lifetime - opened_at.elapsed().min(lifetime));
    }
    drop(conn);
    let expired = short_lived.stats().closed.by(CloseReason::Expired);
    let second = PooledConnection::id(&short_lived.get()?);

    story.say(&format!(
        "Expired: a second pool sets max_lifetime to {lifetime:?}. A loan outlasts that; when the connection \
         comes back it is closed, and the next loan gets a new one."
    ));
    story.expect_at_least("closed because they had expired", 1, expired);
    story.expect_at_least("the number of the next one", first + 1, second);
    story.expect("the second pool closed in good order", true, short_lived.close_within(PATIENCE).is_clean());
    Ok(())
}

/// What was lent and what came back differ by what is lent now.
fn borrowed_and_returned<M: Engine>(pool: &Pool<M>, story: &mut Story) {
    let stats = pool.stats();
    story.say("Every loan of the first pool so far. All numbers are read in one moment, so that they add up.");
    story.fact("borrowed", borrowed(&stats));
    story.expect("returned", borrowed(&stats), stats.returned);
    story.expect("active now", 0, stats.in_use);
    story.fact("opened", stats.opened);
    story.expect("open, or closed by now", stats.opened, u64::from(stats.open) + stats.closed.total());
}

const PATIENCE: Duration = Duration::from_secs(10);
