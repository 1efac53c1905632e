//! Which series there are, and what their values are.

use crate::text::Text;
use cabrank::{CloseReason, Histogram, Stats};

/// A number of a pool, for a value of one label.
type Value = (&'static str, fn(&Stats) -> u64);

/// Series that differ in one label.
struct Family {
    name: &'static str,
    kind: &'static str,
    help: &'static str,
    /// Its values have their label in common; one without a label has one value.
    label: &'static str,
    values: &'static [Value],
}

const FAMILIES: &[Family] = &[
    Family {
        name: "db_client_connection_count",
        kind: "gauge",
        help: "Connections, by what they are doing.",
        label: "db_client_connection_state",
        values: &[
            ("idle", |stats| stats.idle.into()),
            ("used", |stats| stats.in_use.into()),
            ("opening", |stats| stats.opening.into()),
            ("checking", |stats| stats.checking.into()),
            ("resetting", |stats| stats.resetting.into()),
            ("closing", |stats| stats.closing.into()),
        ],
    },
    gauge("db_client_connection_max", "The most connections.", &[("", |stats| stats.max_size.into())]),
    gauge(
        "db_client_connection_idle_min",
        "Idle connections that are kept ready.",
        &[("", |stats| stats.min_idle.into())],
    ),
    gauge("db_client_connection_idle_max", "The most idle connections.", &[("", |stats| stats.max_size.into())]),
    gauge("db_client_connection_pending_requests", "Requests that wait.", &[("", |stats| stats.waiting.into())]),
    counter(
        "db_client_connection_timeouts_total",
        "Requests that ran out of time.",
        "",
        &[("", |stats| stats.timed_out)],
    ),
    counter(
        "cabrank_loans_total",
        "Loans that began, by whether they waited.",
        "waited",
        &[("false", |stats| stats.checked_out_at_once), ("true", |stats| stats.checked_out_after_waiting)],
    ),
    counter(
        "cabrank_refused_total",
        "Requests that were refused, by reason.",
        "reason",
        &[
            ("overloaded", |stats| stats.overloaded),
            ("connect", |stats| stats.refused),
            ("closed", |stats| stats.refused_closed),
            ("not_available", |stats| stats.not_available),
            ("called_from_hook", |stats| stats.called_from_hook),
            ("cancelled", |stats| stats.cancelled),
        ],
    ),
    counter("cabrank_opened_total", "Connections that were opened.", "", &[("", |stats| stats.opened)]),
    counter(
        "cabrank_open_failures_total",
        "Attempts to connect that failed.",
        "",
        &[("", |stats| stats.open_failures)],
    ),
    counter(
        "cabrank_resets_total",
        "Returns, by whether they needed a reset and how it ended.",
        "outcome",
        &[
            ("skipped", |stats| stats.resets_skipped),
            ("done", |stats| stats.resets_done),
            ("failed", |stats| stats.resets_failed),
        ],
    ),
    counter("cabrank_leaks_total", "Loans that were reported as leaks.", "", &[("", |stats| stats.leaks)]),
    gauge("cabrank_stuck", "Calls past their limit that nothing can abort.", &[("", |stats| stats.stuck.into())]),
    gauge("cabrank_aborted", "Aborted connections whose call has not returned.", &[("", |stats| stats.aborted.into())]),
    gauge("cabrank_abandoned", "Threads that were given up in a look-up.", &[("", |stats| stats.abandoned.into())]),
];

/// The histograms of a pool.
const TIMES: &[(&str, &str, fn(&Stats) -> &Histogram)] = &[
    ("db_client_connection_wait_time_seconds", "How long requests waited.", |stats| &stats.wait_time),
    ("db_client_connection_use_time_seconds", "How long connections were lent.", |stats| &stats.use_time),
    ("db_client_connection_create_time_seconds", "How long opening took.", |stats| &stats.open_time),
];

const fn gauge(name: &'static str, help: &'static str, values: &'static [Value]) -> Family {
    Family { name, kind: "gauge", help, label: "", values }
}

const fn counter(name: &'static str, help: &'static str, label: &'static str, values: &'static [Value]) -> Family {
    Family { name, kind: "counter", help, label, values }
}

/// Each family once, with the series of all pools: so the format demands it.
pub(crate) fn write(text: &mut Text, pools: &[(String, Stats)]) {
    if pools.is_empty() {
        return;
    }
    for Family { name, kind, help, label, values } in FAMILIES {
        text.family(name, kind, help);
        for (pool, stats) in pools {
            for (value, number) in *values {
                let labels = [(POOL, pool.as_str()), (label, value)];
                text.sample(name, if label.is_empty() { &labels[..1] } else { &labels }, number(stats));
            }
        }
    }
    let closed = "cabrank_closed_total";
    text.family(closed, "counter", "Connections that were closed, by reason.");
    for (pool, stats) in pools {
        for reason in CloseReason::ALL {
            text.sample(closed, &[(POOL, pool), ("reason", reason.as_str())], stats.closed.by(*reason));
        }
    }
    for (name, help, times) in TIMES {
        text.family(name, "histogram", help);
        for (pool, stats) in pools {
            text.histogram(name, (POOL, pool), times(stats));
        }
    }
}

const POOL: &str = "db_client_connection_pool_name";
