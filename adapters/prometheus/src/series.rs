//! The exported series and their values.

use crate::text::Text;
use cabrank::{CloseReason, Histogram, Stats};

/// The state of a pool at one moment.
pub(crate) struct Look {
    pub(crate) name: String,
    pub(crate) stats: Stats,
    pub(crate) health: &'static str,
}

impl Look {
    /// 1 if the pool has this health.
    fn is(&self, health: &str) -> u64 {
        u64::from(self.health == health)
    }
}

/// A statistic of a pool, for a value of one label.
type Value = (&'static str, fn(&Look) -> u64);

/// Series that differ in one label.
struct Family {
    name: &'static str,
    kind: &'static str,
    help: &'static str,
    /// The values share this label; a family without a label has one value.
    label: &'static str,
    values: &'static [Value],
}

const FAMILIES: &[Family] = &[
    Family {
        name: "db_client_connection_count",
        kind: "gauge",
        help: "Connections, by state.",
        label: "db_client_connection_state",
        values: &[
            ("idle", |look| look.stats.idle.into()),
            ("used", |look| look.stats.in_use.into()),
            ("opening", |look| look.stats.opening.into()),
            ("checking", |look| look.stats.checking.into()),
            ("resetting", |look| look.stats.resetting.into()),
            ("closing", |look| look.stats.closing.into()),
        ],
    },
    gauge("db_client_connection_max", "The maximum number of connections.", &[("", |look| look.stats.max_size.into())]),
    gauge(
        "db_client_connection_idle_min",
        "The number of idle connections to keep ready.",
        &[("", |look| look.stats.min_idle.into())],
    ),
    gauge(
        "db_client_connection_idle_max",
        "The maximum number of idle connections.",
        &[("", |look| look.stats.max_size.into())],
    ),
    gauge(
        "db_client_connection_pending_requests",
        "Requests that wait for a connection.",
        &[("", |look| look.stats.waiting.into())],
    ),
    counter(
        "db_client_connection_timeouts_total",
        "Requests that timed out.",
        "",
        &[("", |look| look.stats.timed_out)],
    ),
    Family {
        name: "cabrank_health",
        kind: "gauge",
        help: "1 for the pool's current health, 0 for the others.",
        label: "state",
        values: &[
            ("up", |look| look.is("up")),
            ("busy", |look| look.is("busy")),
            ("down", |look| look.is("down")),
            ("stuck", |look| look.is("stuck")),
            ("closed", |look| look.is("closed")),
        ],
    },
    counter(
        "cabrank_loans_total",
        "Loans that began, by whether they waited.",
        "waited",
        &[("false", |look| look.stats.checked_out_at_once), ("true", |look| look.stats.checked_out_after_waiting)],
    ),
    counter(
        "cabrank_refused_total",
        "Requests that were refused, by reason.",
        "reason",
        &[
            ("overloaded", |look| look.stats.overloaded),
            ("connect", |look| look.stats.refused),
            ("closed", |look| look.stats.refused_closed),
            ("not_available", |look| look.stats.not_available),
            ("called_from_hook", |look| look.stats.called_from_hook),
            ("cancelled", |look| look.stats.cancelled),
        ],
    ),
    counter("cabrank_opened_total", "Connections that were opened.", "", &[("", |look| look.stats.opened)]),
    counter(
        "cabrank_open_failures_total",
        "Failed attempts to connect, by whether the server's role was the cause.",
        "reason",
        &[
            ("wrong_role", |look| look.stats.wrong_role_failures),
            ("other", |look| look.stats.open_failures - look.stats.wrong_role_failures),
        ],
    ),
    counter(
        "cabrank_resets_total",
        "Returns, by the outcome of their reset.",
        "outcome",
        &[
            ("skipped", |look| look.stats.resets_skipped),
            ("done", |look| look.stats.resets_done),
            ("failed", |look| look.stats.resets_failed),
        ],
    ),
    counter("cabrank_leaks_total", "Loans that were reported as leaks.", "", &[("", |look| look.stats.leaks)]),
    gauge("cabrank_stuck", "Calls past their limit that cannot be aborted.", &[("", |look| look.stats.stuck.into())]),
    gauge(
        "cabrank_aborted",
        "Aborted connections whose call has not returned.",
        &[("", |look| look.stats.aborted.into())],
    ),
    gauge("cabrank_abandoned", "Threads abandoned in a look-up.", &[("", |look| look.stats.abandoned.into())]),
];

/// The histograms of a pool.
const TIMES: &[(&str, &str, fn(&Stats) -> &Histogram)] = &[
    ("db_client_connection_wait_time_seconds", "How long requests waited.", |stats| &stats.wait_time),
    ("db_client_connection_use_time_seconds", "How long connections were lent.", |stats| &stats.use_time),
    ("db_client_connection_create_time_seconds", "How long it took to open a connection.", |stats| &stats.open_time),
];

const fn gauge(name: &'static str, help: &'static str, values: &'static [Value]) -> Family {
    Family { name, kind: "gauge", help, label: "", values }
}

const fn counter(name: &'static str, help: &'static str, label: &'static str, values: &'static [Value]) -> Family {
    Family { name, kind: "counter", help, label, values }
}

/// Each family once, with the series of all pools, as the format requires.
pub(crate) fn write(text: &mut Text, pools: &[Look]) {
    if pools.is_empty() {
        return;
    }
    for Family { name, kind, help, label, values } in FAMILIES {
        text.family(name, kind, help);
        for look in pools {
            for (value, number) in *values {
                let labels = [(POOL, look.name.as_str()), (label, value)];
                text.sample(name, if label.is_empty() { &labels[..1] } else { &labels }, number(look));
            }
        }
    }
    let closed = "cabrank_closed_total";
    text.family(closed, "counter", "Connections that were closed, by reason.");
    for Look { name: pool, stats, .. } in pools {
        for reason in CloseReason::ALL {
            text.sample(closed, &[(POOL, pool), ("reason", reason.as_str())], stats.closed.by(*reason));
        }
    }
    for (name, help, times) in TIMES {
        text.family(name, "histogram", help);
        for Look { name: pool, stats, .. } in pools {
            text.histogram(name, (POOL, pool), times(stats));
        }
    }
}

const POOL: &str = "db_client_connection_pool_name";
