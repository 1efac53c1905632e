//! Support for tests of tasks: futures that a test polls by hand.

use cabrank::{GetAsync, GetError};
use cabrank_testing::fake::{FakeError, FakeManager};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// The waker of a task that a test polls by hand. Counts its wake-ups.
#[derive(Default)]
pub(crate) struct Flag(AtomicUsize);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Flag {
    pub(crate) fn woken(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

pub(crate) type Future<'p> = GetAsync<'p, FakeManager>;
type Polled = Poll<Result<cabrank::PooledConnection<FakeManager>, GetError<FakeError>>>;

pub(crate) fn poll(future: &mut Future<'_>, flag: &Arc<Flag>) -> Polled {
    Future::poll(Pin::new(future), &mut Context::from_waker(&Waker::from(Arc::clone(flag))))
}
