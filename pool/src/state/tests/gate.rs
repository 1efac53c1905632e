//! The gate alone, driven at random: what it allows in an outage, on the ramp after it, and with a full server.

use crate::gate::{Gate, Refusal, Standing};
use crate::sync;
use proptest::prelude::*;
use std::time::Duration;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_gate_allows_one_probe_when_it_is_due_and_one_attempt_after_its_success(
        seed in any::<u64>(),
        steps in prop::collection::vec((0u8..6, 0u64..40_000, 0usize..8), 1..80),
    ) {
        let (backoff, timeout) = ((Duration::from_millis(50), Duration::from_millis(500)), Duration::from_secs(10));
        let mut gate = Gate::new(backoff, timeout, fastrand::Rng::with_seed(seed));
        let (mut now, mut outage, mut after_outage) = (sync::now(), None, false);
        for (kind, millis, taken) in steps {
            now += Duration::from_millis(millis);
            let refusal = [Refusal::Unavailable, Refusal::Capacity, Refusal::Permanent].get(usize::from(kind));
            if let Some(&refusal) = refusal {
                prop_assert_eq!(gate.failed(now, refusal, taken), outage.is_none());
                outage = Some(refusal);
            } else {
                gate.opened(now, taken + 1, 10, false);
                after_outage = outage == Some(Refusal::Unavailable);
                outage = None;
            }
            let standing = |opening| Standing { taken, opening, circulating: false, excess: 0, trust: usize::MAX };
            if let Some(kind) = outage {
                let due = gate.retry_at().expect("an outage has a next probe");
                prop_assert!(due <= now + Duration::from_secs(30));
                prop_assert_eq!(gate.allowance(now, standing(0)), usize::from(now >= due));
                prop_assert_eq!(gate.allowance(due, standing(0)), 1);
                prop_assert_eq!(gate.allowance(due, standing(1)), 0);
                prop_assert_eq!(gate.refuses(now), kind == Refusal::Permanent && now < due);
                prop_assert!((Duration::from_secs(1)..=timeout).contains(&gate.open_limit(Some(Duration::from_millis(10)))));
            } else {
                prop_assert_eq!(gate.retry_at(), None);
                prop_assert!(gate.allowance(now, standing(0)) >= 1, "a success always allows another");
                if after_outage {
                    prop_assert_eq!(gate.allowance(now, standing(0)), 1);
                    prop_assert_eq!(gate.allowance(now, standing(1)), 0);
                }
                prop_assert!(!gate.refuses(now));
            }
        }
    }
}
