//! Where every unit of capacity is: one record for each, and the counts by phase. Nothing else counts connections.

mod rings;
#[cfg(all(test, not(loom)))]
mod tests;

use crate::limit::Call;
use crate::manager::AbortHandle;
pub(crate) use crate::meter::Borrower;
use crate::meter::{Loan, Meter};
pub(crate) use crate::phase::Phase;
use crate::report::Holder;
use crate::slots::rings::{LOANS, OPENINGS, Rings};
use crossbeam_utils::CachePadded;
use std::panic::Location;
use std::sync::{Arc, Weak};
use std::time::Instant;

/// The records of all slots that are not free.
pub(crate) struct Slots {
    records: Vec<Option<Record>>,
    vacant: Vec<SlotId>,
    counts: [usize; Phase::COUNT],
    stuck: usize,
    /// The loans and the attempts to connect, in the order in which they began: a report must cost the same however many
    /// there are.
    rings: Rings,
}

pub(crate) type SlotId = usize;

/// The record of one slot. Its references to the user's objects are weak: dropping one under the lock runs no user code.
pub(crate) struct Record {
    pub(crate) phase: Phase,
    /// When the phase began.
    pub(crate) since: Instant,
    /// The connection's number once it is open; zero before.
    pub(crate) id: u64,
    pub(crate) opened_at: Option<Instant>,
    /// How many of its loans had ended when it last returned to the state.
    uses: u64,
    pub(crate) borrower: Borrower,
    /// Counts its loans, if they may bypass the lock.
    pub(crate) meter: Option<Arc<CachePadded<Meter>>>,
    pub(crate) abort_handle: Option<Weak<dyn AbortHandle>>,
    /// The limit of the driver call under way.
    pub(crate) call: Option<Weak<Call>>,
    stuck: bool,
    /// Whether this loan was reported as a leak.
    pub(crate) leak_reported: bool,
    /// Whether the loan was aborted.
    aborted_loan: bool,
}

impl Record {
    /// Whether a holder has this connection, aborted or not. (It may be parked in the cell of its thread.)
    pub(crate) fn is_out(&self) -> bool {
        self.phase == Phase::Lent || self.aborted_loan
    }

    /// The loan, if there is one.
    pub(crate) fn loan(&self) -> Option<Loan> {
        match &self.meter {
            _ if !self.is_out() => None,
            None => Some(Loan { since: self.since, borrower: self.borrower }),
            Some(meter) => meter.loan(),
        }
    }

    /// The loan, as it is reported.
    pub(crate) fn holder(&self, now: Instant) -> Option<Holder> {
        let Loan { since, borrower } = self.loan()?;
        let held_for = now.saturating_duration_since(since);
        Some(Holder { id: self.id, held_for, call_site: borrower.call_site, thread: borrower.number() })
    }

    /// How many of its loans have ended, including those that bypassed the lock.
    pub(crate) fn uses(&self) -> u64 {
        self.uses + self.meter.as_ref().map_or(0, |meter| meter.turns().ended())
    }

    /// Whether a call on it is past its limit, and impossible to abort.
    pub(crate) fn is_stuck(&self) -> bool {
        self.stuck
    }

    /// Its holder has returned it, after `uses` loans in all. Returns whether it was aborted meanwhile.
    pub(crate) fn comes_back(&mut self, uses: u64) -> bool {
        self.uses = uses;
        std::mem::replace(&mut self.aborted_loan, false)
    }
}

impl Slots {
    pub(crate) fn new() -> Self {
        Self { records: Vec::new(), vacant: Vec::new(), counts: [0; Phase::COUNT], stuck: 0, rings: Rings::new() }
    }

    /// Takes a free slot, for opening a connection.
    pub(crate) fn take(&mut self, now: Instant) -> SlotId {
        let record = Record {
            phase: Phase::Opening,
            since: now,
            id: 0,
            opened_at: None,
            uses: 0,
            borrower: Borrower { call_site: Location::caller(), thread: 0 },
            meter: None,
            abort_handle: None,
            call: None,
            stuck: false,
            leak_reported: false,
            aborted_loan: false,
        };
        self.counts[Phase::Opening as usize] += 1;
        let slot = match self.vacant.pop() {
            Some(slot) => {
                self.records[slot] = Some(record);
                slot
            }
            None => {
                self.records.push(Some(record));
                self.rings.make_room();
                self.records.len() - 1
            }
        };
        self.rings.put_last(slot, OPENINGS);
        slot
    }

    #[inline]
    pub(crate) fn get(&mut self, slot: SlotId) -> &mut Record {
        self.records[slot].as_mut().expect("a slot is known until it is freed")
    }

    #[inline]
    pub(crate) fn enter(&mut self, slot: SlotId, phase: Phase, now: Instant) -> &mut Record {
        let record = self.records[slot].as_mut().expect("a slot is known until it is freed");
        self.counts[record.phase as usize] -= 1;
        self.counts[phase as usize] += 1;
        self.stuck -= usize::from(record.stuck);
        if phase == Phase::Aborted && record.phase == Phase::Lent {
            // Its holder still has it, and the beginning of the loan still matters.
            (record.phase, record.aborted_loan) = (phase, true);
        } else {
            (record.phase, record.since, record.stuck) = (phase, now, false);
        }
        record
    }

    /// A loan of the connection in `slot` begins.
    #[inline]
    pub(crate) fn lend(&mut self, slot: SlotId, now: Instant) -> &mut Record {
        self.rings.put_last(slot, LOANS);
        self.enter(slot, Phase::Lent, now)
    }

    /// The call in this slot hangs and cannot be aborted.
    pub(crate) fn mark_stuck(&mut self, slot: SlotId) {
        let record = self.get(slot);
        let before = std::mem::replace(&mut record.stuck, true);
        self.stuck += usize::from(!before);
    }

    pub(crate) fn free(&mut self, slot: SlotId) {
        if let Some(record) = self.records[slot].take() {
            self.counts[record.phase as usize] -= 1;
            self.stuck -= usize::from(record.stuck);
            self.rings.take_out(slot);
            self.vacant.push(slot);
        }
    }

    #[inline]
    pub(crate) fn count(&self, phase: Phase) -> usize {
        self.counts[phase as usize]
    }

    pub(crate) fn stuck(&self) -> usize {
        self.stuck
    }

    /// How many slots count against `max_size`.
    #[inline]
    pub(crate) fn taken(&self) -> usize {
        self.occupied() - self.count(Phase::Aborted) - self.count(Phase::Abandoned)
    }

    /// How many connections are open, and neither being closed nor aborted: idle, lent, being checked or being reset.
    pub(crate) fn open(&self) -> usize {
        self.taken() - self.count(Phase::Opening) - self.count(Phase::Closing)
    }

    /// How many slots are not free, including those beyond `max_size`.
    #[inline]
    pub(crate) fn occupied(&self) -> usize {
        self.records.len() - self.vacant.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (SlotId, &Record)> {
        self.records.iter().enumerate().filter_map(|(slot, record)| Some((slot, record.as_ref()?)))
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Record> {
        self.records.iter_mut().flatten()
    }

    /// The longest loans, including those that were aborted, the longest first; at most `most`.
    pub(crate) fn loans(&mut self, most: usize) -> impl Iterator<Item = &Record> {
        self.first_of(LOANS, most, Record::is_out)
    }

    /// The loan that began last, except for those that were aborted. Takes ended loans out of their ring on the way: each loan costs
    /// that once.
    pub(crate) fn youngest_loan(&mut self) -> Option<&Record> {
        let mut behind = None;
        while let Some(slot) = self.rings.before(behind, LOANS) {
            let record = self.records[slot].as_ref();
            if record.is_some_and(|record| record.phase == Phase::Lent) {
                return self.records[slot].as_ref();
            } else if record.is_some_and(Record::is_out) {
                behind = Some(slot);
            } else {
                self.rings.take_out(slot);
            }
        }
        None
    }

    /// The record of this slot, if it is not free.
    pub(crate) fn find(&self, slot: SlotId) -> Option<&Record> {
        self.records.get(slot)?.as_ref()
    }

    /// The oldest attempt to connect.
    pub(crate) fn oldest_opening(&mut self) -> Option<&Record> {
        self.first_of(OPENINGS, 1, |record| record.phase == Phase::Opening).next()
    }

    /// The first slots of a ring that belong there. Takes those that no longer do out of it on the way, because a return leaves that
    /// undone: a report pays for what each loan saves.
    fn first_of(
        &mut self,
        ring: usize,
        most: usize,
        mut belongs: impl FnMut(&Record) -> bool,
    ) -> impl Iterator<Item = &Record> {
        let mut found = Vec::with_capacity(most.min(self.occupied()));
        let mut last = None;
        while let Some(slot) = self.rings.behind(last, ring).filter(|_| found.len() < most) {
            if self.records[slot].as_ref().is_some_and(&mut belongs) {
                found.push(slot);
                last = Some(slot);
            } else {
                self.rings.take_out(slot);
            }
        }
        found.into_iter().filter_map(|slot| self.records[slot].as_ref())
    }

    /// Asserts that the counts agree with the records.
    pub(crate) fn assert_counts(&self) {
        if cfg!(debug_assertions) {
            let taken = self.iter().filter(|(_, record)| record.phase.takes_capacity()).count();
            assert_eq!(taken, self.taken(), "BUG: a slot was miscounted");
        }
    }
}
