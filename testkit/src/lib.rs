#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

// Instead of a server, or around a healthy one.
pub mod fake;
mod faulty;

// Between a pool and a server.
pub mod proxy;

// What a test examines, waits for and ends with.
mod leaks;
pub mod panics;
mod recorder;
mod wait;

// How this repository's tests are run, and on which servers.
#[cfg(feature = "harness")]
pub mod harness;
#[cfg(feature = "servers")]
pub mod servers;

pub use faulty::{Faults, Faulty, Injection, Method};
pub use leaks::{assert_closes_clean, assert_no_leaks};
pub use proxy::{NetworkFault, Proxy, Way};
pub use recorder::Recorder;
pub use wait::{eventually, timed};
