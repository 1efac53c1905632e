//! Settings from files and from the environment, for all programs.

use crate::program::succeeded;
use cabrank_testing::harness::alone;
use std::fs;
use std::process::{Command, Output};

fn every_program_takes_its_settings_from_the_environment() {
    for (program, setting, value, said) in [
        (
            env!("CARGO_BIN_EXE_demo"),
            "MAX_SIZES",
            "3",
            "DB_POOL_MAX_SIZES: unknown setting; did you mean DB_POOL_MAX_SIZE?",
        ),
        (env!("CARGO_BIN_EXE_web"), "MAX_SIZE", "many", "DB_POOL_MAX_SIZE: "),
        (env!("CARGO_BIN_EXE_quick_start"), "ACQUIRE_TIMEOUT", "30", "DB_POOL_ACQUIRE_TIMEOUT: "),
        (env!("CARGO_BIN_EXE_queries"), "MIN_IDLE", "11", "DB_POOL_MIN_IDLE: "),
        (env!("CARGO_BIN_EXE_transactions"), "MAX_SIZE", "0", "DB_POOL_MAX_SIZE: "),
        (env!("CARGO_BIN_EXE_database_service"), "SESSION_POLICY", "sometimes", "DB_POOL_SESSION_POLICY: "),
        (env!("CARGO_BIN_EXE_expiring_credentials"), "BACKOFF", "1s", "DB_POOL_BACKOFF: "),
        (env!("CARGO_BIN_EXE_settings"), "MAX_LIFETIME", "15", "DB_POOL_MAX_LIFETIME: "),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let variable = format!("DB_POOL_{setting}");
        let output = Command::new(program).current_dir(folder.path()).env(variable, value).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && text.contains(said), "{program}: no {said:?} in: {text}");
        assert!(!text.contains("panicked"), "{text}");
    }
}

fn an_argument_of_the_demo_wins_over_the_environment() {
    let demo = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_demo"));
        command.args(["--threads", "6", "--hold", "1"]).args(arguments).env("DB_POOL_MAX_SIZE", "3");
        succeeded(&command.output().unwrap())
    };
    assert!(demo(&[]).contains("6 threads on 3 connections"));
    assert!(demo(&["--max-size", "2"]).contains("6 threads on 2 connections"));
}

fn a_file_and_the_environment_over_it_are_read_by_figment_and_by_config() {
    for reader in ["figment", "config"] {
        let text = succeeded(&settings(reader, &[], &[]));
        assert!(text.starts_with("at most 4 connections, at least 1 kept ready\n"), "{text}");
        assert!(text.contains("a request waits at most 900ms, a connection lives at most 900s"), "{text}");

        let variables = [
            ("SHOP_DATABASE__POOL__MAX_SIZE", "9"),
            ("SHOP_DATABASE__POOL__ACQUIRE_TIMEOUT", "250ms"),
            ("DB_POOL_MIN_IDLE", "2"),
        ];
        let text = succeeded(&settings(reader, &variables, &[]));
        assert!(
            text.starts_with("at most 9 connections, at least 2 kept ready\na request waits at most 250ms"),
            "{text}"
        );
        assert!(text.contains("warning: connect_timeout: 500ms is longer than acquire_timeout"), "{text}");
    }
}

fn what_is_wrong_in_a_file_is_told_at_once_and_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bad.toml");
    let pool = "max_sizes = 4\nacquire_timeout = 30\nidle_timeout = \"10 minutes\"\n";
    fs::write(&file, format!("[database]\nfile = \"shop.db\"\n[database.pool]\n{pool}")).unwrap();
    for reader in ["figment", "config"] {
        let output = settings(reader, &[], &["--file", file.to_str().unwrap()]);
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{text}");
        for said in ["max_sizes: unknown setting; did you mean max_size?", "acquire_timeout: ", "database.pool"] {
            assert!(text.contains(said), "{reader}: no {said:?} in: {text}");
        }
    }
}

fn what_a_new_file_would_change_is_told_before_it_is_used() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("new.toml");
    fs::write(&file, "[database]\nfile = \"shop.db\"\n[database.pool]\nmax_size = 20\nmax_lifetime = \"1h\"\n")
        .unwrap();
    for reader in ["figment", "config"] {
        let text = succeeded(&settings(reader, &[], &["--compare", file.to_str().unwrap()]));
        let changes: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("would change: ")).collect();
        assert_eq!(changes, ["max_size: 4 -> 20", "max_lifetime: 15m -> 1h (needs a restart)"], "{text}");
    }
}

fn settings(reader: &str, variables: &[(&str, &str)], arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_settings"));
    command.args(["--with", reader]).args(arguments).envs(variables.iter().copied()).output().unwrap()
}

cabrank_testing::tests! {
    alone:
        every_program_takes_its_settings_from_the_environment,
        an_argument_of_the_demo_wins_over_the_environment,
        a_file_and_the_environment_over_it_are_read_by_figment_and_by_config,
        what_is_wrong_in_a_file_is_told_at_once_and_with_its_place,
        what_a_new_file_would_change_is_told_before_it_is_used,
}
