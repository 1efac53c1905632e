//! A process that stands still: stopped by a signal, paused with its container, throttled by its scheduler. What it costs, when it goes
//! on, that its server, its flows or its calls have not waited for it.

mod calls;
mod paused;
mod stopped;

// What the tests have in common.
mod process;

pub(crate) use process::{is_over, recipe};

use crate::subject::Remote;
use integration_tests::Case;

pub(crate) fn cases<S: Remote>(cases: &mut Vec<Case>) {
    stopped::cases::<S>(cases);
    paused::cases::<S>(cases);
    calls::cases::<S>(cases);
}
