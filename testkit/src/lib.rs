#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

// In place of a server, or of one that is well.
pub mod fake;
mod faulty;

// Between a pool and a server.
pub mod proxy;

// What a test looks at, waits for and ends with.
mod leaks;
pub mod panics;
mod recorder;
mod wait;

// How this repository's tests are run, and on what.
#[cfg(feature = "harness")]
pub mod harness;
#[cfg(feature = "servers")]
pub mod servers;

pub use faulty::{Faults, Faulty, Injection, Method};
pub use leaks::{assert_closes_clean, assert_no_leaks};
pub use proxy::{NetworkFault, Proxy, Way};
pub use recorder::Recorder;
pub use wait::{eventually, timed};
