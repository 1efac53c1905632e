//! A snapshot of the pools as JSON, with exactly what the page shows.

use crate::history::History;
use crate::plain;
use crate::pools::Sight;
use crate::words;
use crate::words::{Site, Words};
use cabrank::{CloseReason, ConnectionInfo, Histogram, Outage, Phase, Stats, WaiterInfo};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// One pool, with the points of its charts that a reader may lack.
pub(crate) fn pool(sight: &Sight, history: &History) -> Value {
    let now = &sight.now;
    let Words { state, title, says } = Words::of(now);
    let mut shown: Vec<&ConnectionInfo> = now.connections.iter().collect();
    // If there are too many, the most relevant come first: given up, then the longest loans, busy, and idle.
    if shown.len() > MOST_CONNECTIONS {
        shown.sort_by_key(|connection| std::cmp::Reverse((interest(connection), connection.in_phase_for)));
        shown.truncate(MOST_CONNECTIONS);
        shown.sort_by_key(|connection| (connection.id.is_none(), connection.id));
    }
    let waiting = now.stats.waiting as usize;
    let first_waiters: Vec<Value> = now.waiters.iter().take(MOST_WAITERS).map(waiter).collect();
    json!({
        "key": sight.key,
        "name": plain::text(&sight.name),
        "state": state,
        "title": title,
        "says": says,
        "counts": counts(&now.stats),
        "totals": totals(&now.stats),
        "times": { "wait": times(&now.stats.wait_time), "use": times(&now.stats.use_time), "open": times(&now.stats.open_time) },
        "connections": shown.iter().map(|shown| connection(shown)).collect::<Vec<_>>(),
        "connections_hidden": now.connections.len() - shown.len(),
        "holders": sites(&words::holding_sites(&now.connections)),
        "waiters_hidden": waiting.saturating_sub(first_waiters.len()),
        "waiters": first_waiters,
        "askers": sites(&words::waiting_sites(now)),
        "outage": now.outage.as_ref().map(outage),
        "points": history.newest(sight.key, NEWEST_POINTS),
    })
}

fn interest(connection: &ConnectionInfo) -> u8 {
    match connection.phase {
        _ if connection.is_stuck => 4,
        Phase::Aborted | Phase::Abandoned => 3,
        Phase::Lent => 2,
        Phase::Idle => 0,
        _ => 1,
    }
}

fn connection(connection: &ConnectionInfo) -> Value {
    let holder = connection.holder.as_ref();
    json!({
        "id": connection.id,
        "phase": connection.phase.as_str(),
        "stuck": connection.is_stuck,
        "for_ms": millis(connection.in_phase_for),
        "age_ms": connection.age.map(millis),
        "uses": connection.uses,
        "site": holder.map(|holder| plain::site(holder.call_site)),
        "held_ms": holder.map(|holder| millis(holder.held_for)),
        "thread": holder.and_then(|holder| holder.thread),
        "remark": connection.remark.as_deref().map(plain::text),
    })
}

fn waiter(waiter: &WaiterInfo) -> Value {
    json!({
        "waited_ms": millis(waiter.waited),
        "left_ms": waiter.left.map(millis),
        "site": plain::site(waiter.call_site),
        "thread": waiter.thread,
        "name": waiter.thread_name.as_deref().map(plain::text),
    })
}

fn outage(outage: &Outage) -> Value {
    json!({
        "since_ms": millis(outage.since),
        "failures": outage.failures,
        "next_ms": millis(outage.next_attempt),
        "under_way_ms": outage.attempt_under_way.map(millis),
        "error": outage.last_error.as_ref().map(|(error, _)| plain::error(error.as_ref())),
        "error_ago_ms": outage.last_error.as_ref().map(|(_, age)| millis(*age)),
    })
}

fn sites(sites: &[Site]) -> Vec<Value> {
    let told = sites.iter().take(MOST_SITES);
    told.map(|Site { place, count, longest }| json!({ "site": place, "count": count, "longest_ms": millis(*longest) }))
        .collect()
}

fn counts(stats: &Stats) -> Value {
    json!({
        "max_size": stats.max_size,
        "min_idle": stats.min_idle,
        "open": stats.open,
        "idle": stats.idle,
        "lent": stats.in_use,
        "opening": stats.opening,
        "checking": stats.checking,
        "resetting": stats.resetting,
        "closing": stats.closing,
        "aborted": stats.aborted,
        "abandoned": stats.abandoned,
        "stuck": stats.stuck,
        "waiting": stats.waiting,
    })
}

fn totals(stats: &Stats) -> Value {
    let closed =
        CloseReason::ALL.iter().map(|&reason| (reason, stats.closed.by(reason))).filter(|(_, count)| *count > 0);
    let closed: Map<String, Value> = closed.map(|(reason, count)| (reason.as_str().to_owned(), count.into())).collect();
    json!({
        "at_once": stats.checked_out_at_once,
        "after_waiting": stats.checked_out_after_waiting,
        "rejected": stats.rejected_at_checkout,
        "returned": stats.returned,
        "timed_out": stats.timed_out,
        "overloaded": stats.overloaded,
        "refused": stats.refused,
        "refused_closed": stats.refused_closed,
        "not_available": stats.not_available,
        "called_from_hook": stats.called_from_hook,
        "cancelled": stats.cancelled,
        "opened": stats.opened,
        "open_failures": stats.open_failures,
        "resets_skipped": stats.resets_skipped,
        "resets_done": stats.resets_done,
        "resets_failed": stats.resets_failed,
        "leaks": stats.leaks,
        "closed": closed,
    })
}

fn times(histogram: &Histogram) -> Value {
    json!({
        "count": histogram.count(),
        "mean_ms": millis(histogram.mean()),
        "p50_ms": millis(histogram.quantile(0.5)),
        "p99_ms": millis(histogram.quantile(0.99)),
        "max_ms": millis(histogram.max()),
    })
}

/// With three decimal places, which is precise enough.
fn millis(span: Duration) -> f64 {
    span.as_micros() as f64 / 1_000.0
}

const MOST_CONNECTIONS: usize = 200;
const MOST_WAITERS: usize = 50;
const MOST_SITES: usize = 12;
/// A reader that misses fewer seconds than this has complete charts.
const NEWEST_POINTS: usize = 5;
