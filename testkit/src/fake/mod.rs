//! A fake database server under remote control, and its driver.
//!
//! A [`FakeServer`] is the remote control. It takes orders on how the next call ends, releases blocked calls, and keeps its own records
//! of sessions and calls, which tests use instead of the pool's numbers. No test needs to sleep.
//!
//! ```
//! use cabrank::{Fault, Pool};
//! use cabrank_testing::fake::{Call, FakeServer, Outcome};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = FakeServer::new();
//! let pool = Pool::builder().max_size(2).build_lazy(server.manager())?;
//!
//! server.next(Call::Connect, Outcome::Err(Fault::Unavailable));
//! pool.get()?.query()?; // at the second attempt
//! assert_eq!(server.count(Call::Connect), 2);
//!
//! server.kill_sessions();
//! assert!(pool.run(|conn| conn.query()).is_err()); // the pool discards it, and opens a new one for the next borrower
//! server.assert_no_leaks(&pool);
//! server.assert_closes_clean(&pool);
//! # Ok(())
//! # }
//! ```

mod call;
mod manager;
mod server;
#[cfg(test)]
mod tests;
mod transaction;
mod world;

pub use call::{Call, FakeError, FakeSource, Outcome};
pub use manager::{FakeConnection, FakeManager};
pub use server::{FakeServer, Orders};
pub use transaction::FakeTransaction;
