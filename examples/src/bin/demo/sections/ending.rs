//! Section 7: the final statistics, and a graceful close.

use crate::engine::Engine;
use crate::sections::concurrency::quantiles;
use crate::story::{Story, borrowed, time};
use crate::table::Table;
use cabrank::{CloseReason, GetError, Pool};
use std::time::{Duration, Instant};

/// Closes the pool, and shows that nothing is left.
pub(crate) fn ending<M: Engine>(pool: &Pool<M>, table: Table<'_, M>, story: &mut Story) -> anyhow::Result<()> {
    table.remove()?;

    story.section("Final statistics and a graceful close");
    story.say(
        "`close_within` refuses new loans, wakes the waiters, waits for the holders until its deadline, and reports what is \
         left.",
    );
    let began = Instant::now();
    let report = pool.close_within(Duration::from_secs(10));
    let took = began.elapsed();
    let stats = pool.stats();
    let reasons = CloseReason::ALL.iter().copied().filter(|&reason| stats.closed.by(reason) > 0);
    let reasons: Vec<_> = reasons.map(|reason| format!("{} {reason}", stats.closed.by(reason))).collect();

    story.fact("connections opened", format!("{}, failed attempts: {}", stats.opened, stats.open_failures));
    story.fact("connections closed", reasons.join(", "));
    let opened = &stats.open_time;
    story.fact("time to open one", format!("mean {}, longest {}", time(opened.mean()), time(opened.max())));
    story.fact("loans, by section", story.loans_by_section(&stats));
    story.fact("loans without a wait", stats.checked_out_at_once);
    story.fact("loans after a wait", stats.checked_out_after_waiting);
    story.fact("requests timed out", stats.timed_out);
    let (clean, reset) = (stats.resets_skipped, stats.resets_done);
    let closed = stats.returned - clean - reset;
    story.fact(
        "sessions after a loan",
        format!("{clean} unchanged, {reset} reset, {closed} closed with the connection"),
    );
    story.fact("wait for a connection", quantiles(&stats));
    story.fact(
        "length of a loan",
        format!("mean {}, longest {}", time(stats.use_time.mean()), time(stats.use_time.max())),
    );
    story.fact("time to close", time(took));
    story.fact("report of `close_within`", &report);
    story.expect("connections and threads left", 0, report.connections_left + report.threads_left);
    story.expect("loans that have ended", borrowed(&stats), stats.returned);
    story.expect("connections opened, all closed", stats.opened, stats.closed.total());

    let refused = pool.get();
    story.expect_error("a further `get` returns", "the pool is closed", &refused, GetError::is_closed);
    if let Err(error) = refused {
        story.quote(&format!("{error:?}"));
    }
    Ok(())
}
