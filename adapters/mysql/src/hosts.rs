//! A manager's records of its hosts, shared by all its connections: which served last, which failed, which refuse writes.
//!
//! Pure: the caller passes the time, and there is no I/O. The records determine the order in which a name's addresses are tried.

use crate::questions::Writes;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

#[derive(Clone, Default)]
pub(crate) struct Hosts(Arc<Mutex<Memory>>);

#[derive(Default)]
struct Memory {
    /// `None`: a host without a known address, such as a Unix socket's.
    hosts: HashMap<Option<SocketAddr>, Host>,
    /// The longest recent opening.
    opening: Duration,
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
    /// Sorts addresses into the order of attempts: those that have failed come last, the cheapest failure first among them. A failure
    /// expires after a while. If only `one_serves` at a time, the one that served last comes first.
    pub(crate) fn sort(&self, addresses: &mut [SocketAddr], one_serves: bool, now: Instant) {
        let memory = self.lock();
        let last = |address: &SocketAddr| memory.hosts.get(&Some(*address)).and_then(|host| host.last);
        addresses.sort_by_key(|address| match last(address) {
            Some(Outcome::Served(at)) if one_serves => (SERVED, Some(Reverse(at)), Duration::ZERO),
            Some(Outcome::Failed { at, took }) if now.saturating_duration_since(at) < FORGOTTEN => (FAILED, None, took),
            _ => (UNKNOWN, None, Duration::ZERO),
        });
    }

    /// How long a machine may stay silent before the next address is tried. A dead machine costs that time in each attempt. It grows
    /// after several silences in a row, to reach a distant server beside a near one in the wrong role eventually.
    pub(crate) fn patience(&self, address: SocketAddr) -> Duration {
        let memory = self.lock();
        let silences = memory.hosts.get(&Some(address)).map_or(0, |host| host.silences);
        let usual = memory.opening.saturating_mul(4).max(SHORTEST_PATIENCE);
        usual.saturating_mul(1 << (silences / SILENCES_AT_A_TIME).min(MOST_DOUBLINGS))
    }

    /// A connection was opened, and the server's role is right.
    pub(crate) fn served(&self, address: SocketAddr, took: Duration, now: Instant) {
        let mut memory = self.lock();
        memory.opening = took.max(memory.opening - memory.opening / 8);
        let host = memory.host(Some(address));
        (host.last, host.silences) = (Some(Outcome::Served(now)), 0);
    }

    /// The attempt failed. `heard`: the server, or its machine, responded.
    pub(crate) fn failed(&self, address: SocketAddr, heard: bool, took: Duration, now: Instant) {
        let mut memory = self.lock();
        let host = memory.host(Some(address));
        host.last = Some(Outcome::Failed { at: now, took });
        host.silences = if heard { 0 } else { host.silences.saturating_add(1) };
    }

    /// Records the server's report.
    pub(crate) fn heard(&self, address: Option<SocketAddr>, writes: &Writes, now: Instant) {
        let mut memory = self.lock();
        match writes {
            Writes::Unknown => {}
            Writes::Taken => {
                memory.took_writes = true;
                if let Some(host) = memory.hosts.get_mut(&address) {
                    host.refuses_since = None;
                }
            }
            Writes::Refused(_) | Writes::Detached => _ = memory.host(address).refuses_since.get_or_insert(now),
        }
    }

    /// Why and since when this server refuses writes, if it does.
    pub(crate) fn why(&self, address: Option<SocketAddr>, writes: &Writes, now: Instant) -> Option<String> {
        let (state, setting) = match writes {
            Writes::Refused(setting) => ("read-only", setting.as_str()),
            Writes::Detached => ("detached from its cluster", "wsrep_ready=OFF"),
            Writes::Unknown | Writes::Taken => return None,
        };
        let since = self.lock().hosts.get(&address).and_then(|host| host.refuses_since).unwrap_or(now);
        let name = name(address);
        Some(match now.saturating_duration_since(since).as_secs() {
            0 => format!("{name} is {state} ({setting})"),
            seconds => format!("{name} has been {state} for {seconds} s ({setting})"),
        })
    }

    /// The same, but only if a server of this manager accepted writes before.
    pub(crate) fn remark(&self, address: Option<SocketAddr>, writes: &Writes, now: Instant) -> Option<String> {
        let why = self.why(address, writes, now)?;
        self.lock().took_writes.then_some(why)
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    fn host(&mut self, address: Option<SocketAddr>) -> &mut Host {
        // A name may resolve to ever new addresses.
        if self.hosts.len() >= MOST_HOSTS && !self.hosts.contains_key(&address) {
            self.hosts.clear();
        }
        self.hosts.entry(address).or_default()
    }
}

/// For a message.
pub(crate) fn name(address: Option<SocketAddr>) -> String {
    address.map_or_else(|| "the server".to_owned(), |address| format!("the server {address}"))
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
    use std::time::Duration;

    const SECOND: Duration = Duration::from_secs(1);
    const MS: Duration = Duration::from_millis(1);

    fn host(number: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], number))
    }

    fn read_only() -> Writes {
        Writes::Refused("read_only=ON".into())
    }

    fn order(hosts: &Hosts, one_serves: bool, now: Instant) -> Vec<u16> {
        let mut addresses = [1, 2, 3].map(host);
        hosts.sort(&mut addresses, one_serves, now);
        addresses.map(|address| address.port()).to_vec()
    }

    #[test]
    fn the_one_that_served_last_is_tried_first_and_those_that_failed_last_by_what_they_cost() {
        let (hosts, start) = (Hosts::default(), Instant::now());
        assert_eq!(order(&hosts, true, start), [1, 2, 3], "as the name has them");
        hosts.failed(host(1), false, 250 * MS, start);
        assert_eq!(order(&hosts, true, start), [2, 3, 1]);
        hosts.failed(host(2), true, 5 * MS, start);
        assert_eq!(order(&hosts, true, start), [3, 2, 1]);
        hosts.served(host(2), MS, start);
        assert_eq!(order(&hosts, true, start), [2, 3, 1]);
        hosts.served(host(3), MS, start + MS);
        assert_eq!(order(&hosts, true, start + MS), [3, 2, 1]);
        assert_eq!(order(&hosts, false, start + MS), [2, 3, 1], "where any serves, the name spreads the load");
        assert_eq!(order(&hosts, false, start + 10_000 * MS), [1, 2, 3], "after a while a failure is forgotten");
    }

    #[test]
    fn the_patience_is_four_times_the_longest_opening_of_late_and_grows_with_silence() {
        let (hosts, start) = (Hosts::default(), Instant::now());
        assert_eq!(hosts.patience(host(1)), 250 * MS);
        hosts.served(host(2), 200 * MS, start);
        assert_eq!(hosts.patience(host(1)), 800 * MS);
        hosts.served(host(2), MS, start);
        assert_eq!(hosts.patience(host(1)), 700 * MS);
        (0..20).for_each(|_| hosts.served(host(2), MS, start));
        for expected in [250, 500, 1_000, 1_000] {
            assert_eq!((hosts.patience(host(1)), hosts.patience(host(2))), (expected * MS, 250 * MS));
            (0..4).for_each(|_| hosts.failed(host(1), false, MS, start));
        }
        hosts.failed(host(1), true, MS, start);
        assert_eq!(hosts.patience(host(1)), 250 * MS, "it was heard");
    }

    #[test]
    fn a_server_that_refuses_writes_is_worth_a_word_if_one_took_them_before() {
        let (hosts, start) = (Hosts::default(), Instant::now());
        let remark = |address, writes: &Writes, now| {
            hosts.heard(address, writes, now);
            hosts.remark(address, writes, now)
        };
        assert_eq!(remark(Some(host(1)), &read_only(), start), None, "a pool of standbys");
        let why = hosts.why(Some(host(1)), &read_only(), start);
        assert_eq!(why.as_deref(), Some("the server 127.0.0.1:1 is read-only (read_only=ON)"));
        assert_eq!(remark(None, &Writes::Taken, start), None);
        let word = remark(Some(host(1)), &read_only(), start + 12 * SECOND);
        assert_eq!(word.as_deref(), Some("the server 127.0.0.1:1 has been read-only for 12 s (read_only=ON)"));
        assert_eq!(remark(Some(host(1)), &Writes::Unknown, start), None, "it has not said so");
    }

    #[test]
    fn a_server_that_took_writes_in_between_is_read_only_anew() {
        let (hosts, start) = (Hosts::default(), Instant::now());
        hosts.heard(None, &read_only(), start);
        hosts.heard(None, &Writes::Taken, start + SECOND);
        hosts.heard(None, &read_only(), start + 2 * SECOND);
        let word = hosts.remark(None, &read_only(), start + 5 * SECOND);
        assert_eq!(word.as_deref(), Some("the server has been read-only for 3 s (read_only=ON)"));
    }

    #[test]
    fn a_node_that_left_its_cluster_is_named() {
        let (hosts, start) = (Hosts::default(), Instant::now());
        hosts.heard(None, &Writes::Detached, start);
        let why = hosts.why(None, &Writes::Detached, start + 3 * SECOND);
        assert_eq!(why.as_deref(), Some("the server has been detached from its cluster for 3 s (wsrep_ready=OFF)"));
    }

    #[test]
    fn ever_new_addresses_take_no_ever_growing_room() {
        let (hosts, start) = (Hosts::default(), Instant::now());
        (1..1_000).for_each(|number| hosts.heard(Some(host(number)), &read_only(), start));
        assert!(hosts.lock().hosts.len() <= 256);
    }
}
