//! What a manager remembers of its hosts, and all its connections share: which refuse writes, and since when.
//!
//! Pure: it is told the time, and asks nobody.

use crate::questions::Writes;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

#[derive(Clone, Default)]
pub(crate) struct Hosts(Arc<Mutex<Memory>>);

#[derive(Default)]
struct Memory {
    /// Since when a host says that it refuses writes. `None`: one whose address is not known, such as that of a Unix socket.
    refuse_since: HashMap<Option<SocketAddr>, Instant>,
    /// A server took writes once.
    took_writes: bool,
}

impl Hosts {
    /// The server has said this of itself.
    pub(crate) fn heard(&self, address: Option<SocketAddr>, writes: &Writes, now: Instant) {
        let mut memory = self.lock();
        match writes {
            Writes::Unknown => {}
            Writes::Taken => {
                memory.took_writes = true;
                memory.refuse_since.remove(&address);
            }
            Writes::Refused(_) => {
                // A name may lead to ever new addresses.
                if memory.refuse_since.len() >= MOST_HOSTS && !memory.refuse_since.contains_key(&address) {
                    memory.refuse_since.clear();
                }
                memory.refuse_since.entry(address).or_insert(now);
            }
        }
    }

    /// Why this server refuses writes, and since when, if it does.
    pub(crate) fn why(&self, address: Option<SocketAddr>, writes: &Writes, now: Instant) -> Option<String> {
        let Writes::Refused(setting) = writes else { return None };
        let since = self.lock().refuse_since.get(&address).copied().unwrap_or(now);
        let name = name(address);
        Some(match now.saturating_duration_since(since).as_secs() {
            0 => format!("{name} is read-only ({setting})"),
            seconds => format!("{name} has been read-only for {seconds} s ({setting})"),
        })
    }

    /// The same, where that is worth a word: a server of this manager's took writes before.
    pub(crate) fn remark(&self, address: Option<SocketAddr>, writes: &Writes, now: Instant) -> Option<String> {
        let why = self.why(address, writes, now)?;
        self.lock().took_writes.then_some(why)
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// For a message.
pub(crate) fn name(address: Option<SocketAddr>) -> String {
    address.map_or_else(|| "the server".to_owned(), |address| format!("the server {address}"))
}

const MOST_HOSTS: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const SECOND: Duration = Duration::from_secs(1);

    fn host(number: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], number))
    }

    fn read_only() -> Writes {
        Writes::Refused("read_only=ON".into())
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
    fn ever_new_addresses_take_no_ever_growing_room() {
        let (hosts, start) = (Hosts::default(), Instant::now());
        (1..1_000).for_each(|number| hosts.heard(Some(host(number)), &read_only(), start));
        assert!(hosts.lock().refuse_since.len() <= 256);
    }
}
