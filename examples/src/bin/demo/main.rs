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
mod watch;

use crate::args::Args;
use crate::engine::Engine;
use crate::story::Story;
use crate::watch::Watch;
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
    match &args.database {
        Database::Sqlite(path) => show(sqlite::manager(path), args),
        Database::Postgres(url) => show(postgres::manager(url)?, args),
        Database::Mysql(url) => show(mysql::manager(url)?, args),
    }
}

/// The story, and the live page beside it if that is wanted.
fn show<M: Engine>(manager: M, args: &Args) -> anyhow::Result<bool> {
    let mut story = Story::new();
    let watch = if args.watch { Some(Watch::open()?) } else { None };
    tell(manager.clone(), args, watch.as_ref(), &mut story)?;
    let all_came = story.end();
    watch.map_or(Ok(()), |watch| watch.load(manager))?;
    Ok(all_came)
}

/// The life of a pool from its first connection to its last.
fn tell<M: Engine>(manager: M, args: &Args, watch: Option<&Watch>, story: &mut Story) -> anyhow::Result<()> {
    let pool = sections::opening(manager.clone(), args, watch, story)?;
    let table = sections::queries(&pool, story)?;
    sections::concurrency(&pool, args, story)?;
    sections::transactions(&pool, story)?;
    sections::states(&pool, manager, story)?;
    sections::exhaustion(&pool, story)?;
    sections::ending(&pool, table, story)
}
