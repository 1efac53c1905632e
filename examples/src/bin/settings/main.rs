//! Settings of a service from a file, with the environment over it: read by figment (`by_figment.rs`) or by config
//! (`by_config.rs`). Here what comes of them.

mod by_config;
mod by_figment;

use anyhow::Result;
use cabrank::Settings;
use cabrank_sqlite::{Pool, SqliteManager};
use clap::{Parser, ValueEnum};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Reads a file of settings, and over it variables such as SHOP_DATABASE__POOL__MAX_SIZE; opens a pool by them, and says what it has.
#[derive(Parser)]
struct Args {
    /// Which crate reads.
    #[arg(long, value_enum, default_value = "figment")]
    with: Reader,
    /// The file [default: the one beside the program's source]
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/src/bin/settings/settings.toml"), hide_default_value = true)]
    file: PathBuf,
    /// A file that would replace it: what could not change without a restart?
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
    // After the file the variables DB_POOL_MAX_SIZE and so on, as in the other examples: the last to be read wins.
    let pool = Pool::builder().name("shop").settings(&database.pool).from_env("DB_POOL_")?.build(manager)?;

    let config = pool.config();
    println!("at most {} connections, at least {} kept ready", config.max_size, config.min_idle);
    println!("a request waits for {:?}, a connection lives for {:?}", config.acquire_timeout, config.max_lifetime);
    for warning in config.warnings() {
        println!("probably not meant: {warning}");
    }
    if let Some(file) = &args.compare {
        for change in args.with.read(file)?.database.pool.diff(config) {
            println!("would change: {change}");
        }
    }
    Ok(())
}
