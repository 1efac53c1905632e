//! HAProxy in front of a pair, for one test. It asks each server for its role, as usual without Patroni: by a session that it writes
//! itself, byte by byte.

use crate::launch::Launch;
use crate::pair::Pair;
use crate::running::{PATIENCE, Running};
use anyhow::{Context, Result};
use cabrank_testing::servers::Engine;
use std::time::Duration;

/// A container of its own. Removed with the value.
#[derive(Debug)]
pub struct HaProxy {
    running: Running,
}

impl HaProxy {
    /// Starts one in front of both servers, which it checks at this interval. It ends the sessions of a server that is found not to be a
    /// primary.
    ///
    /// A server that fails two consecutive checks is down, and one that passes a check is up; the second serves while the first is down.
    pub fn start(pair: &Pair, interval: Duration) -> Result<Self> {
        let address = |server: &Running| server.container().context("it is a container of ours")?.inner_address();
        let config = config(&address(pair.first())?, &address(pair.second())?, interval);
        let running = Running::launch(Engine::Postgres, &Launch::of_haproxy(config))?;
        let haproxy = Self { running };
        haproxy.running.wait_until_ready(PATIENCE, || false)?;
        Ok(haproxy)
    }

    /// A URL that leads to the server it takes for the primary, as the user under test.
    pub fn url(&self, pair: &Pair) -> String {
        let (host, port) = Pair::address(&self.running);
        pair.url_at(format!("{host}:{port}"))
    }

    /// Returns whether a new session reaches a primary now.
    pub fn leads_to_a_primary(&self) -> bool {
        let asked = self.running.log_in().and_then(|mut admin| admin.rows("SELECT pg_is_in_recovery()"));
        asked.is_ok_and(|rows| rows == [["f"]])
    }
}

impl Drop for HaProxy {
    fn drop(&mut self) {
        if let Some(Err(error)) = self.running.container().map(|container| container.remove()) {
            eprintln!("a container of HAProxy could not be removed: {error:#}");
        }
    }
}

fn config(first: &str, second: &str, interval: Duration) -> String {
    let [start_up, question, goodbye] = [
        // The protocol's version, the user and the database; 0 ends each text and the list.
        framed(b"", &[&[0, 3, 0, 0], format!("user\0{}\0database\0postgres\0\0", Pair::CHECKER).as_bytes()].concat()),
        framed(b"Q", b"SELECT pg_is_in_recovery()\0"),
        framed(b"X", b""),
    ];
    // A row of one column with one letter.
    let no = framed(b"D", &[0, 1, 0, 0, 0, 1, b'f']);
    format!(
        "defaults\n\
         mode tcp\n\
         timeout connect 1s\n\
         timeout check 1s\n\
         timeout client 1h\n\
         timeout server 1h\n\
         listen primary\n\
         bind :5432\n\
         option tcp-check\n\
         tcp-check connect\n\
         tcp-check send-binary {start_up}\n\
         tcp-check send-binary {question}\n\
         tcp-check send-binary {goodbye}\n\
         tcp-check expect binary {no}\n\
         default-server check inter {}ms fall 2 rise 1 on-marked-down shutdown-sessions\n\
         server first {first}:5432\n\
         server second {second}:5432 backup\n",
        interval.as_millis()
    )
}

/// A message of PostgreSQL's protocol in hexadecimal digits: its type, its length including the length field, its body.
fn framed(kind: &[u8], body: &[u8]) -> String {
    let length = (body.len() as u32 + 4).to_be_bytes();
    kind.iter().chain(&length).chain(body).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_its_kind_its_length_and_what_it_says() {
        assert_eq!(framed(b"X", b""), "5800000004");
        assert_eq!(framed(b"D", &[0, 1, 0, 0, 0, 1, b'f']), "440000000b00010000000166");
        assert!(config("one", "two", Duration::from_secs(2)).contains("inter 2000ms"));
    }
}
