//! Events through `tracing`, with fixed targets and field names that follow OpenTelemetry.
//!
//! Repeats of a trouble are reported once, and then once in ten seconds with the number left out. The events of each loan go to
//! subscribers of level `TRACE` alone, and cost one read if there is none; they do not go to the `log` crate.

use crate::config::{Config, Problem};
use crate::event::{
    CallEnded, CheckedIn, CheckedOut, ConnectionClosed, EventHandler, OpenFailed, Opened, Refused, Remarked,
};
use crate::reason::RefusalReason;
use crate::report::{Holder, Report};
use crate::sync::{Mutex, now};
use std::time::{Duration, Instant};

#[derive(Debug, Default)]
pub(crate) struct Tracing {
    open_failures: Repeats,
    remarks: Repeats,
    check_failures: Repeats,
    reset_failures: Repeats,
    time_outs: Repeats,
    overloads: Repeats,
    refusals: Repeats,
    hook_calls: Repeats,
}

/// Warns of the settings of a new pool that were probably not meant.
pub(crate) fn settings(config: &Config, intended: &[Problem]) {
    for warning in config.warnings().iter().filter(|warning| !intended.contains(warning)) {
        tracing::warn!(
            target: "cabrank::settings",
            {
                db.client.connection.pool.name = config.name,
                setting = warning.field,
            },
            "{warning}"
        );
    }
}

/// Whether any subscriber wants the events of each loan.
#[inline]
pub(crate) fn hears_loans() -> bool {
    tracing::level_enabled!(tracing::Level::TRACE)
}

/// How often the same trouble has occurred since it was last reported.
#[derive(Debug, Default)]
struct Repeats(Mutex<(Option<Instant>, u64)>);

impl Repeats {
    /// If it is time to report again, returns how many were left out.
    fn tell(&self) -> Option<u64> {
        let mut repeats = self.0.lock();
        let now = now();
        let (told, left_out) = &mut *repeats;
        if told.is_some_and(|told| now.saturating_duration_since(told) < ONCE_IN) {
            *left_out += 1;
            return None;
        }
        *told = Some(now);
        Some(std::mem::take(left_out))
    }
}

const ONCE_IN: Duration = Duration::from_secs(10);

impl EventHandler for Tracing {
    fn opened(&self, event: &Opened<'_>) {
        tracing::debug!(
            target: "cabrank::open",
            {
                db.client.connection.pool.name = event.pool,
                connection = event.id,
                create_time_secs = event.took.as_secs_f64(),
            },
            "connection opened"
        );
    }

    fn open_failed(&self, event: &OpenFailed<'_>) {
        if let Some(left_out) = self.open_failures.tell() {
            tracing::warn!(
                target: "cabrank::open",
                {
                    db.client.connection.pool.name = event.pool,
                    error = event.error,
                    create_time_secs = event.took.as_secs_f64(),
                    left_out,
                },
                "could not connect"
            );
        }
    }

    fn remarked(&self, event: &Remarked<'_>) {
        if let Some(left_out) = self.remarks.tell() {
            tracing::warn!(
                target: "cabrank::open",
                {
                    db.client.connection.pool.name = event.pool,
                    connection = event.id,
                    remark = event.remark,
                    left_out,
                },
                "remark on the server"
            );
        }
    }

    fn checked_out(&self, event: &CheckedOut<'_>) {
        tracing::trace!(
            target: "cabrank::checkout",
            {
                db.client.connection.pool.name = event.pool,
                connection = event.id,
                wait_time_secs = event.waited.as_secs_f64(),
            },
            "connection checked out"
        );
    }

    fn checked_in(&self, event: &CheckedIn<'_>) {
        tracing::trace!(
            target: "cabrank::checkout",
            {
                db.client.connection.pool.name = event.pool,
                connection = event.id,
                use_time_secs = event.used.as_secs_f64(),
            },
            "connection checked in"
        );
    }

    fn timed_out(&self, report: &Report) {
        if let Some(left_out) = self.time_outs.tell() {
            tracing::warn!(
                target: "cabrank::checkout",
                {
                    db.client.connection.pool.name = report.pool.as_str(),
                    wait_time_secs = report.waited.as_secs_f64(),
                    left_out,
                },
                "request timed out: {report}"
            );
        }
    }

    fn overloaded(&self, report: &Report) {
        if let Some(left_out) = self.overloads.tell() {
            tracing::warn!(
                target: "cabrank::checkout",
                {
                    db.client.connection.pool.name = report.pool.as_str(),
                    left_out,
                },
                "request refused, too many are waiting: {report}"
            );
        }
    }

    fn refused(&self, event: &Refused<'_>) {
        let repeats = match event.reason {
            RefusalReason::Connect => &self.refusals,
            RefusalReason::CalledFromHook => &self.hook_calls,
            // Requested, and no trouble.
            RefusalReason::Closed | RefusalReason::NotAvailable | RefusalReason::Cancelled => {
                return tracing::debug!(
                    target: "cabrank::checkout",
                    {
                        db.client.connection.pool.name = event.pool,
                        reason = event.reason.as_str(),
                        wait_time_secs = event.waited.as_secs_f64(),
                    },
                    "request refused"
                );
            }
        };
        if let Some(left_out) = repeats.tell() {
            tracing::warn!(
                target: "cabrank::checkout",
                {
                    db.client.connection.pool.name = event.pool,
                    reason = event.reason.as_str(),
                    wait_time_secs = event.waited.as_secs_f64(),
                    error = event.error,
                    left_out,
                },
                "request refused"
            );
        }
    }

    fn checked(&self, event: &CallEnded<'_>) {
        match event.error {
            None => tracing::debug!(
                target: "cabrank::check",
                {
                    db.client.connection.pool.name = event.pool,
                    connection = event.id,
                    check_time_secs = event.took.as_secs_f64(),
                },
                "check passed"
            ),
            Some(error) => {
                if let Some(left_out) = self.check_failures.tell() {
                    tracing::warn!(
                        target: "cabrank::check",
                        {
                            db.client.connection.pool.name = event.pool,
                            connection = event.id,
                            check_time_secs = event.took.as_secs_f64(),
                            error,
                            left_out,
                        },
                        "check failed"
                    );
                }
            }
        }
    }

    fn reset(&self, event: &CallEnded<'_>) {
        match event.error {
            None => tracing::trace!(
                target: "cabrank::reset",
                {
                    db.client.connection.pool.name = event.pool,
                    connection = event.id,
                    reset_time_secs = event.took.as_secs_f64(),
                },
                "session reset"
            ),
            Some(error) => {
                if let Some(left_out) = self.reset_failures.tell() {
                    tracing::warn!(
                        target: "cabrank::reset",
                        {
                            db.client.connection.pool.name = event.pool,
                            connection = event.id,
                            reset_time_secs = event.took.as_secs_f64(),
                            error,
                            left_out,
                        },
                        "reset failed"
                    );
                }
            }
        }
    }

    fn closed(&self, event: &ConnectionClosed<'_>) {
        tracing::debug!(
            target: "cabrank::close",
            {
                db.client.connection.pool.name = event.pool,
                connection = event.id,
                reason = event.reason.as_str(),
                age_secs = event.age.as_secs_f64(),
                uses = event.uses,
            },
            "connection closed"
        );
    }

    fn leaked(&self, pool: &str, holder: &Holder) {
        tracing::warn!(
            target: "cabrank::leak",
            {
                db.client.connection.pool.name = pool,
                connection = holder.id,
                use_time_secs = holder.held_for.as_secs_f64(),
                call_site = %holder.call_site,
            },
            "possible leak: a loan exceeds leak_after"
        );
    }
}
