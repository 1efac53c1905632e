//! A primary and a streaming standby of PostgreSQL, each in a container, for one test that kills, freezes or promotes them.

use crate::launch::{For, Launch, PASSWORD};
use crate::running::{PATIENCE, Running};
use anyhow::{Context, Result, bail};
use cabrank_testing::servers::Engine;
use std::fmt::Display;
use std::time::{Duration, Instant};
use std::{fs, thread};

/// Both servers, with the user [`USER`](Self::USER), who may write into the table `written (n int)`. Removed with the value.
#[derive(Debug)]
pub struct Pair {
    first: Running,
    second: Running,
}

impl Pair {
    /// The user under test.
    pub const USER: &'static str = "app";

    /// The user that queries a server's role.
    pub const CHECKER: &'static str = "checker";

    /// Starts both. Returns when the second follows the first.
    pub fn start() -> Result<Self> {
        let first = Running::launch(Engine::Postgres, &Launch::of(Engine::Postgres, For::Suite))?;
        first.wait_until_ready(PATIENCE, || false)?;
        let mut admin = first.log_in()?;
        // The first matching line applies. The checker has no password: HAProxy cannot send one.
        admin.execute(&format!(
            "COPY (VALUES ('host replication all all scram-sha-256'), ('host postgres {} all trust')) \
             TO PROGRAM 'cat - pg_hba.conf > pg_hba.new && mv pg_hba.new pg_hba.conf'",
            Self::CHECKER
        ))?;
        admin.execute(&format!(
            "SELECT pg_reload_conf(); CREATE TABLE written (n int); CREATE ROLE {checker} LOGIN; \
             CREATE ROLE {user} LOGIN PASSWORD '{PASSWORD}'; GRANT ALL ON written TO {user}",
            checker = Self::CHECKER,
            user = Self::USER
        ))?;
        let container = first.container().context("it is a container of ours")?;
        let second = Running::launch(Engine::Postgres, &Launch::of_standby(&container.inner_address()?))?;
        let pair = Self { first, second };
        pair.second.wait_until_ready(PATIENCE, || false)?;
        let begun = Instant::now();
        while pair.second.log_in()?.number("SELECT count(*) FROM pg_stat_wal_receiver WHERE status = 'streaming'")? == 0
        {
            if begun.elapsed() > PATIENCE {
                bail!("the standby does not follow");
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(pair)
    }

    /// The server that begins as the primary.
    pub fn first(&self) -> &Running {
        &self.first
    }

    /// The server that begins as its standby.
    pub fn second(&self) -> &Running {
        &self.second
    }

    /// Promotes the second. Returns when it accepts writes.
    pub fn promote(&self) -> Result<()> {
        if self.second.log_in()?.rows("SELECT pg_promote()")? != [["t"]] {
            bail!("the standby was not promoted");
        }
        Ok(())
    }

    /// Makes the second the primary and the first its standby. Returns when both have their new roles. The first keeps its published
    /// address; on Docker's own network it may have another.
    pub fn switch_over(&self) -> Result<()> {
        let [first, second] =
            [&self.first, &self.second].map(|server| server.container().expect("it is a container of ours"));
        let mut admin = self.first.log_in()?;
        let primary = format!("host={} user=postgres password={PASSWORD}", second.inner_address()?);
        admin.execute(&format!("ALTER SYSTEM SET primary_conninfo = '{primary}'"))?;
        admin.execute("COPY (SELECT '') TO PROGRAM 'cat > standby.signal'")?;
        drop(admin);
        first.stop()?;
        self.promote()?;
        first.start_again()?;
        self.first.wait_until_ready(PATIENCE, || false)
    }

    /// A URL that leads to the first, as the user under test, and to the second if the first does not serve.
    pub fn url_of_both(&self) -> String {
        let [(first, port), (second, other_port)] = [&self.first, &self.second].map(Self::address);
        format!("postgres://{}:{PASSWORD}@{first}:{port},{second}:{other_port}/postgres", Self::USER)
    }

    /// A URL that leads to one of them by another address, as the user under test.
    pub fn url_at(&self, address: impl Display) -> String {
        format!("postgres://{}:{PASSWORD}@{address}/postgres", Self::USER)
    }

    /// The published address of a server.
    pub fn address(server: &Running) -> (String, u16) {
        let (host, port) = server.container().expect("it is a container of ours").address();
        (host.to_owned(), port)
    }

    /// The sessions of the user under test at a server.
    pub fn sessions(server: &Running) -> Result<usize> {
        Ok(server.log_in()?.sessions_of(Self::USER)?.len())
    }

    /// This machine's connections to a server, counted without the server. `None` if the system does not list them.
    pub fn sockets(server: &Running) -> Option<usize> {
        let peer = format!(":{:04X}", Self::address(server).1);
        let text = fs::read_to_string("/proc/net/tcp").ok()?;
        let established = |line: &&str| {
            let mut words = line.split_ascii_whitespace().skip(2);
            words.next().is_some_and(|address| address.ends_with(&peer)) && words.next() == Some("01")
        };
        Some(text.lines().filter(established).count())
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        for server in [&self.first, &self.second] {
            if let Some(Err(error)) = server.container().map(|container| container.remove()) {
                eprintln!("a container of a pair could not be removed: {error:#}");
            }
        }
    }
}
