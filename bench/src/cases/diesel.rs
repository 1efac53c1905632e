//! An application on Diesel, with r2d2 itself and with this repository's drop-in. It is one program, built twice, because a program has
//! only one crate named r2d2; this benchmark has the real one.

use crate::measure::{Bench, Measured, Point};
use anyhow::{Context, Result, bail};
use std::env;
use std::process::Command;

/// A loan and a query, for which there are goals.
pub fn speed(bench: &mut Bench) -> Result<()> {
    let rounds = bench.pick(1, 5);
    measure(bench, "pg_diesel", 0, ("speed_1", 1, 8), rounds)?;
    measure(bench, "pg_diesel", 1, ("speed_16", 16, 8), rounds)
}

/// Connections that run out, are spoiled or fail.
pub fn trouble(bench: &mut Bench) -> Result<()> {
    let cases = diesel_trouble::cases().filter(|name| !name.starts_with("speed"));
    for (part, name) in cases.enumerate() {
        let rounds = bench.pick(1, 3);
        measure(bench, "diesel_trouble", part, (name, 0, 0), rounds)?;
    }
    Ok(())
}

fn measure(
    bench: &mut Bench,
    case: &'static str,
    part: usize,
    (name, threads, size): (&str, usize, u32),
    rounds: usize,
) -> Result<()> {
    let url = bench.servers.postgres()?;
    let drop_in = bench.options.drop_in.clone();
    bench.progress.part(part, diesel_trouble::cases().count());
    let prefix = if threads == 0 { format!("{name}: ") } else { String::new() };
    bench.rounds_anew(Point { case, threads, size }, rounds, &["cabrank", "r2d2"], |pool| {
        let mut program = match pool {
            "cabrank" => Command::new(drop_in.as_ref().context("the program on the drop-in was not built")?),
            _ => {
                let mut ourselves = Command::new(env::current_exe()?);
                ourselves.arg("--diesel-trouble");
                ourselves
            }
        };
        ask(program.args([&*url, name]), &prefix)
    });
    Ok(())
}

/// Reads lines of a metric and its value.
fn ask(program: &mut Command, prefix: &str) -> Result<Measured> {
    let output = program.output()?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr));
    }
    let text = String::from_utf8(output.stdout)?;
    let metric = |line: &str| -> Result<(String, f64)> {
        let (name, value) = line.split_once(' ').context("a metric without a value")?;
        Ok((format!("{prefix}{name}"), value.parse()?))
    };
    text.lines().map(metric).collect()
}
