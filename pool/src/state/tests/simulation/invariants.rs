//! What must hold after every settling, whatever the rules of supply: a broken one ends the run at once.

use super::world::World;
use crate::slots::Phase;

impl World {
    pub(super) fn assert_settled(&self) {
        let state = &self.state;
        let (taken, waiting) = (state.slots.taken(), state.queue.len());
        assert!(taken <= state.rules.max_size, "{taken} slots are taken");
        if waiting == 0 {
            return;
        }
        // Nobody waits for ever: something is under way, lent or idle, or it will be looked at again.
        let busy = taken > state.slots.count(Phase::Idle);
        assert!(busy || state.alarm.is_some(), "{waiting} wait for nothing: {}", self.state_in_short());
    }

    pub(super) fn state_in_short(&self) -> String {
        let count = |phase| self.state.slots.count(phase);
        format!(
            "wait {:>2} idle {:>2} lent {:>2} open {:>2} check {:>2} reset {:>2} close {:>2} gone {:>2}",
            self.state.queue.len(),
            count(Phase::Idle),
            count(Phase::Lent),
            count(Phase::Opening),
            count(Phase::Checking),
            count(Phase::Resetting),
            count(Phase::Closing),
            count(Phase::Aborted),
        )
    }
}
