#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

// Between a pool and a server.
pub mod proxy;

// How this repository's tests are run, and on what.
#[cfg(feature = "harness")]
pub mod harness;
#[cfg(feature = "servers")]
pub mod servers;

pub use proxy::{NetworkFault, Proxy, Way};
