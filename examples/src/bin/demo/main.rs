//! `cargo run`: the story of a connection pool, told on a real database.
//!
//! Start at [`tell`]. Each section is a file in `sections/`; what differs from one database to the next is behind the
//! trait in `engine.rs`. Every section says what it expects and what came. The exit status is 0 if all came as
//! expected, 1 if something did not, and 2 if the demo could not run.

mod args;
mod engine;
mod meeting;
mod mysql;
mod postgres;
mod sections;
mod sqlite;
mod story;
mod table;

use crate::args::Args;
use crate::engine::Engine;
use crate::story::Story;
use examples::Database;
use std::process::ExitCode;

fn main() -> ExitCode {
    match run(&Args::read()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Runs the demo on the database asked for. Did all come as expected?
fn run(args: &Args) -> anyhow::Result<bool> {
    let mut story = Story::new();
    match &args.database {
        Database::Sqlite(path) => tell(sqlite::manager(path), args, &mut story)?,
        Database::Postgres(url) => tell(postgres::manager(url)?, args, &mut story)?,
        Database::Mysql(url) => tell(mysql::manager(url)?, args, &mut story)?,
    }
    Ok(story.end())
}

/// The life of a pool from its first connection to its last.
fn tell<M: Engine>(manager: M, args: &Args, story: &mut Story) -> anyhow::Result<()> {
    let pool = sections::opening(manager.clone(), args, story)?;
    let table = sections::queries(&pool, story)?;
    sections::concurrency(&pool, args, story)?;
    sections::transactions(&pool, story)?;
    sections::states(&pool, manager, story)?;
    sections::exhaustion(&pool, story)?;
    sections::ending(&pool, table, story)
}
