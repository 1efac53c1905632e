//! A driver that does nothing, optionally with a slow connect; as a manager for each pool that takes one.

use crate::load::Failure;
use crate::tasks::runtime;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use std::{io, thread};

/// Its connections are numbers.
#[derive(Clone, Debug, Default)]
pub struct Stub {
    /// How long connecting takes.
    pub connect: Duration,
    /// How many were opened.
    pub opened: Arc<AtomicU64>,
}

impl Stub {
    fn open(&self) -> u64 {
        thread::sleep(self.connect);
        self.opened.fetch_add(1, Ordering::Relaxed)
    }

    async fn open_async(&self) -> u64 {
        if !self.connect.is_zero() {
            tokio::time::sleep(self.connect).await;
        }
        self.opened.fetch_add(1, Ordering::Relaxed)
    }
}

impl cabrank::Manager for Stub {
    type Connection = u64;
    type Error = io::Error;

    fn connect(&self, _: &cabrank::Limit) -> io::Result<u64> {
        Ok(self.open())
    }
    fn is_valid(&self, _: &mut u64, _: &cabrank::Limit) -> io::Result<()> {
        Ok(())
    }
    fn has_broken(&self, _: &mut u64) -> bool {
        false
    }
}

impl r2d2::ManageConnection for Stub {
    type Connection = u64;
    type Error = io::Error;

    fn connect(&self) -> io::Result<u64> {
        Ok(self.open())
    }
    fn is_valid(&self, _: &mut u64) -> io::Result<()> {
        Ok(())
    }
    fn has_broken(&self, _: &mut u64) -> bool {
        false
    }
}

impl deadpool::managed::Manager for Stub {
    type Type = u64;
    type Error = Infallible;

    async fn create(&self) -> Result<u64, Infallible> {
        Ok(self.open_async().await)
    }
    async fn recycle(
        &self,
        _: &mut u64,
        _: &deadpool::managed::Metrics,
    ) -> deadpool::managed::RecycleResult<Infallible> {
        Ok(())
    }
}

impl bb8::ManageConnection for Stub {
    type Connection = u64;
    type Error = Infallible;

    async fn connect(&self) -> Result<u64, Infallible> {
        Ok(self.open_async().await)
    }
    async fn is_valid(&self, _: &mut u64) -> Result<(), Infallible> {
        Ok(())
    }
    fn has_broken(&self, _: &mut u64) -> bool {
        false
    }
}

/// For targets without queries.
pub fn no_query() -> Result<(), Failure> {
    Err("a stub answers no query".into())
}

/// Builds an async pool within the runtime.
pub fn in_runtime<T>(make: impl FnOnce() -> T) -> T {
    let _entered = runtime().enter();
    make()
}
