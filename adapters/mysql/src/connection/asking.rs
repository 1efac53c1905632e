//! What a connection asks its server of its own accord, and what it makes of the answer.
//!
//! The questions are `questions.rs`.

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
    /// Asks which errors the last command met, and remembers them.
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

    /// One round trip that proves that the server is there and that its replies are to our commands.
    pub(crate) fn check(&mut self) -> mysql::Result<()> {
        self.health.enter()?;
        self.ask(if self.tracker.inherits_number() { FORGET_NUMBER } else { "" })?;
        if !self.tracker.is_answered() {
            self.tracker.forgot_number();
        }
        Ok(())
    }

    /// Asks for what the server is and how the session stands, for the first time.
    pub(crate) fn learn(&mut self) -> mysql::Result<()> {
        let found = questions::settings(&mut self.driver)?;
        self.baseline.largest_packet = self.opts.get_max_allowed_packet().unwrap_or(found.largest_packet);
        self.baseline.letters = found.letters;
        self.health = Health::new(found.on_timeout, self.role == Role::Primary);
        self.baseline.standing = self.ask_first(found.in_cluster)?;
        Ok(())
    }

    /// Finds out by which settings the server shows whether it takes writes.
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

    /// Runs a statement, if there is one, and asks in the same round trip how the session stands, and whether the server takes writes.
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

    /// Fails if the server has another role than is asked for, by what it last said.
    pub(crate) fn judge(&self) -> mysql::Result<()> {
        if self.role.suits(&self.writes) != Some(false) {
            return Ok(());
        }
        let why = self.hosts.why(self.address, &self.writes, Instant::now());
        Err(wrong_role(match (why, &self.writes) {
            (Some(why), Writes::Detached) => why,
            (Some(why), _) => format!("{why}, and {} is asked for", self.role.name()),
            (None, _) => {
                format!("{} is not read-only, and {} is asked for", hosts::name(self.address), self.role.name())
            }
        }))
    }

    /// Could what set the session up have left a transaction open, without a text that shows it?
    pub(crate) fn may_be_in_transaction(&self) -> bool {
        !self.baseline.is_plain || !self.baseline.standing.tells || self.tracker.is_blind()
    }

    /// Is a transaction open that no text has shown? Asks only where texts do not tell.
    pub(crate) fn has_transaction_unseen(&mut self) -> mysql::Result<bool> {
        let may_be = !self.baseline.standing.tells || self.tracker.is_blind();
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
