//! The metrics and their values.

use crate::metrics::Look;
use crate::names;

/// One value of a metric, for a value of its attribute.
pub(crate) type Value = (&'static str, fn(&Look) -> u64);

/// The values read at each collection.
pub(crate) struct Family {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) unit: &'static str,
    pub(crate) help: &'static str,
    /// The values share this attribute, besides the pool's name; a family without an attribute has one value.
    pub(crate) attribute: &'static str,
    pub(crate) values: &'static [Value],
}

#[derive(PartialEq)]
pub(crate) enum Kind {
    Gauge,
    Counter,
}

pub(crate) const FAMILIES: &[Family] = &[
    Family {
        name: names::COUNT,
        kind: Kind::Gauge,
        unit: CONNECTION,
        help: "Connections, by state.",
        attribute: names::STATE,
        values: &[
            ("idle", |look| look.stats.idle.into()),
            ("used", |look| look.stats.in_use.into()),
            ("opening", |look| look.stats.opening.into()),
            ("checking", |look| look.stats.checking.into()),
            ("resetting", |look| look.stats.resetting.into()),
            ("closing", |look| look.stats.closing.into()),
        ],
    },
    gauge(names::MAX, CONNECTION, "The maximum number of connections.", &[("", |look| look.stats.max_size.into())]),
    gauge(
        names::IDLE_MIN,
        CONNECTION,
        "The number of idle connections to keep ready.",
        &[("", |look| look.stats.min_idle.into())],
    ),
    gauge(
        names::IDLE_MAX,
        CONNECTION,
        "The maximum number of idle connections.",
        &[("", |look| look.stats.max_size.into())],
    ),
    gauge(
        names::PENDING_REQUESTS,
        "{request}",
        "Requests that wait for a connection.",
        &[("", |look| look.stats.waiting.into())],
    ),
    counter(names::TIMEOUTS, "{timeout}", "Requests that timed out.", "", &[("", |look| look.stats.timed_out)]),
    Family {
        name: names::HEALTH,
        kind: Kind::Gauge,
        unit: "",
        help: "1 for the pool's current health, 0 for the others.",
        attribute: "state",
        values: &[
            ("up", |look| look.is("up")),
            ("busy", |look| look.is("busy")),
            ("down", |look| look.is("down")),
            ("stuck", |look| look.is("stuck")),
            ("closed", |look| look.is("closed")),
        ],
    },
    counter(
        names::LOANS,
        "{loan}",
        "Loans that began, by whether they waited.",
        "waited",
        &[("false", |look| look.stats.checked_out_at_once), ("true", |look| look.stats.checked_out_after_waiting)],
    ),
    counter(
        names::REFUSED,
        "{request}",
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
    counter(names::OPENED, CONNECTION, "Connections that were opened.", "", &[("", |look| look.stats.opened)]),
    counter(
        names::OPEN_FAILURES,
        "{attempt}",
        "Failed attempts to connect, by whether the server's role was the cause.",
        "reason",
        &[
            ("wrong_role", |look| look.stats.wrong_role_failures),
            ("other", |look| look.stats.open_failures - look.stats.wrong_role_failures),
        ],
    ),
    counter(
        names::RESETS,
        "{return}",
        "Returns, by the outcome of their reset.",
        "outcome",
        &[
            ("skipped", |look| look.stats.resets_skipped),
            ("done", |look| look.stats.resets_done),
            ("failed", |look| look.stats.resets_failed),
        ],
    ),
    counter(names::LEAKS, "{loan}", "Loans that were reported as leaks.", "", &[("", |look| look.stats.leaks)]),
    gauge(
        names::STUCK,
        "{call}",
        "Calls past their limit that cannot be aborted.",
        &[("", |look| look.stats.stuck.into())],
    ),
    gauge(
        names::ABORTED,
        CONNECTION,
        "Aborted connections whose call has not returned.",
        &[("", |look| look.stats.aborted.into())],
    ),
    gauge(names::ABANDONED, "{thread}", "Threads abandoned in a look-up.", &[("", |look| look.stats.abandoned.into())]),
];

/// The metric with one value for each close reason.
pub(crate) const CLOSED: (&str, &str) = (CONNECTION, "Connections that were closed, by reason.");

/// A histogram's name, and the meaning of its durations.
pub(crate) const WAIT_TIME: (&str, &str) = (names::WAIT_TIME, "How long requests waited.");
pub(crate) const USE_TIME: (&str, &str) = (names::USE_TIME, "How long connections were lent.");
pub(crate) const CREATE_TIME: (&str, &str) = (names::CREATE_TIME, "How long it took to open a connection.");

/// Each is twice the one before: those of `cabrank-prometheus`, from 1 us to 34 s.
pub(crate) fn boundaries() -> Vec<f64> {
    (10..=35).map(|bit| std::time::Duration::from_nanos((1 << bit) - 1).as_secs_f64()).collect()
}

const fn gauge(name: &'static str, unit: &'static str, help: &'static str, values: &'static [Value]) -> Family {
    Family { name, kind: Kind::Gauge, unit, help, attribute: "", values }
}

const fn counter(
    name: &'static str,
    unit: &'static str,
    help: &'static str,
    attribute: &'static str,
    values: &'static [Value],
) -> Family {
    Family { name, kind: Kind::Counter, unit, help, attribute, values }
}

const CONNECTION: &str = "{connection}";
