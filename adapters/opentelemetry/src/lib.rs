#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod metrics;
mod recorder;
mod series;
mod names;

pub use metrics::Metrics;
