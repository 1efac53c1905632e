#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod manager;

#[cfg(feature = "diesel")]
pub mod diesel;
#[cfg(feature = "mysql")]
pub mod mysql;
#[cfg(feature = "postgres")]
pub mod postgres;

pub use manager::{BoxError, DriverError, R2d2Manager};
pub use {cabrank, r2d2};
