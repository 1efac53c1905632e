//! A server that this program starts, which goes down under load and comes back, with its old data and port.

use crate::application::{End, ask, count, first_success, load_beside, longest_wait, pool};
use crate::server::Server;
use crate::{Failure, Measured};
use integration_tests::Engine;
use integration_tests::container::Container;
use integration_tests::launch::{For, Launch};
use integration_tests::running::{PATIENCE, Running};
use std::thread;
use std::time::{Duration, Instant};

/// It is shut down, and started again.
pub(crate) fn restarted(_: &Server) -> Result<Measured, Failure> {
    goes_down(|container| Ok(container.stop()?))
}

/// It is killed, and started again.
pub(crate) fn crashed(_: &Server) -> Result<Measured, Failure> {
    goes_down(|container| Ok(container.kill()?))
}

/// Under the load of 16 threads on 8 connections.
fn goes_down(end: fn(&Container) -> Result<(), Failure>) -> Result<Measured, Failure> {
    let running = Running::launch(Engine::Postgres, &Launch::of(Engine::Postgres, For::Suite))?;
    running.wait_until_ready(PATIENCE, || false)?;
    let container = running.container().ok_or("a server that is not ours to stop")?;
    let pool = pool(&Server::new(running.url().as_str())?.url(), 8, Duration::from_secs(30))?;
    let begun = Instant::now();
    let (loans, back) = load_beside(&pool, 16, begun, Duration::from_secs(2), ask, || {
        thread::sleep(Duration::from_millis(700));
        end(container)?;
        container.start_again()?;
        running.wait_until_ready(PATIENCE, || false)?;
        Ok(begun.elapsed())
    })?;
    Ok(vec![
        ("failed_gets", count(&loans, End::FailedGet)),
        ("failed_queries", count(&loans, End::FailedQuery)),
        ("longest_wait_ms", longest_wait(&loans)),
        ("first_success_ms", first_success(&loans, back, begun.elapsed())),
    ])
}
