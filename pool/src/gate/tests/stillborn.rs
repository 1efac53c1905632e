//! Connections that die young: what counts as an outage, and what ends it.

use super::*;

#[test]
fn connections_that_die_young_are_an_outage_from_the_second_in_a_row_on() {
    let (mut gate, now) = warm();
    gate.stillborn(now, Stage::Look, MS, now + MS);
    assert!(!gate.has_trouble() && gate.is_cold());
    gate.stillborn(now + MS, Stage::Look, MS, now + 2 * MS);
    assert!(!gate.has_trouble(), "it was open when the first died: they died together");
    assert!(gate.opened(now + 3 * MS, 2, 10, true));
    gate.stillborn(now + 3 * MS, Stage::Look, MS, now + 4 * MS);
    assert!(gate.has_trouble() && gate.retry_at().unwrap() >= now + 14 * MS);
    // An opening alone ends no outage.
    assert!(gate.opened(now + 50 * MS, 2, 10, true));
    assert_eq!(gate.retry_at(), Some(now + 550 * MS));
    assert!(gate.found_well(Stage::Look, MS));
    assert!(!gate.has_trouble() && !gate.is_cold());
}

#[test]
fn those_that_failed_their_checks_are_made_good_by_a_check_or_by_a_second_without_a_death() {
    let (mut gate, now) = warm();
    gate.stillborn(now, Stage::Check, MS, now + MS);
    gate.stillborn(now + 2 * MS, Stage::Check, MS, now + 3 * MS);
    assert!(gate.opened(now + 50 * MS, 2, 10, true));
    assert!(!gate.found_well(Stage::Look, MS), "a look makes no round trip to the server");
    assert!(gate.found_well(Stage::Check, MS));
    assert!(!gate.has_trouble());

    gate.stillborn(now + 60 * MS, Stage::Check, MS, now + 61 * MS);
    gate.stillborn(now + 62 * MS, Stage::Check, MS, now + 63 * MS);
    gate.opened(now + 1_200 * MS, 2, 10, false);
    assert!(!gate.has_trouble() && !gate.is_cold());
}

/// Two connections in a row died at this stage, each 1 ms old; a third is open and on trial.
fn doubtful(stage: Stage) -> (Gate, Instant) {
    let (mut gate, now) = warm();
    gate.stillborn(now, stage, MS, now + MS);
    assert!(!gate.has_trouble() && gate.is_cold());
    gate.stillborn(now + 2 * MS, stage, MS, now + 3 * MS);
    assert!(gate.has_trouble());
    assert!(gate.opened(now + 50 * MS, 2, 10, true), "it is on trial");
    (gate, now + 50 * MS)
}

#[test]
fn connections_that_die_young_are_an_outage_however_long_the_pauses_and_the_openings_are() {
    // Two minutes with these pauses, and openings of this length.
    for (largest, opening, most) in [(500, 1, 180), (10_000, 1, 60), (500, 1_200, 80)] {
        let (_, start) = gate();
        let (backoff, opening) = ((50 * MS, largest * MS), opening * MS);
        let mut gate = Gate::new(backoff, Duration::from_secs(60), fastrand::Rng::with_seed(0));
        let (mut now, mut deaths) = (start, 0);
        while now < start + Duration::from_secs(120) {
            now = gate.retry_at().map_or(now, |retry_at| retry_at.max(now)) + opening;
            assert!(gate.opened(now, 1, 10, true), "it is on trial after {deaths} deaths");
            gate.stillborn(now, Stage::Use, opening, now + MS);
            (now, deaths) = (now + MS, deaths + 1);
            assert_eq!(gate.has_trouble(), deaths >= 2, "{deaths} deaths");
        }
        assert!(deaths <= most, "{deaths} with pauses of up to {largest} ms");
    }
}

#[test]
fn what_the_dead_ones_failed_a_new_one_must_pass() {
    use Stage::{Check, Checkout, Hold, Look, Reset, Use};
    let table = [
        (Look, [true, true, true, true, true, true]),
        (Checkout, [false, true, true, true, false, false]),
        (Hold, [false, false, true, true, false, false]),
        (Use, [false, false, false, true, false, false]),
        (Check, [false, false, false, false, true, false]),
        (Reset, [false, false, false, false, false, true]),
    ];
    for (failed, settles) in table {
        for (passed, settles) in [Look, Checkout, Hold, Use, Check, Reset].into_iter().zip(settles) {
            let (mut gate, now) = doubtful(failed);
            assert_eq!(gate.found_well(passed, 50 * MS), settles, "they failed {failed:?}, it passes {passed:?}");
            assert_eq!((gate.has_trouble(), gate.is_cold()), (!settles, !settles));
            // A second without a death settles it as well.
            gate.opened(now + 1_100 * MS, 3, 10, false);
            assert!(!gate.has_trouble() && !gate.is_cold() && !gate.doubts_the_new());
        }
    }
}

#[test]
fn a_loan_that_ends_well_counts_if_the_connection_is_older_than_the_dead_ones_were() {
    for stage in [Stage::Hold, Stage::Use] {
        let (mut gate, _) = doubtful(stage);
        assert!(!gate.found_well(stage, MS), "the dead ones were as old");
        assert!(gate.found_well(stage, 2 * MS));
    }
    // An age of 50 ms is enough, however old the dead ones were.
    let (mut gate, now) = warm();
    gate.stillborn(now, Stage::Use, MS, now + 900 * MS);
    assert!(!gate.found_well(Stage::Use, 49 * MS));
    assert!(gate.found_well(Stage::Use, 50 * MS));
}

#[test]
fn deaths_at_two_stages_are_two_rows() {
    let (mut gate, now) = warm();
    gate.stillborn(now, Stage::Reset, MS, now + MS);
    gate.stillborn(now + 2 * MS, Stage::Use, MS, now + 3 * MS);
    assert!(!gate.has_trouble());
    assert!(!gate.found_well(Stage::Use, 50 * MS), "a reset is still in doubt");
    gate.stillborn(now + 4 * MS, Stage::Reset, MS, now + 5 * MS);
    assert!(gate.has_trouble());
    assert!(gate.found_well(Stage::Reset, 50 * MS));
}

#[test]
fn a_fault_that_somebody_must_mend_outranks_connections_that_die_young() {
    let (mut gate, now) = warm();
    gate.failed(now, Refusal::Permanent, 2);
    let due = gate.retry_at();
    gate.stillborn(now, Stage::Check, MS, now + MS);
    gate.stillborn(now + 2 * MS, Stage::Check, MS, now + 3 * MS);
    assert_eq!(gate.retry_at(), due);
    assert!(gate.refuses(now + 4 * MS));
}

#[test]
fn a_failure_to_connect_is_not_made_good_by_a_connection_that_is_found_well() {
    let (mut gate, _) = doubtful(Stage::Look);
    let due = gate.retry_at().unwrap();
    assert!(!gate.failed(due, Refusal::Unavailable, 2), "there was trouble before");
    assert!(gate.found_well(Stage::Look, MS), "new connections live");
    assert!(gate.has_trouble(), "but none can be opened");
}

#[test]
fn one_as_young_that_is_found_well_ends_the_outage_of_those_that_die() {
    let (mut gate, now) = warm();
    gate.stillborn(now, Stage::Look, MS, now + MS);
    gate.stillborn(now + 2 * MS, Stage::Look, MS, now + 3 * MS);
    assert!(gate.has_trouble() && gate.doubts_the_new());
    // It was opened before the second one died.
    assert!(gate.found_well(Stage::Look, 2 * MS));
    assert!(!gate.has_trouble() && !gate.doubts_the_new());
    assert!(!gate.opened(now + 10 * MS, 2, 10, true), "the next is no longer on trial");
}

#[test]
fn the_pauses_after_connections_that_die_young_begin_as_those_of_any_outage_do() {
    let mut longest = [Duration::ZERO; 3];
    for seed in 0..200 {
        let (_, now) = gate();
        let mut gate = Gate::new((50 * MS, 500 * MS), Duration::from_secs(10), fastrand::Rng::with_seed(seed));
        let mut died = now;
        gate.stillborn(died, Stage::Check, MS, died + MS);
        for longest in &mut longest {
            died += 3 * MS;
            gate.stillborn(died, Stage::Check, MS, died + MS);
            *longest = (*longest).max(gate.retry_at().unwrap() - (died + MS));
        }
    }
    for (longest, cap) in longest.into_iter().zip([50, 100, 200]) {
        assert!(longest <= cap * MS && longest > cap * MS * 9 / 10, "{longest:?} of {cap} ms");
    }
}
