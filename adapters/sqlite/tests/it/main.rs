//! The adapter's promises, tested against real files and memory databases.

mod fixture;

mod choices;
mod faults;
mod files;
mod heavy;
mod hooks;
mod lasting;
mod memory;
mod nesting;
mod opening;
mod overruns;
mod pragmas;
mod reading_and_writing;
mod returning;
mod session;
mod statements;
mod transactions;

use std::process::ExitCode;

fn main() -> ExitCode {
    cabrank_testing::harness::run([
        choices::tests(),
        faults::tests(),
        files::tests(),
        heavy::tests(),
        hooks::tests(),
        lasting::tests(),
        memory::tests(),
        nesting::tests(),
        opening::tests(),
        overruns::tests(),
        pragmas::tests(),
        reading_and_writing::tests(),
        returning::tests(),
        session::tests(),
        statements::tests(),
        transactions::tests(),
    ])
}
