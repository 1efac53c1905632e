//! Where and when the run took place, and how busy the machine was otherwise.

use serde::{Deserialize, Serialize};
use std::hint::black_box;
use std::process::Command;
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use std::{env, fs, thread};

#[derive(Default, Serialize, Deserialize)]
pub struct Machine {
    pub date: String,
    pub processor: String,
    pub cores: usize,
    pub system: String,
    pub rust: String,
    pub java: Option<String>,
    /// The system's load average over the minute before the run.
    pub load_before: Option<f64>,
    /// Two threads at the same time did this many times the work of one.
    pub parallel: Option<f64>,
    /// The servers that were used, with their versions.
    pub servers: Vec<String>,
}

impl Machine {
    pub fn look() -> Self {
        let unknown = || "unknown".to_owned();
        let load_before = fs::read_to_string("/proc/loadavg").ok();
        Self {
            date: today(),
            processor: field("/proc/cpuinfo", "model name").unwrap_or_else(unknown),
            cores: thread::available_parallelism().map_or(1, usize::from),
            system: format!("{} {}", env::consts::OS, kernel()),
            rust: said("rustc", "--version").unwrap_or_else(unknown),
            java: said("java", "--version"),
            load_before: load_before.and_then(|text| text.split(' ').next()?.parse().ok()),
            parallel: Some(parallel()),
            servers: Vec::new(),
        }
    }

    /// As a sentence.
    pub fn told(&self) -> String {
        let Self { date, processor, cores, system, rust, .. } = self;
        let java = self.java.as_deref().map_or(String::new(), |java| format!(", {java}"));
        let servers: String = self.servers.iter().map(|server| format!(", {server}")).collect();
        let busy = match self.load_before {
            Some(load) if load > 0.5 => {
                format!(
                    " The machine was not idle (load average {load:.1} before the run); treat the figures as approximate."
                )
            }
            _ => String::new(),
        };
        let parallel =
            self.parallel.map_or(String::new(), |times| format!(" Two threads did {times:.2} times the work of one."));
        format!("Measured on {date}: {processor}, {cores} cores, {system}, {rust}{java}{servers}.{parallel}{busy}")
    }
}

/// Two threads that only compute, compared with one: on two real cores they take no longer. The median of nine attempts.
fn parallel() -> f64 {
    let alone = || {
        let began = Instant::now();
        reckon();
        began.elapsed()
    };
    let mut times: Vec<f64> = (0..9)
        .map(|_| {
            let one = alone();
            let began = Instant::now();
            thread::scope(|scope| {
                scope.spawn(reckon);
                reckon();
            });
            2.0 * one.as_secs_f64() / began.elapsed().as_secs_f64()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Some ten milliseconds of work that the compiler cannot remove.
fn reckon() {
    let mut number = 1_u64;
    for step in 0..20_000_000_u64 {
        number = black_box(number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(step));
    }
}

fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// The first line that a program prints about its version.
fn said(program: &str, argument: &str) -> Option<String> {
    let output = Command::new(program).arg(argument).output().ok()?;
    let first = String::from_utf8_lossy(&output.stdout).lines().next()?.to_owned();
    // Without hash and date.
    Some(first.split(" (").next().unwrap_or_default().split(" 20").next().unwrap_or_default().to_owned())
}

/// As year-month-day, in the civil calendar (Howard Hinnant's algorithm).
fn today() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let days = seconds / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year}-{month:02}-{day:02}")
}

/// The kernel's version, without the distributor's suffix.
fn kernel() -> String {
    let release = fs::read_to_string(KERNEL).unwrap_or_default();
    release.trim().split('-').next().unwrap_or_default().to_owned()
}

const KERNEL: &str = "/proc/sys/kernel/osrelease";
