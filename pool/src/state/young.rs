//! Connections that die or are refused, and those that prove well: what a young one implies for new ones.

use crate::cause::Cause;
use crate::entry::Entry;
use crate::gate::{BRIEF, Stage, YOUNG};
use crate::state::State;
use crate::state::actions::{Action, Actions};
use std::time::Instant;

impl<C, E> State<C, E> {
    /// A check failed that was not given up. For a young connection that is a failed attempt to connect; one in doubt died in its loan.
    /// The caller keeps the driver's error in `why` alive until the lock is free.
    pub(crate) fn failed_check(
        &mut self,
        entry: &Entry<C>,
        why: Option<Cause<E>>,
        now: Instant,
        actions: &mut Actions<C, E>,
    ) {
        if entry.in_doubt.is_some() {
            return self.broke_in_use(entry, now, actions);
        }
        self.died(entry, now);
        self.died_young(entry, Stage::Check, why, now, actions);
    }

    /// A reset failed, or overran. `why` is as for a check.
    pub(crate) fn failed_reset(
        &mut self,
        entry: &Entry<C>,
        why: Option<Cause<E>>,
        now: Instant,
        actions: &mut Actions<C, E>,
    ) {
        self.died_young(entry, Stage::Reset, why, now, actions);
    }

    /// A connection looked dead to its next borrower.
    pub(crate) fn failed_look(&mut self, entry: &Entry<C>, now: Instant, actions: &mut Actions<C, E>) {
        self.died(entry, now);
        if entry.uses == 0 {
            self.died_young(entry, Stage::Look, None, now, actions);
        } else if entry.age(now) < BRIEF {
            self.died_young(entry, stage_of_loan(entry), None, now, actions);
        }
    }

    /// `on_checkout` refused a connection. If that was never lent, it may refuse the next new one, too.
    pub(crate) fn refused(&mut self, entry: &Entry<C>, cause: Cause<E>, now: Instant, actions: &mut Actions<C, E>) {
        if entry.uses == 0 {
            self.ended_young(entry, Stage::Checkout, || cause, now, actions);
        }
    }

    /// A connection looked dead at the end of its loan, or proved so at the check that followed.
    pub(crate) fn broke_in_use(&mut self, entry: &Entry<C>, now: Instant, actions: &mut Actions<C, E>) {
        self.died(entry, now);
        if entry.uses == 1 || entry.age(now) < BRIEF {
            self.died_young(entry, stage_of_loan(entry), None, now, actions);
        }
    }

    /// The manager, or `on_return`, panicked at the end of a loan. The same panic may recur with the next connection.
    pub(crate) fn panicked_at_return(&mut self, entry: &Entry<C>, now: Instant, actions: &mut Actions<C, E>) {
        if entry.uses == 1 || entry.age(now) < BRIEF {
            let cause = || Cause::other("the manager or `on_return` panicked when a new connection was returned");
            self.ended_young(entry, stage_of_loan(entry), cause, now, actions);
        }
    }

    /// A check or a reset found the server in the wrong role. The other sessions may have the same server, so they are under suspicion,
    /// as after a death.
    pub(crate) fn failed_in_role(&mut self, entry: &Entry<C>, stage: Stage, now: Instant, actions: &mut Actions<C, E>) {
        self.died(entry, now);
        self.wrong_in_a_row = self.wrong_in_a_row.saturating_add(1);
        self.ended_young(entry, stage, wrong_role, now, actions);
    }

    /// The same, found by a holder.
    pub(crate) fn wrong_role_in_use(&mut self, entry: &Entry<C>, now: Instant, actions: &mut Actions<C, E>) {
        self.died(entry, now);
        if entry.uses == 1 || entry.age(now) < BRIEF {
            self.ended_young(entry, stage_of_loan(entry), wrong_role, now, actions);
        }
    }

    fn died_young(
        &mut self,
        entry: &Entry<C>,
        stage: Stage,
        why: Option<Cause<E>>,
        now: Instant,
        actions: &mut Actions<C, E>,
    ) {
        let what = match stage {
            Stage::Look | Stage::Checkout => "a new connection was dead before its first loan",
            Stage::Hold | Stage::Use => "a new connection was broken after its first loan",
            Stage::Check => "a new connection failed its check",
            Stage::Reset => "a new connection failed its reset",
        };
        let cause = || why.map_or_else(|| Cause::other(what), |why| why.of_young(what));
        self.ended_young(entry, stage, cause, now, actions);
    }

    fn ended_young(
        &mut self,
        entry: &Entry<C>,
        stage: Stage,
        cause: impl FnOnce() -> Cause<E>,
        now: Instant,
        actions: &mut Actions<C, E>,
    ) {
        if entry.age(now) >= YOUNG {
            return;
        }
        // From here on the state must see how other young connections fare.
        self.fast.recall();
        self.gate.stillborn(entry.opened_at, stage, self.patience.mean_opening(), now);
        // A single one is no failed attempt, and an error that must be fixed is more important.
        if self.gate.has_trouble() && !self.gate.refuses(now) {
            actions.extend(self.last_error.replace((cause(), now)).map(|(cause, _)| Action::Drop(cause)));
        }
    }

    /// A connection has passed this stage. That says something about new ones if it is on trial or young.
    #[inline]
    pub(crate) fn passed(&mut self, entry: &mut Entry<C>, stage: Stage, now: Instant, actions: &mut Actions<C, E>) {
        // While one is on trial, or new ones are in doubt, the gate is cold.
        if self.gate.is_cold() {
            self.passed_in_doubt(entry, stage, now, actions);
        }
    }

    #[cold]
    fn passed_in_doubt(&mut self, entry: &mut Entry<C>, stage: Stage, now: Instant, actions: &mut Actions<C, E>) {
        if entry.on_trial || (entry.age(now) < YOUNG && self.gate.doubts_the_new()) {
            self.found_well(entry, stage, now, actions);
        }
    }

    /// A connection that is on trial, or young, proves well at this stage.
    pub(crate) fn found_well(&mut self, entry: &mut Entry<C>, stage: Stage, now: Instant, actions: &mut Actions<C, E>) {
        if entry.generation == self.generation && self.gate.found_well(stage, entry.age(now)) {
            self.forget_error(actions);
        }
        entry.on_trial = entry.generation == self.generation && self.gate.is_cold();
    }
}

fn wrong_role<E>() -> Cause<E> {
    Cause::other("the server of a new connection does not have the required role")
}

/// What the end of its last loan shows about a connection.
#[inline]
pub(super) fn stage_of_loan<C>(entry: &Entry<C>) -> Stage {
    if entry.was_touched { Stage::Use } else { Stage::Hold }
}
