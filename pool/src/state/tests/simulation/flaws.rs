//! Servers that accept each log-in and end some of the sessions: in use, at a check, at a reset.

use super::bounds::{Bounds, play};
use super::scenario::{Group, Scenario, Shock, ms, s, us};
use super::server::{Flaw, Latency, When};
use super::world::World;
use crate::gate::Stage;
use std::time::Duration;

/// The bounds: the least number of gets served, the longest wait, and the attempts to connect.
type Figures = (usize, Duration, usize);

/// Ten connections, each renewed after half a second, and eight threads that hold one for a millisecond, for three seconds.
fn flaw(stage: Stage, share: f64, when: When, (served, wait, attempts): Figures) -> Scenario {
    let name = format!("{:>3} % end at this stage: {stage:?}, {when:?}", share * 100.0);
    let check_after = if stage == Stage::Check { ms(0) } else { Duration::MAX };
    let (served, wait, attempts) = (Some(served), Some(wait), Some(attempts));
    let scenario = Scenario::new(name, 10)
        .server(Latency::Constant(us(500)), us(1_500))
        .at(ms(0), Shock::Flaw(Flaw { stage, share, when }))
        .config(|config| (config.max_lifetime, config.check_after) = (ms(500), check_after))
        .group(Group { resets: f64::from(stage == Stage::Reset), touch: stage != Stage::Hold, ..Group::of(8) })
        .until(s(3))
        .bounds(Bounds { served, wait, attempts, failed: Some(0), ..Bounds::default() });
    Scenario { seeds: 2, ..scenario }
}

#[test]
fn a_server_that_ends_some_new_sessions_serves_as_well_as_one_that_ends_none() {
    let table = [
        // Without a flaw: 21,470 gets served, and 56 attempts.
        flaw(Stage::Use, 0.05, When::First, (21_000, ms(15), 75)),
        flaw(Stage::Use, 0.5, When::First, (20_400, ms(20), 150)),
        flaw(Stage::Hold, 0.05, When::First, (21_000, ms(15), 75)),
        flaw(Stage::Hold, 0.5, When::First, (20_400, ms(20), 150)),
        // Without a flaw: 13,550.
        flaw(Stage::Check, 0.05, When::First, (13_300, ms(15), 75)),
        flaw(Stage::Check, 0.5, When::First, (13_100, ms(20), 150)),
        // Without a flaw: 13,970.
        flaw(Stage::Reset, 0.05, When::First, (13_700, ms(15), 75)),
        flaw(Stage::Reset, 0.5, When::First, (13_400, ms(20), 150)),
    ];
    play("some sessions end where they are needed first", table);
}

#[test]
fn a_server_that_ends_sessions_at_random_is_no_outage() {
    let table = [
        flaw(Stage::Use, 0.01, When::Each, (19_500, ms(15), 260)),
        flaw(Stage::Use, 0.05, When::Each, (14_500, ms(20), 950)),
        flaw(Stage::Hold, 0.01, When::Each, (19_500, ms(15), 260)),
        flaw(Stage::Hold, 0.05, When::Each, (14_500, ms(20), 950)),
        flaw(Stage::Check, 0.01, When::Each, (13_100, ms(15), 200)),
        flaw(Stage::Check, 0.05, When::Each, (11_700, ms(20), 800)),
        flaw(Stage::Reset, 0.01, When::Each, (13_400, ms(15), 200)),
        flaw(Stage::Reset, 0.05, When::Each, (11_800, ms(20), 800)),
    ];
    play("sessions end at random", table);
}

#[test]
fn a_server_that_ends_each_new_session_is_asked_now_and_then() {
    let each = |stage| flaw(stage, 1.0, When::First, (0, s(3), 25));
    play("each session ends where it is needed first", [Stage::Use, Stage::Hold, Stage::Check, Stage::Reset].map(each));
}

#[test]
fn sessions_that_live_for_a_millisecond_are_opened_now_and_then_and_named() {
    for (crowd, loan) in [(1, ms(0)), (20, ms(0)), (1, ms(2)), (20, ms(2))] {
        for seed in 0..20 {
            let scenario = Scenario::new("each session lives for a millisecond", 10)
                .server(Latency::Constant(us(100)), ms(0))
                .at(ms(0), Shock::Life(ms(1)))
                .group(Group { loan: (loan, loan), patience: ms(300), ..Group::of(crowd) });
            let mut world = World::new(&scenario, seed);
            world.run(s(2));
            let (attempts, failed) = (world.figures.attempts, world.figures.failed);
            assert!(attempts <= 40, "{crowd} borrow for {loan:?}, seed {seed}: {attempts} attempts");
            let told = world.state.last_error.as_ref().map(|(cause, _)| cause.to_string()).unwrap_or_default();
            assert!(told.contains("broken after its first loan"), "{crowd}, {loan:?}, {seed}: {told}, {failed} failed");
        }
    }
}
