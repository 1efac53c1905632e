//! The base of the suite in `tests/it`: servers in containers, a database for each test, and the `main` that runs the tests and leaves
//! nothing behind. The proxy that breaks connections on demand is in the test kit.

// The run as a whole.
pub mod harness;

// A server, and a part of it for each test.
pub mod database;
pub mod haproxy;
pub mod pair;
pub mod pgbouncer;
pub mod prometheus;
pub mod running;
pub mod server;

// Starting, stopping and querying a server.
pub mod admin;
pub mod census;
pub mod container;
pub mod launch;

// Between a pool and a server.
pub mod black_hole;

// A separate process that borrows.
pub mod borrower;
pub mod cpu;

pub use admin::Admin;
pub use black_hole::BlackHole;
pub use borrower::Borrower;
pub use cabrank_testing::harness::skip;
pub use cabrank_testing::servers::Engine;
pub use census::Census;
pub use database::Database;
pub use haproxy::HaProxy;
pub use harness::{Case, Needs, figure};
pub use pair::Pair;
pub use prometheus::Prometheus;
pub use server::Server;

/// A guide whose programs are tests here.
#[cfg(doctest)]
#[doc = include_str!("../../docs/cloud.md")]
mod in_the_cloud {}
