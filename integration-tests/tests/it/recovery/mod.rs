//! What goes wrong between a pool and its server, and how the pool comes out of it: what it costs its users, for how long,
//! and that nothing is lost. Counted at the server or in front of it, never in the pool alone.

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

// What the tests have in common.
pub(crate) mod load;
mod slack;
mod whole;

pub(crate) use slack::Slack;

use crate::subject::Remote;
use cabrank_mysql::MySqlManager;
use integration_tests::Case;
use integration_tests::harness::takes_longer;

/// Of the engines whose server can be made read-only while sessions live.
pub(crate) fn read_only_cases<S: Remote<Manager = MySqlManager>>(cases: &mut Vec<Case>) {
    read_only::cases::<S>(cases);
}

/// Of the engines that have a standby here.
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
