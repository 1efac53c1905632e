//! Runs the demo as a user would, and reads its output.

use crate::place::{Engine, Place, on_each_engine};
use crate::program::succeeded;
use cabrank_testing::harness::alone;
use std::process::{Command, Output, Stdio};

fn everything_comes_as_expected_and_nothing_is_left(place: &mut Place) {
    let output = demo(&["--url", &place.url]);
    let text = succeeded(&output);
    let (engine, adapter) = match place.engine {
        Engine::Sqlite => ("SQLite", "sqlite"),
        Engine::Postgres => ("PostgreSQL", "postgres"),
        Engine::Mysql => ("MySQL", "mysql"),
        Engine::Mariadb => ("MariaDB", "mysql"),
    };
    assert!(text.contains(engine), "no {engine} in:\n{text}");
    let dependency = format!("cabrank-{adapter} = {{ path = \"../cabrank/adapters/{adapter}\" }}");
    assert!(text.contains(&dependency), "no {dependency} in:\n{text}");
    for line in [
        "1. The pool",
        "2. Single queries",
        "3. Concurrency: 15 threads on 10 connections",
        "4. Transactions",
        "5. States and statistics",
        "6. Exhaustion: 12 threads for 10 connections",
        "7. Final statistics and a graceful close",
        " the closure failed, and its transaction was rolled back: insufficient funds: 1000 needed, 80",
        " late thread 2 gets ",
        " no connection within ",
        "10 checked out at ",
        " the pool is closed",
        " expectations held, 0 mismatches, in ",
        "Where to go next",
    ] {
        // The demo breaks a long text into lines.
        assert!(text.replace("\n     | ", " ").contains(line), "no {line:?} in:\n{text}");
    }
    assert!(!text.contains("MISMATCH"), "{text}");
    place.assert_empty();
}

fn a_smaller_pool_and_fewer_threads_do_as_well(place: &mut Place) {
    let output = demo(&["--url", &place.url, "--max-size", "3", "--threads", "8", "--hold", "1"]);
    let text = succeeded(&output);
    assert!(text.contains("8 threads on 3 connections"), "{text}");
    assert!(text.contains("5 threads for 3 connections"), "{text}");
}

fn a_table_of_somebody_else_stays_as_it_is(place: &mut Place) {
    place.observer().execute("CREATE TABLE cabrank_demo_account (id BIGINT)");
    place.observer().execute("INSERT INTO cabrank_demo_account VALUES (7)");
    let output = demo(&["--url", &place.url]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("cannot create the table cabrank_demo_account; if it exists, drop it"), "{text}");
    assert!(text.contains("already exists"), "{text}");
    assert_eq!(place.observer().numbers("SELECT id FROM cabrank_demo_account"), [7]);
}

fn without_a_url_the_demo_runs_on_a_temporary_file() {
    let text = succeeded(&demo(&["--hold", "1"]));
    assert!(text.contains("SQLite"), "{text}");
}

fn a_pool_of_one_connection_leaves_out_what_needs_two() {
    let output = demo(&["--max-size", "1", "--threads", "1", "--hold", "0"]);
    let text = succeeded(&output);
    assert!(text.contains("1 thread on 1 connection"), "{text}");
    assert!(text.contains("left out"), "{text}");
}

fn a_file_that_is_named_is_made_and_keeps_no_table() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("named.db");
    for url in [format!("sqlite:{}", path.display()), path.display().to_string()] {
        let output = demo(&["--url", &url, "--max-size", "2", "--threads", "2", "--hold", "0"]);
        succeeded(&output);
    }
    let database = cabrank_sqlite::rusqlite::Connection::open(&path).unwrap();
    let tables: i64 = database.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).unwrap();
    assert_eq!(tables, 0);
}

fn bad_arguments_are_refused_by_name_and_with_a_remedy() {
    let directory = tempfile::tempdir().unwrap();
    let nowhere = directory.path().join("missing").join("demo.db").display().to_string();
    for (args, said) in [
        (["--max-size", "0"], ["--max-size", "from 1 to 100"]),
        (["--max-size", "ten"], ["--max-size", "from 1 to 100"]),
        (["--threads", "0"], ["--threads", "from 1 to 1000"]),
        (["--hold", "-1"], ["--hold", "from 0 to 10000"]),
        (["--url", "oracle://me:secret@host/db"], ["--url", "sqlite:PATH"]),
        (["--url", "postgres:secret"], ["--url", "postgres://USER"]),
        (["--url", "mariadb://me:secret@localhost:port/db"], ["error:", "port"]),
        (["--url", ""], ["--url", "sqlite:PATH"]),
        (["--url", ":memory:"], ["--url", "name a file"]),
        (["--url", &nowhere], ["--url", "there is no directory"]),
    ] {
        let output = demo(&args);
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {text}");
        assert!(said.iter().all(|said| text.contains(said)), "{args:?}: no {said:?} in: {text}");
        assert!(!text.contains("panicked") && !text.contains("secret"), "{args:?}: {text}");
    }
}

fn a_server_that_is_not_there_is_told_without_the_password() {
    let urls = ["postgres://me:secret@127.0.0.1:1/db", "mysql://me:secret@127.0.0.1:1/db"];
    // Both at once, because a pool does not give up before its `connect_timeout`.
    let demos = urls.map(|url| Command::new(DEMO).args(["--url", url]).stderr(Stdio::piped()).spawn().unwrap());
    for demo in demos {
        let output = demo.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains("refused") && text.contains("correct --url"), "{text}");
        assert!(!text.contains("secret"), "{text}");
    }
}

fn the_quick_start_of_the_readme_runs() {
    let readme = include_str!("../../../README.md");
    let program = include_str!("../../src/bin/quick_start.rs");
    let (_, code) = program.split_once("\n\n").expect("a head, and the code");
    assert!(readme.contains(&format!("```rust,no_run\n{code}```")), "the README shows another program");

    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_quick_start")).current_dir(folder.path()).output().unwrap();
    assert_eq!(succeeded(&output), "0 connections and 0 threads left\n");
    let left: Vec<_> = folder.path().read_dir().unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(left, ["shop.db"], "the log was written back");
}

fn demo(args: &[&str]) -> Output {
    Command::new(DEMO).args(args).output().expect("the demo was built along with this test")
}

const DEMO: &str = env!("CARGO_BIN_EXE_demo");

cabrank_testing::tests! {
    on_each_engine:
        everything_comes_as_expected_and_nothing_is_left,
        a_smaller_pool_and_fewer_threads_do_as_well,
        a_table_of_somebody_else_stays_as_it_is;
    alone:
        without_a_url_the_demo_runs_on_a_temporary_file,
        a_pool_of_one_connection_leaves_out_what_needs_two,
        a_file_that_is_named_is_made_and_keeps_no_table,
        bad_arguments_are_refused_by_name_and_with_a_remedy,
        a_server_that_is_not_there_is_told_without_the_password,
        the_quick_start_of_the_readme_runs,
}
