//! Trouble between a pool and its server, and how the pool recovers: what it costs users, for how long, and that nothing is lost. The
//! counts come from the server or a proxy in front of it, never from the pool alone.

mod black_hole;
mod failover;
mod haproxy;
mod killed;
mod passwords;
mod read_only;
mod refused;
mod restarted;
mod rotation;
mod silent;
mod stalled;
mod standby;

// Shared by the tests.
pub(crate) mod load;
mod slack;
mod whole;

pub(crate) use slack::Slack;

use crate::subject::Remote;
use cabrank_mysql::MySqlManager;
use integration_tests::Case;
use integration_tests::harness::takes_longer;

/// For engines whose server can be made read-only while sessions live.
pub(crate) fn read_only_cases<S: Remote<Manager = MySqlManager>>(cases: &mut Vec<Case>) {
    read_only::cases::<S>(cases);
}

/// For engines with a standby in these tests.
pub(crate) fn failover_cases(cases: &mut Vec<Case>) {
    failover::cases(cases);
    standby::cases(cases);
    if takes_longer() {
        haproxy::cases(cases);
    }
}

pub(crate) fn cases<S: Remote>(cases: &mut Vec<Case>) {
    killed::cases::<S>(cases);
    restarted::cases::<S>(cases);
    refused::cases::<S>(cases);
    silent::cases::<S>(cases);
    stalled::cases::<S>(cases);
    black_hole::cases::<S>(cases);
    passwords::cases::<S>(cases);
    rotation::cases::<S>(cases);
}
