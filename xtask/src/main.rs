//! `cargo xtask`: every check and task of the repository, in Rust. CI runs the same commands as a developer.
//!
//! This file has the command line and the exit status: 0 for success, 1 for a failed check, 2 for a machine or a request that cannot be
//! served. Each command has a module of its name.

mod bench;
mod browser;
mod ci;
mod docker;
mod images;
mod instructions;
mod models;
mod process;
mod servers;
mod setup;
mod simulate;
mod tally;
mod test;
mod tidy;
mod workspace;

use clap::Parser;
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The checks and tasks of the repository.")]
enum Task {
    /// Runs the tests of the workspace; the last line is `N passed, N failed, N skipped`.
    Test(test::Args),
    /// Gets the images of the servers that the tests use: pulls them, or builds stand-ins where no registry answers.
    Images(images::Args),
    /// Runs everything that must hold before a commit is merged; stops at the first failure.
    Ci(ci::Args),
    /// Checks what the compiler does not: file heads, lengths, the order of imports, words, links, examples, documents.
    Tidy,
    /// Counts the instructions of a checkout and a return, and compares them with a bound.
    Instructions,
    /// Benchmarks cabrank and other pools.
    Bench(bench::Args),
    /// Tests the live page in Chromium, or takes its screenshots.
    Browser(browser::Args),
    /// Simulates the pool's supply in virtual time, and prints a table of results for each scenario.
    Simulate,
    /// Runs the core's models: under loom, each again with a seeded bug that it must catch, and under shuttle with many threads.
    Models(models::Args),
}

fn main() -> ExitCode {
    let done = match Task::parse() {
        Task::Test(args) => test::run(&args).map(finish),
        Task::Images(args) => images::run(&args).map(|()| ExitCode::SUCCESS),
        Task::Ci(args) => ci::run(&args).map(|tally| tally.map_or(ExitCode::SUCCESS, finish)),
        Task::Tidy => tidy::run().map(|()| ExitCode::SUCCESS),
        Task::Instructions => instructions::run().map(|()| ExitCode::SUCCESS),
        Task::Bench(args) => bench::run(&args).map(|good| if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }),
        Task::Browser(args) => browser::run_with(&args).map(|()| ExitCode::SUCCESS),
        Task::Simulate => simulate::run().map(|()| ExitCode::SUCCESS),
        Task::Models(args) => models::run_with(&args).map(|()| ExitCode::SUCCESS),
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        if error.is::<setup::Unready>() { ExitCode::from(2) } else { ExitCode::FAILURE }
    })
}

/// Prints the tally, which is always the last line of the log.
fn finish(tally: tally::Tally) -> ExitCode {
    println!("{tally}");
    if tally.good() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
