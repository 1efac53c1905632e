//! The adapter's promises, tested against real servers: MySQL if `CABRANK_MYSQL_URL` is set, MariaDB if `CABRANK_MARIADB_URL` is. Tests
//! that lack their server count as ignored.

mod server;

mod ending;
mod faults;
mod functions;
mod lasting;
mod liveness;
mod nesting;
mod numbers;
mod opening;
mod passed_over;
mod refused;
mod returning;
mod roles;
mod set_up;
mod slipping;
mod statements;
mod tracking;
mod transactions;

use std::process::ExitCode;

fn main() -> ExitCode {
    cabrank_testing::harness::run([
        ending::tests(),
        faults::tests(),
        functions::tests(),
        lasting::tests(),
        liveness::tests(),
        nesting::tests(),
        numbers::tests(),
        opening::tests(),
        passed_over::tests(),
        refused::tests(),
        returning::tests(),
        roles::tests(),
        set_up::tests(),
        slipping::tests(),
        statements::tests(),
        tracking::tests(),
        transactions::tests(),
    ])
}
