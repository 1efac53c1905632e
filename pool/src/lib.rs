//! A fair, honest connection pool for blocking database drivers.
#![forbid(unsafe_code)]

mod limit;
mod manager;
mod sync;

pub use limit::Limit;
pub use manager::{Fault, Line, Manager, Session, Transact};
