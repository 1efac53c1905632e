#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

// The API, in r2d2's names.
mod pool;
mod builder;
mod guard;
mod manage;
mod error;
pub mod event;
mod extensions;

// The pool behind it.
mod adapted;
mod config;

pub use adapted::{Adapted, Conn, DriverError};
pub use builder::Builder;
/// The underlying pool's crate, for its names: not in r2d2.
pub use cabrank;
pub use error::Error;
pub use event::{HandleEvent, NopEventHandler};
pub use extensions::Extensions;
pub use guard::PooledConnection;
pub use manage::{
    CustomizeConnection, HandleError, LoggingErrorHandler, ManageConnection, NopConnectionCustomizer, NopErrorHandler,
};
pub use pool::{Pool, State};
