//! Runs the demo as a user would, and reads what it prints.

use std::process::{Command, Output};

#[test]
fn with_default_arguments_everything_comes_as_expected() {
    let output = demo(&[]);
    let text = succeeded(&output);
    for line in [
        "1. The pool",
        "2. Single queries",
        "3. Concurrency: 15 threads on 10 connections",
        "4. Transactions",
        "5. States and statistics",
        "6. Exhaustion: 12 holders for a pool of 10",
        "7. Final statistics and a graceful close",
        "| insufficient funds: 1000 wanted, 80 there",
        "| no connection within ",
        "10 held by ",
        "| the pool is closed",
        " expectations held, 0 mismatches, in ",
    ] {
        assert!(text.contains(line), "no {line:?} in:\n{text}");
    }
    assert!(!text.contains("MISMATCH"), "{text}");
}

#[test]
fn a_smaller_pool_and_fewer_threads_do_as_well() {
    let output = demo(&["--max-size", "3", "--threads", "8", "--hold", "1"]);
    let text = succeeded(&output);
    assert!(text.contains("8 threads on 3 connections"), "{text}");
    assert!(text.contains("5 holders for a pool of 3"), "{text}");
}

#[test]
fn a_pool_of_one_connection_leaves_out_what_needs_two() {
    let output = demo(&["--max-size", "1", "--threads", "1", "--hold", "0"]);
    let text = succeeded(&output);
    assert!(text.contains("1 thread on 1 connection"), "{text}");
    assert!(text.contains("left out"), "{text}");
}

#[test]
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

#[test]
fn bad_arguments_are_refused_by_name_and_with_a_remedy() {
    let directory = tempfile::tempdir().unwrap();
    let nowhere = directory.path().join("missing").join("demo.db").display().to_string();
    for (args, said) in [
        (["--max-size", "0"], ["--max-size", "from 1 to 100"]),
        (["--max-size", "ten"], ["--max-size", "from 1 to 100"]),
        (["--threads", "0"], ["--threads", "from 1 to 1000"]),
        (["--hold", "-1"], ["--hold", "from 0 to 10000"]),
        (["--url", "oracle://me:secret@host/db"], ["--url", "sqlite:PATH"]),
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

#[test]
fn the_quick_start_of_the_readme_runs() {
    let output = Command::new(env!("CARGO_BIN_EXE_quick_start")).output().unwrap();
    assert_eq!(succeeded(&output), "Ben has 80.\n");
}

fn demo(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_demo")).args(args).output().expect("the demo was built along with this test")
}

/// What a program that ended well printed.
fn succeeded(output: &Output) -> String {
    let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{text}\n{errors}", output.status);
    assert!(errors.is_empty(), "{errors}");
    text.into_owned()
}
