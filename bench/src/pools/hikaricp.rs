//! HikariCP 2.7.9, as Debian packages it, in its own JVM: the program in `hikari/` runs the same loads, with a driver that does nothing,
//! and sends back every loan.

use super::{Peer, Setup, Stub, Target};
use crate::load::{End, Load, Loan, Outcome, Pace, Work};
use anyhow::{Context, Result, anyhow, bail};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::str::SplitAsciiWhitespace;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};
use std::{env, fs};

pub fn build(setup: &Setup) -> Result<Box<dyn Peer>> {
    let Target::Stub(stub) = &setup.target else { bail!("HikariCP is measured only with a stub") };
    let classes = classes()?;
    let number = |value: Option<u128>| value.map_or(-1, |value| value as i64).to_string();
    let mut command = Command::new("java");
    command.arg("-cp").arg(format!("{}:{}", classes.display(), jars())).arg("Bench");
    command.arg(setup.size.to_string()).arg(stub.connect.as_millis().to_string());
    command.arg(number(setup.min_idle.map(u128::from))).arg(number(setup.timeout.map(|limit| limit.as_millis())));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("cannot start java")?;
    let (asks, answers) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
    let machine = Mutex::new(Machine { child, asks: Some(asks), answers: BufReader::new(answers) });
    Ok(Box::new(HikariCp { machine, stub: stub.clone() }))
}

struct HikariCp {
    machine: Mutex<Machine>,
    stub: Stub,
}

/// The JVM ends when this is dropped, because its input closes.
struct Machine {
    child: Child,
    asks: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Peer for HikariCp {
    fn name(&self) -> &'static str {
        "hikaricp"
    }

    fn run(&self, load: &Load) -> Result<Outcome> {
        let (work, nanos) = match load.work {
            Work::Nothing => ("nothing", 0),
            Work::Sleep(time) => ("sleep", time.as_nanos()),
            Work::Spin(time) => ("spin", time.as_nanos()),
            Work::Query(_) => bail!("a stub answers no query"),
        };
        let (pace, number, rate) = match load.pace {
            Pace::Loans(loans) => ("loans", loans, 0.0),
            Pace::For(time) => ("for", time.as_nanos() as u64, 0.0),
            Pace::Until { .. } => bail!("a run in the JVM needs an end that is known in advance"),
            Pace::Arrivals { per_second, during } => ("arrivals", during.as_nanos() as u64, per_second),
        };
        let mut machine = self.machine.lock().unwrap();
        let began = Instant::now();
        let asks = machine.asks.as_mut().expect("it is not dropped");
        writeln!(asks, "{} {work} {nanos} {pace} {number} {rate}", load.borrowers)?;
        let head = machine.line()?;
        let mut words = head.split_ascii_whitespace();
        let elapsed = Duration::from_nanos(parse(&mut words)?);
        self.stub.opened.store(parse(&mut words)?, Ordering::Relaxed);
        let mut loans = Vec::new();
        for _ in 0..load.borrowers {
            loans.push(read_loans(&machine.line()?)?);
        }
        Ok(Outcome { began, elapsed, loans, failure: None })
    }
}

impl Machine {
    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            bail!("the JVM has ended");
        }
        Ok(line)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.asks = None;
        let _ = self.child.wait();
    }
}

/// One borrower's loans: three times each; the end is negative if there was no connection.
fn read_loans(line: &str) -> Result<Vec<Loan>> {
    let mut words = line.split_ascii_whitespace();
    let mut loans = Vec::new();
    while let Some(asked) = words.next() {
        let (asked, waited) = (asked.parse()?, parse(&mut words)?);
        let ended: i64 = words.next().context("a loan without end")?.parse()?;
        let end = if ended < 0 { End::FailedGet } else { End::Good };
        loans.push(Loan { asked, waited, ended: ended.unsigned_abs(), end });
    }
    Ok(loans)
}

fn parse(words: &mut SplitAsciiWhitespace<'_>) -> Result<u64> {
    Ok(words.next().context("the JVM's answer is incomplete")?.parse()?)
}

/// The folder of the compiled program, which is compiled at first use.
fn classes() -> Result<PathBuf> {
    static CLASSES: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let compile = || -> Result<PathBuf> {
        let missing = jars().split(':').find(|jar| !Path::new(jar).exists()).map(str::to_owned);
        if let Some(jar) = missing {
            bail!("{jar} is missing (Debian: apt-get install libhikaricp-java libslf4j-java)");
        }
        let classes = env::current_exe()?.with_file_name("hikari");
        fs::create_dir_all(&classes)?;
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("hikari");
        let mut command = Command::new("javac");
        command.arg("-cp").arg(jars()).arg("-d").arg(&classes);
        command.args(["Bench.java", "StubConnection.java", "StubDataSource.java"]).current_dir(sources);
        let output = command.stdin(Stdio::null()).output().context("cannot run javac")?;
        if !output.status.success() {
            bail!("javac failed: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(classes)
    };
    let compiled = CLASSES.get_or_init(|| compile().map_err(|error| format!("{error:#}")));
    compiled.clone().map_err(|error| anyhow!(error))
}

/// Debian's paths, unless the environment has others.
fn jars() -> String {
    let debian = || ["HikariCP", "slf4j-api", "slf4j-nop"].map(|jar| format!("/usr/share/java/{jar}.jar")).join(":");
    env::var("CABRANK_HIKARI_CLASSPATH").unwrap_or_else(|_| debian())
}
