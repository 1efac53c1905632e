//! Sends the adapter's own queries, which are in `questions.rs`, and records the answers.

use super::{Connection, FORGET_NUMBER};
use crate::baseline::Standing;
use crate::error::{slipped, wrong_role};
use crate::health::Health;
use crate::hosts;
use crate::questions;
use crate::questions::{ReadOnly, UNKNOWN_VARIABLE, Writes};
use crate::role::Role;
use mysql::Error;
use std::time::Instant;

impl Connection {
    /// Queries the errors of the last command, and records them.
    pub(super) fn ask_errors(&mut self) -> mysql::Result<()> {
        self.tracker.doubt();
        let answer = questions::errors(&mut self.driver);
        for error in self.health.saw(answer)? {
            self.health.met(&Error::MySqlError(error.clone()));
            if error.code == questions::UNKNOWN {
                self.health.presume_rolled_back(error);
            }
        }
        self.tracker.done();
        Ok(())
    }

    /// One round trip that proves that the server responds and that its replies belong to our commands.
    pub(crate) fn check(&mut self) -> mysql::Result<()> {
        self.health.enter()?;
        self.ask(if self.tracker.inherits_number() { FORGET_NUMBER } else { "" })?;
        if !self.tracker.is_answered() {
            self.tracker.forgot_number();
        }
        Ok(())
    }

    /// Queries the server's properties and the session's state for the first time.
    pub(crate) fn learn(&mut self) -> mysql::Result<()> {
        let found = questions::settings(&mut self.driver)?;
        self.baseline.largest_packet = self.opts.get_max_allowed_packet().unwrap_or(found.largest_packet);
        self.baseline.charset_sql = found.charset_sql;
        self.health = Health::new(found.on_timeout, self.role == Role::Primary);
        self.baseline.standing = self.ask_first(found.in_cluster)?;
        Ok(())
    }

    /// Finds the settings that show whether this server accepts writes.
    fn ask_first(&mut self, in_cluster: bool) -> mysql::Result<Standing> {
        let mut answer = Err(slipped());
        for way in ReadOnly::ways(in_cluster) {
            self.read_only = way;
            answer = self.ask("");
            if !matches!(&answer, Err(Error::MySqlError(error)) if error.code == UNKNOWN_VARIABLE) {
                break;
            }
        }
        answer
    }

    /// Runs a statement, if there is one, and in the same round trip queries the session's state and whether the server accepts writes.
    pub(crate) fn ask(&mut self, first: &str) -> mysql::Result<Standing> {
        let answer = questions::standing(&mut self.driver, first, self.read_only);
        let answer = self.health.saw(answer)?.ok_or_else(|| {
            self.health.condemn();
            slipped()
        });
        let (standing, writes) = answer?;
        self.hosts.heard(self.address, &writes, Instant::now());
        self.writes = writes;
        Ok(standing)
    }

    /// Fails if the server lacks the required role, by its last report.
    pub(crate) fn judge(&self) -> mysql::Result<()> {
        if self.role.suits(&self.writes) != Some(false) {
            return Ok(());
        }
        let why = self.hosts.why(self.address, &self.writes, Instant::now());
        Err(wrong_role(match (why, &self.writes) {
            (Some(why), Writes::Detached) => why,
            (Some(why), _) => format!("{why}, but {} is required", self.role.name()),
            (None, _) => {
                format!("{} is not read-only, but {} is required", hosts::name(self.address), self.role.name())
            }
        }))
    }

    /// Whether the session's set-up may have left a transaction open, without a text that shows it.
    pub(crate) fn may_be_in_transaction(&self) -> bool {
        !self.baseline.is_plain || !self.baseline.standing.texts_are_reliable || self.tracker.is_blind()
    }

    /// Whether a transaction is open that no text has shown. Queries only if the texts do not decide it.
    pub(crate) fn has_transaction_unseen(&mut self) -> mysql::Result<bool> {
        let may_be = !self.baseline.standing.texts_are_reliable || self.tracker.is_blind();
        let is_open = may_be && self.ask_transaction()?;
        if is_open {
            self.tracker.found_transaction();
        }
        Ok(is_open)
    }

    /// Asks the server whether a transaction is open.
    pub(crate) fn ask_transaction(&mut self) -> mysql::Result<bool> {
        let answer = questions::in_transaction(&mut self.driver);
        self.health.saw(answer)?.ok_or_else(|| {
            self.health.condemn();
            slipped()
        })
    }
}
