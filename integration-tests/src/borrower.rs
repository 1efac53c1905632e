//! A separate process that borrows, for tests that freeze one or start hundreds: on this machine, or in a container, which can be paused
//! and throttled. Its program is `bin/borrower`; this module starts, commands, freezes and reads it.

use crate::container::{LABEL, owner};
use crate::cpu;
use crate::cpu::ThreadTimes;
use anyhow::{Context, Error, Result, anyhow, bail, ensure};
use cabrank_testing::eventually;
use rustix::process::{Pid, Signal, kill_process};
use rustix::time::{ClockId, clock_gettime};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::thread::JoinHandle;
use std::time::Duration;
use url::Url;

/// The process. Dropping the value kills it, unless it was [finished](Self::finish).
#[derive(Debug)]
pub struct Borrower {
    /// The program, or Docker's own command, which is attached to it.
    child: Child,
    input: Option<ChildStdin>,
    said: Arc<Mutex<Said>>,
    /// Returns its standard error, once it has ended.
    complaints: Option<JoinHandle<String>>,
    /// The name of its container, if it has one.
    container: Option<String>,
}

/// How to start a borrower.
#[derive(Clone, Debug)]
pub struct Recipe<'a> {
    /// The program's file.
    pub program: &'a str,
    /// The server of its connections.
    pub url: Url,
    /// The pool's settings and the statement for each new session, as variables.
    pub variables: Vec<(&'a str, String)>,
}

/// One loan of the borrower.
#[derive(Clone, Debug)]
pub struct Loan {
    /// When it was requested.
    pub asked: Moment,
    /// How long it waited.
    pub waited: Duration,
    /// `served`, or a failure: `unanswered` or `refused`, and the error.
    pub outcome: String,
}

/// A time by the clock that all processes share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(Duration);

/// Its output so far.
#[derive(Debug, Default)]
struct Said {
    ready: bool,
    loans: Vec<Loan>,
    stats: Vec<HashMap<String, u64>>,
    /// The number of commands it has executed.
    done: usize,
    /// Whether its pool closed in an orderly way.
    closed: Option<bool>,
}

impl Borrower {
    /// Starts a borrower on this machine.
    pub fn start(recipe: &Recipe<'_>) -> Result<Self> {
        let mut command = Command::new(recipe.program);
        command
            .env("BORROWER_URL", recipe.url.as_str())
            .envs(recipe.variables.iter().map(|(name, value)| (name, value)));
        Self::spawn(&mut command, None)
    }

    /// Starts a borrower in a container of this image, in this machine's own network. The error states what this machine lacks.
    pub fn start_in_container(recipe: &Recipe<'_>, image: &str) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let name = format!("cabrank-borrower-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let mut command = Command::new("docker");
        command.args(["run", "--rm", "--interactive", "--network=host", "--entrypoint=/borrower", "--name", &name]);
        command.args(["--label", &format!("{LABEL}={}", owner())]);
        command.arg(format!("--volume={}:/borrower:ro", recipe.program));
        command.arg(format!("--env=BORROWER_URL={}", recipe.url));
        command.args(recipe.variables.iter().map(|(name, value)| format!("--env={name}={value}")));
        Self::spawn(command.arg(image), Some(name))
    }

    fn spawn(command: &mut Command, container: Option<String>) -> Result<Self> {
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().context("it does not start")?;
        let said = Arc::<Mutex<Said>>::default();
        let (output, mut errors) = child.stdout.take().zip(child.stderr.take()).context("they are piped")?;
        let writer = said.clone();
        let lines = BufReader::new(output).lines();
        let reader = thread::spawn(move || lines.map_while(Result::ok).for_each(|line| lock(&writer).hear(&line)));
        let complaints = thread::spawn(move || {
            let mut text = String::new();
            let _ = errors.read_to_string(&mut text);
            text.trim().to_owned()
        });
        let mut borrower = Self { input: child.stdin.take(), child, said, complaints: Some(complaints), container };
        eventually("it is ready, or has ended", || borrower.said().ready || reader.is_finished());
        if !borrower.said().ready {
            return Err(borrower.has_failed("the borrower ended at once")?);
        }
        Ok(borrower)
    }

    /// `get SQL` borrows once, and `load THREADS SQL` repeatedly until `rest`: in separate threads, alongside later commands. `once SQL`
    /// borrows before the next command. This method waits for none of them.
    pub fn tell(&mut self, command: &str) {
        let input = self.input.as_mut().expect("it is not finished");
        writeln!(input, "{command}").expect("it reads its commands");
    }

    /// `take`, `run SQL`, `give`, `evict`: with one connection that it holds. Waits until the command has been executed.
    pub fn have(&mut self, command: &str) {
        let before = self.said().done;
        self.tell(command);
        eventually("it has executed the command", || self.said().done > before);
    }

    /// The numbers of its pool, by name. Closed connections are counted by reason, as in `closed_expired`.
    pub fn stats(&mut self) -> HashMap<String, u64> {
        let before = self.said().stats.len();
        self.tell("stats");
        eventually("it has reported its numbers", || self.said().stats.len() > before);
        self.said().stats[before].clone()
    }

    /// All loans that have ended, in that order.
    pub fn loans(&self) -> Vec<Loan> {
        self.said().loans.clone()
    }

    /// The number of served loans that were requested after that moment.
    pub fn served_since(&self, moment: Moment) -> usize {
        self.said().loans.iter().filter(|loan| loan.asked >= moment && loan.is_served()).count()
    }

    /// Stops the process by a signal, or pauses its container. Returns when none of its threads runs.
    pub fn freeze(&self) -> Result<()> {
        match &self.container {
            Some(name) => docker(&["pause", name]).map(drop),
            None => {
                kill_process(self.process()?, Signal::STOP)?;
                eventually("all its threads have stopped", || cpu::is_stopped(self.child.id()));
                Ok(())
            }
        }
    }

    /// Lets it continue.
    pub fn thaw(&self) -> Result<()> {
        match &self.container {
            Some(name) => docker(&["unpause", name]).map(drop),
            None => Ok(kill_process(self.process()?, Signal::CONT)?),
        }
    }

    /// Limits its container to this share of the processors.
    pub fn throttle(&self, cpus: &str) -> Result<()> {
        docker(&["update", "--cpus", cpus, self.container.as_ref().context("it is in no container")?]).map(drop)
    }

    /// The processor time that each of its pool's own threads has had, the workers and the timer.
    pub fn worked(&self) -> Result<ThreadTimes> {
        let process = match &self.container {
            Some(name) => docker(&["inspect", "--format", "{{.State.Pid}}", name])?.parse()?,
            None => self.child.id(),
        };
        let times = ThreadTimes::read(process, |name| name == "cabrank-worker" || name == "cabrank-timer")?;
        ensure!(!times.is_empty(), "none of its threads has the name of a worker or of the timer");
        Ok(times)
    }

    /// Closes its input, and waits until it has closed its pool and ended. Returns its loans.
    pub fn finish(mut self) -> Result<Vec<Loan>> {
        drop(self.input.take());
        if !self.child.wait()?.success() {
            return Err(self.has_failed("the borrower failed")?);
        }
        eventually("its last word is read", || self.said().closed.is_some());
        ensure!(self.said().closed == Some(true), "its pool was not closed in good order");
        Ok(self.loans())
    }

    /// An error with its own messages. It has ended, or is about to.
    fn has_failed(&mut self, how: &str) -> Result<Error> {
        let status = self.child.wait()?;
        let complaints = self.complaints.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        Ok(anyhow!("{how} ({status}): {complaints}"))
    }

    fn process(&self) -> Result<Pid> {
        Pid::from_raw(self.child.id().try_into()?).context("no process has the number 0")
    }

    fn said(&self) -> MutexGuard<'_, Said> {
        lock(&self.said)
    }
}

impl Drop for Borrower {
    fn drop(&mut self) {
        if let (Some(name), Ok(None)) = (&self.container, self.child.try_wait()) {
            // It may be paused.
            let _ = self.thaw();
            let _ = docker(&["rm", "--force", name]);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Said {
    fn hear(&mut self, line: &str) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "ready" => self.ready = true,
            "loan" => self.loans.extend(Loan::read(rest)),
            "stats" => self.stats.push(rest.split(' ').filter_map(number).collect()),
            "done" => self.done += 1,
            "closed" => self.closed = Some(rest == "true"),
            _ => eprintln!("the borrower says: {line}"),
        }
    }
}

impl Loan {
    /// Returns whether the loan got a connection and an answer.
    pub fn is_served(&self) -> bool {
        self.outcome == "served"
    }

    /// Returns whether the request got no connection.
    pub fn is_refused(&self) -> bool {
        self.outcome.starts_with("refused")
    }

    fn read(text: &str) -> Option<Self> {
        let mut words = text.splitn(3, ' ');
        let mut time = || Some(Duration::from_micros(words.next()?.parse().ok()?));
        let (asked, waited) = (Moment(time()?), time()?);
        Some(Self { asked, waited, outcome: words.next()?.to_owned() })
    }
}

impl Moment {
    /// Like [`Instant`](std::time::Instant), whose value cannot be passed to another process.
    pub fn now() -> Self {
        let time = clock_gettime(ClockId::Monotonic);
        let (seconds, nanoseconds) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
        Self(Duration::new(seconds.unwrap_or_default(), nanoseconds.unwrap_or_default()))
    }

    /// The time since then.
    pub fn elapsed(self) -> Duration {
        Self::now().0.saturating_sub(self.0)
    }
}

/// `name=number`.
fn number(word: &str) -> Option<(String, u64)> {
    let (name, number) = word.split_once('=')?;
    Some((name.to_owned(), number.parse().ok()?))
}

fn docker(arguments: &[&str]) -> Result<String> {
    let output = Command::new("docker").args(arguments).output().context("Docker's own command is missing")?;
    if !output.status.success() {
        bail!("docker {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn lock(said: &Mutex<Said>) -> MutexGuard<'_, Said> {
    said.lock().unwrap_or_else(PoisonError::into_inner)
}
