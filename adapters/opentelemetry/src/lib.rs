#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod metrics;
mod names;
mod recorder;
mod series;

pub use metrics::Metrics;
