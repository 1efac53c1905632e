#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod proxy;

pub use proxy::{NetworkFault, Proxy, Way};
