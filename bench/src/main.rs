//! cabrank compared with other pools in one run: speed, fairness, recovery.
//!
//! Run it by `cargo xtask bench`; see `docs/performance.md`. In reading order: the cases, their loads, the borrowers, the pools, the web
//! service over them, the rounds, the report.

mod cases;
mod heap;
mod load;
mod measure;
mod options;
mod pools;
mod progress;
mod proxy;
mod report;
mod servers;
mod tasks;
mod threads;
mod web;

use anyhow::{Result, anyhow, bail};
use cases::Case;
use clap::Parser;
use measure::Bench;
use options::Options;
use progress::Progress;
use report::machine::Machine;
use report::{Report, docs, goals, markdown, plots};
use servers::Servers;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let options = Options::parse();
    match run(options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// False if `--check` was given and a goal is missed.
fn run(options: Options) -> Result<bool> {
    if let [pool, size] = &*options.probe_memory {
        return cases::probe(pool, size.parse()?).map(|()| true);
    }
    if !options.diesel_trouble.is_empty() {
        return diesel_trouble::run(&options.diesel_trouble).map(|()| true).map_err(|error| anyhow!("{error}"));
    }
    if let [pool, size] = &*options.serve {
        return web::serve(pool, size.parse()?).map(|()| true);
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace is around us");
    if options.replot {
        return docs::redraw(root).map(|()| true);
    }
    let chosen = chosen(&options)?;
    let file = options.out.join("report.json");
    let report = match options.reuse {
        true => Report::read(&file)?,
        false => measure_often(&options, &chosen, &file),
    };

    let ran = |case: &str| chosen.iter().any(|chosen| chosen.name == case);
    let standings = goals::standings(&report, ran);
    let text = markdown::whole(&report, &goals::table(&standings));
    fs::create_dir_all(&options.out)?;
    report.write(&file)?;
    report::write(&options.out.join("report.md"), &text)?;
    let plots = plots::draw(&plots::curves(&report), &options.out)?;
    if let Some(path) = &options.json {
        report.write_rows(path)?;
    }
    if options.docs {
        docs::update(&report, root)?;
    }
    println!("{text}");
    println!("report.json, report.md and {} plots in {}", plots.len(), options.out.display());
    Ok(!options.check || goals::passed(&standings, options.allow_missing))
}

fn chosen(options: &Options) -> Result<Vec<&'static Case>> {
    if options.cases.is_empty() {
        return Ok(cases::USUAL.iter().collect());
    }
    if let Some(unknown) = options.cases.iter().find(|name| cases::all().all(|case| !case.is_called(name))) {
        let known: Vec<_> = cases::all().map(|case| case.name).collect();
        bail!("no case is named {unknown}; the cases are {}", known.join(", "));
    }
    Ok(cases::all().filter(|case| options.cases.iter().any(|name| case.is_called(name))).collect())
}

/// With `--check` there are three runs, because conditions may favour or disturb a single run from beginning to end.
fn measure_often(options: &Options, cases: &[&Case], file: &Path) -> Report {
    let runs = if options.check && !options.quick { 3 } else { 1 };
    let runs = (0..runs).map(|_| measure(options, cases, file)).collect();
    Report::of_runs(runs).expect("there is one at least")
}

/// A failed case does not stop the others, and results are saved after each case.
fn measure(options: &Options, cases: &[&Case], file: &Path) -> Report {
    let report = Report {
        machine: Machine::look(),
        quick: options.quick,
        rows: Vec::new(),
        missing: Vec::new(),
        curves: Vec::new(),
    };
    let progress = Progress::new(cases, options.quick);
    let mut bench = Bench { options: options.clone(), servers: Servers::default(), report, progress };
    for case in cases {
        bench.progress.case(case, options.quick);
        if let Err(error) = (case.run)(&mut bench) {
            bench.miss(case.name, "all", &format!("{error:#}"));
        }
        bench.report.machine.servers.clone_from(&bench.servers.versions);
        if let Err(error) = bench.report.write(file) {
            bench.progress.say(&format!("{error:#}"));
        }
    }
    bench.progress.end();
    bench.report
}
