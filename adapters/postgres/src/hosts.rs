//! A manager's records of its hosts, shared by all its connections: which served last, which failed, which refuse writes.
//!
//! Pure: the caller passes the time, and nothing is opened here. The records determine the order in which hosts are tried.

use crate::tracker::Standing;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
#[cfg(unix)]
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

#[derive(Clone, Default)]
pub(crate) struct Hosts(Arc<Mutex<Memory>>);

/// A server's location, the key of its record.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    Address(SocketAddr),
    /// A name, resolved when it is tried, and a port.
    Name(String, u16),
    /// The folder of a Unix socket, and a port.
    #[cfg(unix)]
    Socket(PathBuf, u16),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Name(name, port) => write!(f, "{name}:{port}"),
            #[cfg(unix)]
            Self::Socket(folder, port) => write!(f, "{}/.s.PGSQL.{port}", folder.display()),
        }
    }
}

#[derive(Default)]
struct Memory {
    hosts: HashMap<Place, Host>,
    /// The longest recent time to a server's first byte.
    first_word: Duration,
    /// A server has accepted writes.
    took_writes: bool,
}

#[derive(Default)]
struct Host {
    last: Option<Outcome>,
    /// The number of consecutive silent attempts.
    silences: u32,
    /// When it first reported that it refuses writes.
    refuses_since: Option<Instant>,
}

/// How the last attempt to open a connection ended.
#[derive(Clone, Copy)]
enum Outcome {
    Served(Instant),
    Failed { at: Instant, took: Duration },
}

impl Hosts {
    /// Sorts hosts into the order of attempts: first the one that served last, then those without a record, in their given order, and
    /// last those that have failed, the cheapest failure first. A failure expires after a while. With `balanced` load, every host that
    /// has served ranks equally.
    pub(crate) fn sort<T>(&self, hosts: &mut [T], place: impl Fn(&T) -> &Place, balanced: bool, now: Instant) {
        let memory = self.lock();
        let last = |host: &T| memory.hosts.get(place(host)).and_then(|host| host.last);
        hosts.sort_by_key(|host| match last(host) {
            Some(Outcome::Served(at)) if !balanced => (SERVED, Some(Reverse(at)), Duration::ZERO),
            Some(Outcome::Failed { at, took }) if now.saturating_duration_since(at) < FORGOTTEN => (FAILED, None, took),
            _ => (UNKNOWN, None, Duration::ZERO),
        });
    }

    /// How long a server may stay silent before the next one is tried. A dead server costs that time in each attempt. It grows after
    /// several silences in a row, to reach a distant server beside a near one in the wrong role eventually.
    pub(crate) fn patience(&self, place: &Place) -> Duration {
        let memory = self.lock();
        let silences = memory.hosts.get(place).map_or(0, |host| host.silences);
        let usual = memory.first_word.saturating_mul(4).max(SHORTEST_PATIENCE);
        usual.saturating_mul(1 << (silences / SILENCES_AT_A_TIME).min(MOST_DOUBLINGS))
    }

    /// A connection was opened, and the server's role is right.
    pub(crate) fn served(&self, place: &Place, first_word: Duration, now: Instant) {
        let mut memory = self.lock();
        let before = memory.first_word;
        memory.first_word = first_word.max(before - before / 8);
        memory.host(place).serves(now);
    }

    /// One of the addresses of this name has served.
    pub(crate) fn led_to_one(&self, name: &Place, now: Instant) {
        self.lock().host(name).serves(now);
    }

    /// The attempt failed. `heard`: the server, or its machine, responded.
    pub(crate) fn failed(&self, place: &Place, heard: bool, took: Duration, now: Instant) {
        let mut memory = self.lock();
        let host = memory.host(place);
        host.last = Some(Outcome::Failed { at: now, took });
        host.silences = if heard { 0 } else { host.silences.saturating_add(1) };
    }

    /// Records the server's report. Returns why and since when it refuses writes, if it does.
    pub(crate) fn heard(&self, place: &Place, standing: Standing, now: Instant) -> Option<String> {
        let mut memory = self.lock();
        let takes_writes = standing.takes_writes()?;
        memory.took_writes |= takes_writes;
        let host = memory.host(place);
        if takes_writes {
            host.refuses_since = None;
            return None;
        }
        let since = *host.refuses_since.get_or_insert(now);
        let state = if standing.in_recovery == Some(true) { "in recovery" } else { "read-only by default" };
        Some(match now.saturating_duration_since(since).as_secs() {
            0 => format!("the server {place} is {state}"),
            seconds => format!("the server {place} has been {state} for {seconds} s"),
        })
    }

    /// Like [`heard`](Self::heard), but only if a server of this manager accepted writes before.
    pub(crate) fn remark(&self, place: &Place, standing: Standing, now: Instant) -> Option<String> {
        let why = self.heard(place, standing, now)?;
        self.lock().took_writes.then_some(why)
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    fn host(&mut self, place: &Place) -> &mut Host {
        // A name may resolve to ever new addresses.
        if self.hosts.len() >= MOST_HOSTS && !self.hosts.contains_key(place) {
            self.hosts.clear();
        }
        self.hosts.entry(place.clone()).or_default()
    }
}

impl Host {
    fn serves(&mut self, now: Instant) {
        (self.last, self.silences) = (Some(Outcome::Served(now)), 0);
    }
}

const SERVED: u8 = 0;
const UNKNOWN: u8 = 1;
const FAILED: u8 = 2;
const FORGOTTEN: Duration = Duration::from_secs(10);
const SHORTEST_PATIENCE: Duration = Duration::from_millis(250);
const SILENCES_AT_A_TIME: u32 = 4;
const MOST_DOUBLINGS: u32 = 2;
const MOST_HOSTS: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn host(number: u16) -> Place {
        Place::Address(SocketAddr::from(([127, 0, 0, 1], number)))
    }

    fn order(hosts: &Hosts, balanced: bool, now: Instant) -> Vec<u16> {
        let mut addresses = [1, 2, 3].map(host);
        hosts.sort(&mut addresses, |place| place, balanced, now);
        addresses.iter().map(|place| (1..4).find(|&number| host(number) == *place).expect("one of them")).collect()
    }

    #[test]
    fn the_one_that_served_last_is_tried_first_and_those_that_failed_last_by_what_they_cost() {
        let (hosts, start) = (Hosts::default(), Instant::now());
        assert_eq!(order(&hosts, false, start), [1, 2, 3], "as they were given");
        hosts.failed(&host(1), false, 250 * MS, start);
        assert_eq!(order(&hosts, false, start), [2, 3, 1]);
        hosts.failed(&host(2), true, 5 * MS, start);
        assert_eq!(order(&hosts, false, start), [3, 2, 1]);
        hosts.served(&host(2), MS, start);
        assert_eq!(order(&hosts, false, start), [2, 3, 1]);
        hosts.served(&host(3), MS, start + MS);
        assert_eq!(order(&hosts, false, start + MS), [3, 2, 1]);
        assert_eq!(order(&hosts, true, start + MS), [2, 3, 1], "where the load is balanced");
        assert_eq!(order(&hosts, true, start + 10_000 * MS), [1, 2, 3], "after a while a failure is forgotten");
    }

    #[test]
    fn the_patience_is_four_times_the_longest_first_word_of_late() {
        let (hosts, start) = (Hosts::default(), Instant::now());
        let patience = || hosts.patience(&host(1));
        assert_eq!(patience(), 250 * MS);
        hosts.served(&host(1), 200 * MS, start);
        assert_eq!(patience(), 800 * MS);
        hosts.served(&host(1), MS, start);
        assert_eq!(patience(), 700 * MS);
        (0..20).for_each(|_| hosts.served(&host(1), MS, start));
        assert_eq!(patience(), 250 * MS);
    }

    #[test]
    fn one_that_is_silent_again_and_again_has_more_time_until_it_is_heard() {
        let (hosts, start) = (Hosts::default(), Instant::now());
        let silent = || hosts.failed(&host(1), false, MS, start);
        for expected in [250, 500, 1_000, 1_000] {
            assert_eq!((hosts.patience(&host(1)), hosts.patience(&host(2))), (expected * MS, 250 * MS));
            (0..4).for_each(|_| silent());
        }
        hosts.failed(&host(1), true, MS, start);
        assert_eq!(hosts.patience(&host(1)), 250 * MS);
    }

    #[test]
    fn a_server_that_refuses_writes_is_worth_a_word_if_one_took_them_before() {
        let (hosts, start) = (Hosts::default(), Instant::now());
        let said = |in_recovery, read_only| Standing { in_recovery: Some(in_recovery), read_only: Some(read_only) };
        assert_eq!(hosts.remark(&host(1), said(true, false), start), None, "a pool of standbys");
        assert_eq!(
            hosts.heard(&host(1), said(true, false), start).as_deref(),
            Some("the server 127.0.0.1:1 is in recovery")
        );
        assert_eq!(hosts.remark(&host(2), said(false, false), start), None);
        let word = hosts.remark(&host(1), said(true, false), start + 12_000 * MS);
        assert_eq!(word.as_deref(), Some("the server 127.0.0.1:1 has been in recovery for 12 s"));
        hosts.remark(&host(2), said(false, true), start + 1_000 * MS);
        let word = hosts.remark(&host(2), said(false, true), start + 3_000 * MS);
        assert_eq!(word.as_deref(), Some("the server 127.0.0.1:2 has been read-only by default for 2 s"));
        assert_eq!(hosts.remark(&host(2), Standing::default(), start), None, "it has not said so");
    }

    #[test]
    fn ever_new_addresses_take_no_ever_growing_room() {
        let (hosts, start) = (Hosts::default(), Instant::now());
        (1..1_000).for_each(|number| hosts.failed(&host(number), true, MS, start));
        assert!(hosts.lock().hosts.len() <= 256);
    }
}
