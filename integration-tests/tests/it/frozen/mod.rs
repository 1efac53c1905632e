//! A frozen process: stopped by a signal, paused with its container, or throttled by its scheduler. The cost, once it continues, of a
//! server, flows or calls that have not waited for it.

mod calls;
mod paused;
mod stopped;

// Shared by the tests.
mod process;

pub(crate) use process::{is_over, recipe};

use crate::subject::Remote;
use integration_tests::Case;

pub(crate) fn cases<S: Remote>(cases: &mut Vec<Case>) {
    stopped::cases::<S>(cases);
    paused::cases::<S>(cases);
    calls::cases::<S>(cases);
}
