//! The production state in virtual time: borrowers, workers and a server simulated around [`State`], and tables of scenarios with bounds
//! on their figures. `cargo xtask simulate` prints the tables.
//!
//! [`world`] is the heap of events. [`calls`] is the workers' part, [`callers`] the borrowers', and [`fast`] has the loans outside the
//! lock. [`server`] and [`process`] determine when an event ends and when the process reaches it. [`scenario`] is a row of a table,
//! [`figures`] the result of its runs, and [`bounds`] the limits on that. The tables are in [`answers`], [`flaws`], [`lines`],
//! [`openings`], [`roles`] and [`tasks`]; [`random`] searches for further cases, and [`day`] is a day of a pool.
//!
//! To examine one run, set `CABRANK_SIMULATION_ONLY` to a part of the scenario's name and `CABRANK_SIMULATION_SEED` to a seed; with
//! `CABRANK_SIMULATION_TRACE` each event is printed.

mod answers;
mod bounds;
mod callers;
mod calls;
mod day;
mod fast;
mod figures;
mod flaws;
mod invariants;
mod lines;
mod openings;
mod process;
mod random;
mod roles;
mod scenario;
mod server;
mod tasks;
mod world;
