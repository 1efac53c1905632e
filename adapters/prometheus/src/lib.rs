#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod exporter;
mod series;
mod text;

pub use exporter::Exporter;

/// The content type of what [`Exporter::text`] writes.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
