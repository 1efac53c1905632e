//! A pool's health in words, for an operator who needs a diagnosis within a minute.

use crate::plain;
use cabrank::{ConnectionInfo, Health, Obstacle, Outage, Overview, Phase, Stats};
use std::cmp::Reverse;
use std::panic::Location;
use std::time::Duration;

/// A state, a headline, and sentences from the most to the least important.
pub(crate) struct Words {
    /// One of `up`, `waiting`, `exhausted`, `impaired`, `down`, `stuck`, `closed`.
    pub(crate) state: &'static str,
    pub(crate) title: String,
    pub(crate) says: Vec<String>,
}

/// A call site, the number of its loans or waiters, and the longest time.
pub(crate) struct Site {
    pub(crate) place: String,
    pub(crate) count: usize,
    pub(crate) longest: Duration,
}

impl Words {
    pub(crate) fn of(now: &Overview) -> Self {
        let (state, title) = headline(now);
        let mut says = Vec::new();
        if let Some(outage) = &now.outage {
            says.push(attempts(outage));
            says.extend(outage.last_error.as_ref().map(|(error, age)| {
                format!("The last attempt failed {} ago: {}.", plain::span(*age), plain::error(error.as_ref()))
            }));
        }
        says.extend(wait(now));
        if now.stats.in_use >= now.stats.max_size || !matches!(state, "up" | "waiting") {
            says.extend(holders(now));
        }
        says.extend(waits_for_itself(now));
        says.extend(lost(&now.stats));
        Self { state, title, says }
    }
}

fn headline(now: &Overview) -> (&'static str, String) {
    let Stats { max_size, open, in_use, idle, waiting, .. } = now.stats;
    let wait = match waiting {
        0 => "no request waits".to_owned(),
        1 => "1 request waits".to_owned(),
        more => format!("{more} requests wait"),
    };
    match (&now.health, &now.outage) {
        (Health::Closed, _) if in_use > 0 => {
            ("closed", format!("Closed: {} still out", plain::count(in_use as usize, "loan")))
        }
        (Health::Closed, _) if open + now.stats.closing > 0 => {
            ("closed", "Closed: the last connections are closing".to_owned())
        }
        (Health::Closed, _) => ("closed", "Closed: no connection is left".to_owned()),
        (Health::Stuck { .. }, _) => {
            ("stuck", format!("Stuck: all {max_size} slots are taken and none becomes free; {wait}"))
        }
        (Health::Down { since, .. }, outage) => {
            let what = outage.as_ref().map_or("no connection can be opened", |outage| obstacle(outage.obstacle));
            ("down", format!("Down for {}: {what}; {wait}", plain::span(*since)))
        }
        (_, Some(outage)) => {
            let what = obstacle(outage.obstacle);
            // Lent connections may hang too, like every call to the server.
            let rest = if idle > 0 { format!("{idle} idle") } else { "none idle".to_owned() };
            ("impaired", format!("Impaired: {what}; {in_use} of {open} open connections lent, {rest}; {wait}"))
        }
        _ if waiting > 0 && in_use >= max_size => {
            ("exhausted", format!("Exhausted: all {max_size} connections are lent and {wait}"))
        }
        _ if waiting > 0 => ("waiting", format!("Busy: {wait} while connections are opened, checked or reset")),
        _ if in_use >= max_size => ("up", format!("Up, all {max_size} lent: the next request will wait")),
        _ => ("up", format!("Up: {in_use} of {max_size} lent, {idle} idle, {wait}")),
    }
}

fn obstacle(obstacle: Obstacle) -> &'static str {
    match obstacle {
        Obstacle::Full => "the server has no room for more sessions",
        Obstacle::Refused => "the server refuses connections until the cause is fixed",
        Obstacle::ShortLived => "new connections die before they can be used",
        _ => "the server cannot be reached",
    }
}

fn attempts(outage: &Outage) -> String {
    let failed = plain::count(outage.failures as usize, "attempt");
    let next = match outage.attempt_under_way {
        Some(age) => format!("another has run for {}", plain::span(age)),
        None if outage.next_attempt.is_zero() => "the next is made at the next request".to_owned(),
        None => format!("the next is due in {}", plain::span(outage.next_attempt)),
    };
    format!("{failed} to connect failed in {}; {next}.", plain::span(outage.since))
}

fn wait(now: &Overview) -> Option<String> {
    let first = now.waiters.first()?;
    let mut text = format!("The first in the queue has waited for {}", plain::span(first.waited));
    if let Some(left) = first.left {
        text.push_str(&format!(" and gives up in {}", plain::span(left)));
    }
    if let Health::Busy { expected_wait } = &now.health {
        text.push_str(&format!("; a new request is likely to wait for {}", plain::span(*expected_wait)));
    }
    Some(text + ".")
}

/// The holders of connections.
fn holders(now: &Overview) -> Option<String> {
    let sites = holding_sites(&now.connections);
    let lent: usize = sites.iter().map(|site| site.count).sum();
    let told = sites.iter().take(3).map(|Site { place, count, longest }| {
        format!("{count} of {} from {place}, the longest for {}", plain::count(lent, "loan"), plain::span(*longest))
    });
    let told: Vec<_> = told.collect();
    (!told.is_empty()).then(|| format!("Held: {}.", told.join("; ")))
}

/// A thread that holds a connection while it waits for another delays other waiters, and perhaps deadlocks with itself.
fn waits_for_itself(now: &Overview) -> Option<String> {
    let holds =
        |thread| now.connections.iter().any(|held| held.holder.as_ref().is_some_and(|holder| holder.thread == thread));
    let both = now.waiters.iter().filter(|waiter| waiter.thread.is_some() && holds(waiter.thread)).count();
    (both > 0).then(|| {
        let threads = if both == 1 { "1 thread holds".to_owned() } else { format!("{both} threads hold") };
        format!("{threads} a connection while waiting for another: such code can wait for itself forever.")
    })
}

/// Calls that the pool has given up, or cannot abort.
fn lost(stats: &Stats) -> Option<String> {
    let parts = [
        (stats.stuck, "have exceeded their limit and cannot be aborted"),
        (stats.aborted, "were aborted and have not returned"),
        (stats.abandoned, "were abandoned in a look-up"),
    ];
    let told: Vec<_> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    (!told.is_empty()).then(|| format!("Calls: {}.", told.join(", ")))
}

/// The call sites of the current loans.
pub(crate) fn holding_sites(connections: &[ConnectionInfo]) -> Vec<Site> {
    let held = connections.iter().filter(|connection| connection.phase == Phase::Lent);
    sites(held.filter_map(|connection| connection.holder.as_ref()).map(|holder| (holder.call_site, holder.held_for)))
}

/// The call sites of the waiters.
pub(crate) fn waiting_sites(now: &Overview) -> Vec<Site> {
    sites(now.waiters.iter().map(|waiter| (waiter.call_site, waiter.waited)))
}

/// Sorted by total time: three loans of a minute matter more than five short ones.
fn sites(places: impl Iterator<Item = (&'static Location<'static>, Duration)>) -> Vec<Site> {
    let mut sites: Vec<(&'static Location<'static>, Vec<Duration>)> = Vec::new();
    for (place, span) in places {
        match sites.iter_mut().find(|(known, _)| *known == place) {
            Some((_, spans)) => spans.push(span),
            None => sites.push((place, vec![span])),
        }
    }
    sites.sort_by_key(|(_, spans)| Reverse(spans.iter().sum::<Duration>()));
    let told = sites.into_iter().map(|(place, spans)| Site {
        place: plain::site(place),
        count: spans.len(),
        longest: spans.into_iter().max().unwrap_or_default(),
    });
    told.collect()
}
