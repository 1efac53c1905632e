//! The behaviour of a pool, told as tests against a server that is not there but does what it is told.

mod fake;
mod support;

mod close;
mod config;
mod errors;
mod growth;
mod lifetime;
mod limit;
mod order;
mod outage;
mod panics;
mod product;
mod runtime;
mod stale;
mod transactions;
mod waiters;
