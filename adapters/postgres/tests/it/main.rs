//! The adapter's promises, tested against a real PostgreSQL.

mod fake;
mod fixture;

mod closing;
mod copying;
mod failover;
mod faults;
mod forgotten;
mod hosts;
mod lasting;
mod liveness;
mod opening;
mod pooler;
mod refusals;
mod returning;
mod roles;
mod stale;
mod statements;
mod tls;
mod tokens;
mod tracking;
mod transactions;
mod types;
#[cfg(unix)]
mod unix;
mod unread;

use std::process::ExitCode;

fn main() -> ExitCode {
    cabrank_testing::harness::run([
        closing::tests(),
        copying::tests(),
        failover::tests(),
        faults::tests(),
        forgotten::tests(),
        hosts::tests(),
        lasting::tests(),
        liveness::tests(),
        opening::tests(),
        pooler::tests(),
        refusals::tests(),
        returning::tests(),
        roles::tests(),
        stale::tests(),
        statements::tests(),
        tls::tests(),
        tokens::tests(),
        tracking::tests(),
        transactions::tests(),
        types::tests(),
        #[cfg(unix)]
        unix::tests(),
        unread::tests(),
    ])
}
