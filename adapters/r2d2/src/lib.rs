#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

#[cfg(feature = "diesel")]
pub mod diesel;
mod manager;
#[cfg(feature = "mysql")]
pub mod mysql;
#[cfg(feature = "postgres")]
pub mod postgres;

pub use manager::{BoxError, DriverError, R2d2Manager};
pub use {cabrank, r2d2};
