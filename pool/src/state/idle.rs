//! Idle connections: which may be lent as they are, and which must be closed.

use crate::entry::Entry;
use crate::reason::CloseReason;
use crate::state::State;
use crate::state::actions::Actions;
use std::time::Instant;

impl<C, E> State<C, E> {
    /// Takes the newest idle connection, if it is fresh. Closes unwanted ones on the way to it.
    #[inline]
    pub(super) fn pop_fresh(&mut self, now: Instant, actions: &mut Actions<C, E>) -> Option<Box<Entry<C>>> {
        loop {
            let top = self.idle.last()?;
            if let Some(reason) = self.unwanted(top, now) {
                let entry = self.idle.pop()?;
                self.close_entry(entry, reason, now, actions);
            } else if self.is_fresh(top, now) {
                return self.idle.pop();
            } else {
                return None;
            }
        }
    }

    /// Takes a fresh idle connection: the newest, or one beneath.
    #[inline]
    pub(super) fn pop_good(&mut self, now: Instant, actions: &mut Actions<C, E>) -> Option<Box<Entry<C>>> {
        self.pop_fresh(now, actions).or_else(|| self.pop_beneath(now, actions))
    }

    /// Takes a fresh idle connection, or else a parked one.
    #[inline]
    pub(super) fn pop_good_or_parked(&mut self, now: Instant, actions: &mut Actions<C, E>) -> Option<Box<Entry<C>>> {
        self.call_rested(now, actions);
        loop {
            let good = self.pop_good(now, actions);
            if good.is_some() || !self.call_one(now, actions) {
                return good;
            }
        }
    }

    /// Moves the connection that was put here last beneath the idle ones that were used after it. But a fresh one does not go beneath
    /// one that must be checked first.
    pub(super) fn sink(&mut self, now: Instant) {
        let Some((last, others)) = self.idle.split_last() else { return };
        let is_fresh = self.is_fresh(last, now);
        let goes_beneath =
            |other: &Entry<C>| other.last_used > last.last_used && (!is_fresh || self.is_fresh(other, now));
        let above = others.iter().rev().take_while(|other| goes_beneath(other)).count();
        if above > 0 {
            let place = self.idle.len() - 1 - above;
            self.idle[place..].rotate_right(1);
            self.moved_up(place);
        }
    }

    /// Takes a fresh idle connection from beneath those that must be checked first. The newest of these is checked meanwhile, or they
    /// would stay there. If there was no fresh one, there is no other search before a connection is put here.
    fn pop_beneath(&mut self, now: Instant, actions: &mut Actions<C, E>) -> Option<Box<Entry<C>>> {
        let is_good = |entry: &Entry<C>| self.unwanted(entry, now).is_none() && self.is_fresh(entry, now);
        if self.none_beneath || self.surplus() > 0 {
            return None;
        }
        let Some(place) = self.idle.iter().rposition(|entry| is_good(entry)) else {
            self.none_beneath = true;
            return None;
        };
        let entry = self.idle.remove(place);
        self.moved_down(place, 1);
        if self.promises.tally().asked == 0 {
            self.check_the_newest(now, actions);
        }
        Some(entry)
    }

    #[inline]
    pub(super) fn is_fresh(&self, entry: &Entry<C>, now: Instant) -> bool {
        self.is_above_suspicion(entry) && entry.fresh_until.is_none_or(|until| now <= until)
    }

    /// Why this connection must be closed, if so. The order matters: the first reason is the one that is reported.
    #[inline]
    pub(super) fn unwanted(&self, entry: &Entry<C>, now: Instant) -> Option<CloseReason> {
        if let Some(reason) = entry.condemned {
            Some(reason)
        } else if self.closed {
            Some(CloseReason::PoolClosed)
        } else if entry.generation != self.generation {
            Some(CloseReason::Evicted)
        } else if self.surplus() > 0 {
            Some(CloseReason::Surplus)
        } else if entry.is_expired(now) {
            Some(CloseReason::Expired)
        } else {
            None
        }
    }
}
