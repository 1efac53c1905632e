//! A pool's settings from a file, overridden by environment variables. The file is read by the crate `figment` (`by_figment.rs`) or
//! `config` (`by_config.rs`).
//!
//! Run it with `cargo run --bin settings`, or `SHOP_DATABASE__POOL__MAX_SIZE=9 cargo run --bin settings -- --with config`.

mod by_config;
mod by_figment;

use anyhow::Result;
use cabrank::Settings;
use cabrank_sqlite::{Pool, SqliteManager};
use clap::{Parser, ValueEnum};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Reads settings from a file, overridden by variables such as SHOP_DATABASE__POOL__MAX_SIZE; builds a pool with them, and prints them.
#[derive(Parser)]
struct Args {
    /// The crate that reads the file.
    #[arg(long, value_enum, default_value = "figment")]
    with: Reader,
    /// The file [default: the one beside the program's source]
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/src/bin/settings/settings.toml"), hide_default_value = true)]
    file: PathBuf,
    /// Another file: prints the settings that it would change, and which of them need a restart
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Reader {
    Figment,
    Config,
}

impl Reader {
    fn read(self, file: &Path) -> Result<Shop> {
        match self {
            Self::Figment => by_figment::read(file),
            Self::Config => by_config::read(file),
        }
    }
}

/// All settings of the service.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Shop {
    database: Database,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Database {
    file: PathBuf,
    #[serde(default)]
    pool: Settings,
}

fn main() -> ExitCode {
    examples::exit_code(run(&Args::parse()))
}

fn run(args: &Args) -> Result<()> {
    let Shop { database } = args.with.read(&args.file)?;
    let folder = tempfile::tempdir()?;
    let manager = SqliteManager::file(folder.path().join(&database.file)).create(true);
    // The variables DB_POOL_MAX_SIZE and so on, as in the other examples, override the file because they are read last.
    let pool = Pool::builder().name("shop").settings(&database.pool).from_env("DB_POOL_")?.build(manager)?;

    let config = pool.config();
    println!("at most {} connections, at least {} kept ready", config.max_size, config.min_idle);
    println!(
        "a request waits at most {:?}, a connection lives at most {:?}",
        config.acquire_timeout, config.max_lifetime
    );
    for warning in config.warnings() {
        println!("warning: {warning}");
    }
    if let Some(file) = &args.compare {
        for change in args.with.read(file)?.database.pool.diff(config) {
            println!("would change: {change}");
        }
    }
    Ok(())
}
