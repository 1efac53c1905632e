//! The newest events, in a ring of fixed size.

use crate::plain;
use cabrank::{
    CallEnded, ConnectionClosed, EventHandler, Holder, OpenFailed, Opened, RefusalReason, Refused, Remarked, Report,
};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Keeps the newest 200 events of the pools that were built with it, for the page. Consecutive events of one kind within a second are
/// merged into one with a count. Loans that begin and end normally are not recorded.
///
/// ```
/// # use cabrank::Pool;
/// # use cabrank::doc_toy::Toy;
/// use cabrank_monitor::{Pools, Recorder};
///
/// let recorder = Recorder::new();
/// let pool = Pool::builder().name("accounts").event_handler(recorder.clone()).build(Toy)?;
/// let pools = Pools::new().with(&pool).with_events(&recorder);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Default)]
pub struct Recorder(Mutex<VecDeque<Event>>);

struct Event {
    at: Duration,
    last_at: Duration,
    times: u64,
    kind: &'static str,
    pool: String,
    text: String,
}

impl Recorder {
    /// Creates an empty recorder.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Newest first.
    pub(crate) fn newest(&self, most: usize) -> Vec<Value> {
        let events = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let told = |event: &Event| {
            let Event { at, last_at, times, kind, pool, text } = event;
            let (at, last_at) = (at.as_millis() as u64, last_at.as_millis() as u64);
            json!({ "at": at, "last_at": last_at, "times": times, "kind": kind, "pool": pool, "text": text })
        };
        events.iter().rev().take(most).map(told).collect()
    }

    /// `text` is called without the lock, and only if the event is shown.
    fn note(&self, pool: &str, kind: &'static str, text: impl FnOnce() -> String) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let events = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let pool = plain::text(pool);
        let is_more_of = |last: &Event| last.kind == kind && last.pool == pool && now < last.last_at + TOGETHER;
        if let Some(last) = events().back_mut().filter(|last| is_more_of(last)) {
            last.times += 1;
            last.last_at = now;
            return;
        }
        let text = text();
        let mut events = events();
        if events.len() == KEPT {
            events.pop_front();
        }
        events.push_back(Event { at: now, last_at: now, times: 1, kind, pool, text });
    }
}

impl EventHandler for Recorder {
    fn opened(&self, event: &Opened<'_>) {
        self.note(event.pool, "opened", || format!("connection {}, in {}", event.id, plain::span(event.took)));
    }

    fn open_failed(&self, event: &OpenFailed<'_>) {
        self.note(event.pool, "open failed", || {
            format!("after {}: {}", plain::span(event.took), plain::error(event.error))
        });
    }

    fn timed_out(&self, report: &Report) {
        self.note(&report.pool, "timed out", || format!("after {}: {}", plain::span(report.waited), short(report)));
    }

    fn overloaded(&self, report: &Report) {
        self.note(&report.pool, "overloaded", || short(report));
    }

    fn refused(&self, event: &Refused<'_>) {
        // A normal answer, not a problem.
        if event.reason == RefusalReason::NotAvailable {
            return;
        }
        self.note(event.pool, "refused", || match event.error {
            Some(error) => format!("{}: {}", event.reason, plain::error(error)),
            None => event.reason.to_string(),
        });
    }

    fn remarked(&self, event: &Remarked<'_>) {
        self.note(event.pool, "remark", || format!("connection {}: {}", event.id, plain::text(event.remark)));
    }

    fn checked(&self, event: &CallEnded<'_>) {
        if let Some(error) = event.error {
            self.note(event.pool, "check failed", || format!("connection {}: {}", event.id, plain::error(error)));
        }
    }

    fn reset(&self, event: &CallEnded<'_>) {
        if let Some(error) = event.error {
            self.note(event.pool, "reset failed", || format!("connection {}: {}", event.id, plain::error(error)));
        }
    }

    fn closed(&self, event: &ConnectionClosed<'_>) {
        self.note(event.pool, "closed", || {
            let (age, uses) = (plain::span(event.age), plain::count(event.uses as usize, "loan"));
            format!("connection {}: {}, {age} old, {uses}", event.id, event.reason.as_str().replace('_', " "))
        });
    }

    fn leaked(&self, pool: &str, holder: &Holder) {
        self.note(pool, "leak", || {
            let (held_for, site) = (plain::span(holder.held_for), plain::site(holder.call_site));
            format!("connection {} is held for {held_for} by {site}", holder.id)
        });
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.lock().unwrap_or_else(PoisonError::into_inner).len();
        f.debug_struct("Recorder").field("events", &count).finish()
    }
}

fn short(report: &Report) -> String {
    let stats = &report.stats;
    let most = report.holders.first().map_or(String::new(), |first| {
        format!(", the longest loan for {} from {}", plain::span(first.held_for), plain::site(first.call_site))
    });
    format!("{} of {} lent, {} waiting{most}", stats.in_use, stats.max_size, stats.waiting)
}

const KEPT: usize = 200;
const TOGETHER: Duration = Duration::from_secs(1);
