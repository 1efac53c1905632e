//! The demo with its live page.

use crate::service::ask;
use cabrank_testing::eventually;
use cabrank_testing::harness::alone;
use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout, Command, Stdio};

fn watched_it_serves_a_live_page_and_keeps_a_load_running_until_ctrl_c() {
    let mut demo = Watched::start();
    let first = demo.lines.next().expect("a line").expect("text");
    let address =
        first.strip_prefix("Live page of the pool: http://").expect(&first).trim_end_matches('/').parse().unwrap();
    let mut lines = demo.lines.by_ref().map(|line| line.expect("text"));
    let look = || ask(address, "GET /look", "").expect("a look").body;
    assert!(lines.any(|line| line.starts_with("A load is running")), "the story ends, and the load begins");
    eventually("the load is seen", || look().contains(r#""name":"load""#));
    assert!(!look().contains(r#""name":"demo""#), "a pool that is gone is not shown");

    let interrupted = Command::new("kill").args(["-INT", &demo.process.id().to_string()]).status().unwrap();
    assert!(interrupted.success());
    assert_eq!(lines.last().as_deref(), Some("0 connections and 0 threads left"));
    assert!(demo.process.wait().unwrap().success());
}

/// The demo, which runs until a signal.
struct Watched {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Watched {
    fn start() -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_demo"));
        command.args(["--watch", "--max-size", "2", "--threads", "2", "--hold", "0"]).stdout(Stdio::piped());
        let mut process = command.spawn().expect("the programs are built with the tests");
        let lines = BufReader::new(process.stdout.take().expect("a pipe")).lines();
        Self { process, lines }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // For a test that failed. Does nothing to a process that has ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

cabrank_testing::tests! {
    alone:
        watched_it_serves_a_live_page_and_keeps_a_load_running_until_ctrl_c,
}
