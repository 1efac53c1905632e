//! The state, driven by random operations and checked against a book, which keeps the same facts in plain lists.
//!
//! [`ops`] lists the operations. [`world`], [`waiting`], [`tasks`], [`looks`], [`loans`] and [`jobs`] do what the three routes do for
//! each. [`book`] records the expected facts; [`checks`] and [`patience`] compare after every step. At the end of each sequence the world
//! heals, and all remaining waiters must be served. `PROPTEST_CASES` sets the number of sequences.

mod ageing;
mod book;
mod by_hand;
mod cases;
mod cells;
mod checks;
mod fast;
mod gate;
mod health;
mod jobs;
mod loans;
mod looks;
mod ops;
mod overview;
mod parking;
mod patience;
mod promises;
mod reports;
mod room;
mod rules;
mod simulation;
mod supply;
mod suspicion;
mod tasks;
mod time;
mod waiting;
mod world;
mod young;

use ops::{Op, op, settings};
use proptest::prelude::*;
use world::World;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_no_connection_is_lost_and_nobody_is_forgotten(
        config in settings(),
        seed in any::<u64>(),
        ops in prop::collection::vec(op(), 1..150),
        closes in prop::option::weighted(0.2, 0usize..150),
    ) {
        let mut world = World::new(config, seed);
        for (step, op) in ops.into_iter().enumerate() {
            if closes == Some(step) {
                world.play(Op::Close);
            }
            world.play(op);
        }
        world.heal();
    }
}
