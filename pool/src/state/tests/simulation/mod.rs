//! The production state in virtual time: a pool with its borrowers, its workers and its server, simulated around [`State`], and
//! tables of scenarios with bounds on what comes of them. `cargo xtask simulate` prints the tables.
//!
//! [`world`] is the heap of events; [`calls`] is the workers' part, [`callers`] the borrowers', and [`fast`] has their loans beside the
//! lock; [`server`] and [`process`] say when something ends and when the process gets to it. [`scenario`] is a row of a table, [`figures`]
//! what is counted of it, and [`bounds`] what must hold of that. The tables are in [`answers`], [`flaws`], [`lines`], [`openings`],
//! [`roles`] and [`tasks`]; [`random`] searches beside them, and [`day`] is a day of a pool.
//!
//! To look at one run: `CABRANK_SIMULATION_ONLY` names a part of the scenario's name, `CABRANK_SIMULATION_SEED` a seed, and
//! `CABRANK_SIMULATION_TRACE` has each event printed.

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
