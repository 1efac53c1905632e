//! The command line.

use std::path::PathBuf;

/// cabrank compared with other pools in one run. `cargo xtask bench` builds this, starts servers, and runs it.
#[derive(Clone, Debug, clap::Parser)]
pub struct Options {
    /// Fewer and shorter rounds, in under three minutes.
    #[arg(long)]
    pub quick: bool,
    /// Runs this case alone, or those whose names begin with this word; may be given more than once.
    #[arg(long = "case", value_name = "NAME")]
    pub cases: Vec<String>,
    /// Also writes the rows to this file.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Compares the medians of three runs (of one, with `--quick`) with the goals; exit status 1 if any is missed.
    #[arg(long)]
    pub check: bool,
    /// With `--check`: a peer that could not be measured is not a failure.
    #[arg(long)]
    pub allow_missing: bool,
    /// Measures nothing: uses the last run's report.
    #[arg(long)]
    pub reuse: bool,
    /// Writes tables and plots into the documents, between their markers.
    #[arg(long)]
    pub docs: bool,
    /// Measures nothing: draws the documents' plots again, from `docs/performance/curves.json`.
    #[arg(long)]
    pub replot: bool,
    /// The folder for the report and its plots.
    #[arg(long, value_name = "FOLDER", default_value = "target/bench")]
    pub out: PathBuf,
    /// For the case `memory`, which runs this program as another process.
    #[arg(long, hide = true, num_args = 2, value_names = ["POOL", "SIZE"])]
    pub probe_memory: Vec<String>,
    /// For the cases on Diesel: their program, built on the drop-in.
    #[arg(long, hide = true, value_name = "FILE")]
    pub drop_in: Option<PathBuf>,
    /// The same program's task, on r2d2 itself.
    #[arg(long, hide = true, num_args = 2, value_names = ["URL", "CASE"])]
    pub diesel_trouble: Vec<String>,
    /// For the cases `http`, which run this program as another process.
    #[arg(long, hide = true, num_args = 2, value_names = ["POOL", "SIZE"])]
    pub serve: Vec<String>,
}
