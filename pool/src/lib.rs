#![doc = include_str!("crate.md")]
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

// All modules stand in reading order, which ARCHITECTURE.md explains.

// The public interface. The documentation shows the methods of `Pool` in the order of these modules.
mod pool;
mod builder;
mod transact;
mod get_async;
mod run_async;
mod looks;
mod resize;
mod closing;
mod settings;

// A loan.
mod guard;

// Check-out, check-in, and the work of the worker threads.
mod checkout;
mod checkin;
mod driver_calls;

// Shared by all clones of a pool; `state` is the single source of truth.
mod shared;
mod state;

// Mechanisms that do not depend on the pool.
mod queue;
mod waiter;
mod slots;
mod entry;
mod gate;
mod caches;
mod meter;
mod workers;
mod answer;

// Vocabulary.
mod manager;
mod limit;
mod config;
mod error;
mod report;
mod cause;
mod event;
mod reason;
mod health;
mod stats;
mod histogram;
mod overview;
mod phase;
mod spawn;
#[cfg(feature = "tracing")]
mod trace;
mod contain;
mod figures;

// std, or loom or shuttle in the models; the bugs that the models must catch.
mod sync;
mod seeded;

#[cfg(all(test, loom))]
mod models;

pub use builder::Builder;
pub use cause::Cause;
pub use closing::{CloseAsync, CloseReport};
pub use config::{Config, ConfigError, Problem, SessionPolicy};
pub use error::{BuildError, GetError, ResizeError};
pub use event::{
    CallEnded, CheckedIn, CheckedOut, ConnectionClosed, EventHandler, OpenFailed, Opened, Refused, Remarked,
};
pub use get_async::GetAsync;
pub use guard::PooledConnection;
pub use health::Health;
pub use histogram::Histogram;
pub use limit::Limit;
#[doc(hidden)]
pub use manager::doc_toy;
pub use manager::{AbortHandle, Fault, Manager, SessionState, Transact};
pub use overview::{ConnectionInfo, Obstacle, Outage, Overview, WaiterInfo};
pub use phase::Phase;
pub use pool::{Pool, WeakPool};
pub use reason::{CloseReason, RefusalReason};
pub use report::{Holder, Report};
pub use run_async::{Ended, RunAsync};
pub use settings::{Change, Settings};
pub use shared::{CancelOutcome, Canceller, Loan, SetUp, Verdict};
#[cfg(all(feature = "tokio", not(loom)))]
pub use spawn::Tokio;
pub use spawn::{Spawn, Work};
pub use stats::{CloseCounts, Stats};
#[doc(hidden)]
pub use transact::kind;
pub use transact::{AsError, RunError, Transaction, TransactionError, UserError};
