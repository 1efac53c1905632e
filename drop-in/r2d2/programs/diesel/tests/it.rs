//! The unmodified program on each engine: its output, and that the pool behind `diesel::r2d2` is the one of this repository.

use cabrank_testing::harness::{alone, skip};
use cabrank_testing::servers::{Engine, url};
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    cabrank_testing::harness::run([tests()])
}

const PRINTS: &str = "\
migrations: 1
inserted: 2, the richest: Ada, saved: 55
copied: 2
rolled back: true, balances: [71, 86]
16 threads read: 25120
in the test transaction: 0 accounts
left behind: 4 accounts
opened: between 1 and 4: true
";

fn on_sqlite() {
    on_each_task(Engine::Sqlite);
}

fn on_postgres() {
    on_each_task(Engine::Postgres);
}

fn on_mysql() {
    on_each_task(Engine::Mysql);
}

fn on_mariadb() {
    on_each_task(Engine::Mariadb);
}

fn on_each_task(engine: Engine) {
    if !engine.is_chosen() {
        skip(format!("CABRANK_ENGINE is not {engine}"));
    }
    let folder = tempfile::tempdir().expect("a folder");
    let url = match engine.has_server() {
        true => url(&engine.url_variable()).unwrap_or_else(|why| skip(why)),
        false => folder.path().join("accounts.db").to_str().expect("plain names").to_owned(),
    };
    assert_eq!(run(&[&url]), PRINTS);
    // A second run, on the existing tables.
    assert_eq!(run(&[&url]), PRINTS);

    let error = run(&[&url, "time-out"]);
    assert!(error.starts_with("timed out waiting for connection: "), "{error}");
    assert!(
        error.contains("pool \"r2d2\" (max_size 1) has 1 in use")
            && error.contains("1 checked out at programs/diesel/src/"),
        "{error}"
    );

    let looked_up: f64 = run(&[&url, "loops", "2", "1"]).trim().parse().expect("a number");
    assert!(looked_up > 100.0, "{looked_up} in a second");
}

fn run(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_diesel-program")).args(arguments).output().expect("it starts");
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(output.status.success(), "{arguments:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

cabrank_testing::tests! {
    alone: on_sqlite, on_postgres, on_mysql, on_mariadb;
}
