//! Servers for tests, in containers, for as long as this program's standard input is open.
//!
//! `servers postgres pgbouncer mysql mariadb redis` starts the named servers, and prints a line for each once a login succeeds:
//! `VARIABLE=url`, or `VARIABLE: ` and the reason why there is none; then an empty line. When its input closes, it removes them and ends,
//! also if the program that started it is killed. A signal has the same effect, through testcontainers' watchdog. If it is itself killed,
//! the next run finds the containers by their label.
//!
//! `servers --try postgres IMAGE` tries an image instead: see `trial`.

mod kind;
mod trial;

use anyhow::{Context, Result, anyhow, bail};
use integration_tests::container::Container;
use integration_tests::running::{PATIENCE, Running};
use kind::Kind;
use std::io::{Read, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;
use std::{env, io, thread};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let done = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--try", kind, image] => Kind::named(kind).and_then(|kind| trial::run(kind, image)),
        [] => Err(anyhow!("which servers? {}", Kind::ALL.map(Kind::name).join(", "))),
        ref names => keep(names),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Starts servers and keeps them until the input closes.
fn keep(names: &[&str]) -> Result<()> {
    let kinds = names.iter().map(|name| Kind::named(name)).collect::<Result<Vec<_>>>()?;
    let input = Input::watch();
    let mut servers = Servers(Vec::new());
    // All are started before the first is waited for.
    for kind in kinds {
        if input.has_closed() {
            bail!("stopped on request");
        }
        let begun = Instant::now();
        match servers.launch(kind) {
            Ok(running) => servers.0.push((kind, running, begun)),
            Err(error) => say(&format!("{}: {}", kind.url_variable(), in_one_line(&error)))?,
        }
    }
    for (kind, running, begun) in &servers.0 {
        match running.wait_until_ready(PATIENCE, || input.has_closed()) {
            Ok(()) => {
                eprintln!("{:>10}: {} accepted a login after {:.1?}", kind.name(), running.whence(), begun.elapsed());
                let mut url = running.url().clone();
                // Tests add their own parameters for connections.
                url.set_query(None);
                say(&format!("{}={url}", kind.url_variable()))?;
            }
            Err(error) => say(&format!("{}: {}", kind.url_variable(), in_one_line(&error)))?,
        }
    }
    say("")?;
    input.wait_until_closed();
    Ok(())
}

/// Removed when dropped.
struct Servers(Vec<(Kind, Running, Instant)>);

impl Servers {
    fn launch(&self, kind: Kind) -> Result<Running> {
        let postgres = self.0.iter().find(|(kind, ..)| *kind == Kind::Postgres);
        let behind = match kind {
            Kind::Pgbouncer => {
                let (_, postgres, _) = postgres.context("it has no PostgreSQL to stand before")?;
                postgres.container().context("it cannot reach that PostgreSQL")?.inner_address()?
            }
            _ => String::new(),
        };
        Running::launch(kind.engine(), &kind.launch(&behind))
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        // The pooler is removed before the server behind it.
        for (kind, running, _) in self.0.iter().rev() {
            if let Some(Err(error)) = running.container().map(Container::remove) {
                eprintln!("the container of {} could not be removed: {error:#}", kind.name());
            }
        }
    }
}

/// Standard input, read by a separate thread: the program at its other end may be gone at any time.
struct Input {
    closed: Arc<AtomicBool>,
    reader: JoinHandle<()>,
}

impl Input {
    fn watch() -> Self {
        let closed = Arc::<AtomicBool>::default();
        let closing = Arc::clone(&closed);
        let reader = thread::spawn(move || {
            let mut buffer = [0; 256];
            while matches!(io::stdin().lock().read(&mut buffer), Ok(1..)) {}
            closing.store(true, Ordering::SeqCst);
        });
        Self { closed, reader }
    }

    fn has_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    fn wait_until_closed(self) {
        let _ = self.reader.join();
    }
}

fn say(line: &str) -> io::Result<()> {
    let mut output = io::stdout().lock();
    writeln!(output, "{line}")?;
    output.flush()
}

fn in_one_line(error: &anyhow::Error) -> String {
    format!("{error:#}").lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pooler_without_the_server_behind_it_is_an_error() {
        assert!(Servers(Vec::new()).launch(Kind::Pgbouncer).is_err(), "there is nothing to stand before");
    }

    #[test]
    fn every_kind_is_found_by_its_name_and_no_other_is() {
        assert!(Kind::ALL.into_iter().all(|kind| Kind::named(kind.name()).is_ok_and(|found| found == kind)));
        assert!(Kind::named("oracle").is_err());
    }

    #[test]
    fn an_error_is_told_in_one_line() {
        assert_eq!(
            in_one_line(&anyhow!("no image\n\n  asked twice").context("no server")),
            "no server: no image; asked twice"
        );
    }
}
