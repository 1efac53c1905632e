//! Section 5: the states of a connection, and how the pool counts them.

use crate::engine::Engine;
use crate::story::{Story, borrowed};
use cabrank::{CloseReason, Pool, PooledConnection, RunError};
use examples::with_causes;
use std::thread;
use std::time::Duration;

/// Shows connections that are in use, idle, broken and expired.
pub(crate) fn states<M: Engine>(pool: &Pool<M>, manager: M, story: &mut Story) -> anyhow::Result<()> {
    story.section("States and statistics");
    active_and_idle(pool, story)?;
    invalid(pool, story)?;
    expired(manager, story)?;
    borrowed_and_returned(pool, story);
    Ok(())
}

/// A connection that is lent is in use; one that is ready for the next loan is idle.
fn active_and_idle<M: Engine>(pool: &Pool<M>, story: &mut Story) -> anyhow::Result<()> {
    let wanted = pool.config().max_size.min(3);
    let loans = (0..wanted).map(|_| pool.get()).collect::<Result<Vec<_>, _>>()?;
    let stats = pool.stats();
    drop(loans);

    story.say(&format!(
        "In use and idle: {wanted} of the pool's connections are lent, the others are ready for a loan, or will be when a worker \
         has checked that they are alive, or has reset their session."
    ));
    let between_loans = stats.idle + stats.checking + stats.resetting;
    story.expect("in use", wanted, stats.in_use);
    story.expect("idle, being checked or being reset", stats.open - wanted, between_loans);
    let percent = |share: f64| format!("{:.0} %", 100.0 * share);
    let expected = f64::from(wanted) / f64::from(stats.max_size);
    story.expect("share of the pool in use", percent(expected), percent(stats.utilization()));
    Ok(())
}

/// The pool closes an unusable connection when it is returned, and opens another when it needs one.
fn invalid<M: Engine>(pool: &Pool<M>, story: &mut Story) -> anyhow::Result<()> {
    let before = pool.stats();

    // `run` examines the driver's error. With a guard, call `PooledConnection::report_error`.
    let outcome = pool.run(|conn| M::lose(conn));

    // A holder may have a reason of its own to distrust a connection.
    let conn = pool.get()?;
    PooledConnection::discard(conn);

    let after = pool.stats();
    let closed = |reason| after.closed.by(reason) - before.closed.by(reason);
    story.say(
        "Broken: one connection fails with an error that makes it unusable, and a holder discards another: it asks the pool to \
         close it. The pool lends neither again. After such an error it checks its other connections before their next loan.",
    );
    if let Err(RunError::User(error)) = outcome {
        // With its sources, because PostgreSQL's driver has the cause only there.
        story.quote(&with_causes(&anyhow::Error::new(error.into_inner())));
    }
    story.expect("closed as broken", 1, closed(CloseReason::Broken));
    story.expect("closed as discarded", 1, closed(CloseReason::Discarded));
    Ok(())
}

/// The pool closes a connection that has reached `max_lifetime`: here a second pool, with a very short one.
fn expired<M: Engine>(manager: M, story: &mut Story) -> anyhow::Result<()> {
    let lifetime = Duration::from_millis(20);
    let short_lived = Pool::builder().name("short-lived").max_size(1).max_lifetime(lifetime).build_lazy(manager)?;

    let conn = short_lived.get()?;
    let (first, opened_at) = (PooledConnection::id(&conn), PooledConnection::opened_at(&conn));
    // The loan outlasts the lifetime. The pool never interrupts a loan for that.
    while opened_at.elapsed() < lifetime {
        thread::sleep(lifetime - opened_at.elapsed().min(lifetime));
    }
    drop(conn);
    let expired = short_lived.stats().closed.by(CloseReason::Expired);
    let second = PooledConnection::id(&short_lived.get()?);

    story.say(&format!(
        "Expired: a second pool has a max_lifetime of {lifetime:?}, and a loan outlasts it. The pool closes the connection \
         when it is returned, and the next loan gets a new one."
    ));
    story.expect_at_least("closed as expired", 1, expired);
    story.expect_at_least("id of the next connection", first + 1, second);
    let report = short_lived.close_within(PATIENCE);
    story.expect("left at its close: connections and threads", 0, report.connections_left + report.threads_left);
    Ok(())
}

/// The numbers of loans and returns differ by the loans that are out now.
fn borrowed_and_returned<M: Engine>(pool: &Pool<M>, story: &mut Story) {
    let stats = pool.stats();
    story.say(
        "Totals of the first pool so far. `stats` reads all numbers at one moment, and they add up. Each `get`, `run` and \
         `transaction` is a loan.",
    );
    story.fact("loans, by section", story.loans_by_section(&stats));
    story.expect("loans that have ended", borrowed(&stats), stats.returned);
    story.expect("in use now", 0, stats.in_use);
    story.fact("connections opened", stats.opened);
    story.expect("connections open now, or closed since", stats.opened, u64::from(stats.open) + stats.closed.total());
}

const PATIENCE: Duration = Duration::from_secs(10);
