//! The behaviour of a pool, told as tests against a server that is not there but does what it is told.

mod polling;
mod support;

mod beyond_reset;
mod cancelling;
mod classify;
mod close;
mod config;
mod crowds;
mod errors;
mod events;
mod executors;
mod fast;
mod gauges;
mod growth;
mod health;
mod hook_order;
mod hooks;
mod interrupts;
mod lifetime;
mod limit;
mod looks;
mod nesting;
#[cfg(feature = "tokio")]
mod on_tokio;
mod order;
mod outage;
mod panicking_destructors;
mod panics;
mod patience;
mod product;
mod promises;
mod reclaim;
mod regressions;
mod roles;
mod run_async;
mod runtime;
mod session;
mod set_up;
mod sources;
mod stale;
mod tasks;
mod transactions;
mod waiters;
mod workers;
mod young;
