//! The demo: the life of a connection pool on a real database, in seven sections.
//!
//! Run it with `cargo run` on a temporary SQLite file, or with `cargo run -- --url URL` on a server. `cargo run -- --help` lists the
//! options.
//!
//! Read [`tell`] first. Each section is a file in `sections/`; the trait in `engine.rs` covers what differs between databases. Each
//! section states expectations and prints the results. The exit status is 0 if all expectations held, 1 if one did not, and 2 if the
//! demo could not run.

mod args;
mod engine;
mod meeting;
mod mysql;
mod next;
mod postgres;
mod sections;
mod sqlite;
mod story;
mod table;
mod watch;

use crate::args::Args;
use crate::engine::Engine;
use crate::next::next;
use crate::story::{Story, print};
use crate::watch::Watch;
use examples::{Database, with_causes};
use std::process::ExitCode;

fn main() -> ExitCode {
    match run(&Args::read()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {}", with_causes(&error));
            ExitCode::from(2)
        }
    }
}

/// Runs the demo on the chosen database. Returns whether all expectations held.
fn run(args: &Args) -> anyhow::Result<bool> {
    match &args.database {
        Database::Sqlite(path) => show(sqlite::manager(path), args),
        Database::Postgres(url) => show(postgres::manager(url)?, args),
        Database::Mysql(url) => show(mysql::manager(url)?, args),
    }
}

/// Tells the story, with the live page beside it if requested.
fn show<M: Engine>(manager: M, args: &Args) -> anyhow::Result<bool> {
    let mut story = Story::new();
    let watch = if args.watch { Some(Watch::open()?) } else { None };
    tell(manager.clone(), args, watch.as_ref(), &mut story)?;
    let all_held = story.end();
    print(&next(&args.database));
    watch.map_or(Ok(()), |watch| watch.load(manager))?;
    Ok(all_held)
}

/// Tells the life of a pool, from its first connection to its last.
fn tell<M: Engine>(manager: M, args: &Args, watch: Option<&Watch>, story: &mut Story) -> anyhow::Result<()> {
    let pool = sections::opening(manager.clone(), args, watch, story)?;
    story.section_has_ended(&pool);
    let table = sections::queries(&pool, story)?;
    story.section_has_ended(&pool);
    sections::concurrency(&pool, args, story)?;
    story.section_has_ended(&pool);
    sections::transactions(&pool, story)?;
    story.section_has_ended(&pool);
    sections::states(&pool, manager, story)?;
    story.section_has_ended(&pool);
    sections::exhaustion(&pool, story)?;
    story.section_has_ended(&pool);
    sections::ending(&pool, table, story)
}
