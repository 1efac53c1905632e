//! The examples that run to their end and print their results.

use crate::place::{Engine, Place, on_each_engine};
use crate::program::{printed, printed_by};

fn queries_gives_typed_rows_and_errors_and_leaves_nothing_to_the_next_borrower(place: &mut Place) {
    let text = printed(env!("CARGO_BIN_EXE_queries"), place);
    let gone = match place.engine {
        Engine::Sqlite => "the next loan has no temporary table (expected): the closure failed: no such table: city",
        Engine::Postgres => {
            "the next loan has no temporary table (expected): the closure failed: db error: ERROR: relation \"city\" does not exist"
        }
        _ => "the next loan has no temporary table (expected): the closure failed: MySqlError { ERROR 1146",
    };
    let large = r#"cities with over 100,000 people: [City { name: "Bern", people: 134000 }, City { name: "Basel", people: 173000 }]"#;
    assert_lines(
        &text,
        &[large, "people of Atlantis, which has no row: None", "a second Bern: refused by the primary key", gone],
    );
    place.assert_empty();
}

fn transactions_loses_no_payment_and_writes_nothing_where_it_only_reads(place: &mut Place) {
    let text = printed(env!("CARGO_BIN_EXE_transactions"), place);
    let why = match place.engine {
        Engine::Sqlite => "attempt to write a readonly database",
        Engine::Postgres => "db error: ERROR: cannot execute DELETE",
        _ => "MySqlError { ERROR 1792",
    };
    let rolled_back = "the closure failed, and its transaction was rolled back";
    let refused = format!("a write in a read-only transaction fails (expected): {rolled_back}: {why}");
    assert_lines(
        &text,
        &[
            r#"a transfer of 30 from Ada to Ben commits: [("Ada", 70), ("Ben", 80)]"#,
            &format!("a transfer of 1000 from Ben to Ada fails (expected): {rolled_back}: Ben has only 80"),
            r#"it has changed nothing: [("Ada", 70), ("Ben", 80)]"#,
            "two conflicting transfers of 5 both commit, in ",
            &refused,
        ],
    );
    let lines: Vec<_> = text.lines().map(numbers).collect();
    let [5, attempts, 60, 90] = lines[3][..] else { panic!("a payment was lost: {text}") };
    assert!(attempts >= 3, "one of the two was run again: {text}");
    place.assert_empty();
}

fn database_service_serves_eight_threads_and_nobody_once_it_is_closed(place: &mut Place) {
    let text = printed(env!("CARGO_BIN_EXE_database_service"), place);
    let statements = if matches!(place.engine, Engine::Mysql | Engine::Mariadb) { 4 } else { 3 };
    let loans = 8 * 10 + statements;
    assert_lines(
        &text,
        &[
            "pieces sold by 8 threads: 80",
            "pieces left on the shelf: 20",
            "connections: ",
            &format!("loans: {loans}, returned: {loans}"),
            "the pool is closed: 0 connections and 0 threads left",
            "one more query fails: the pool is closed",
        ],
    );
    assert!(text.contains(" open of at most 4, 0 in use\n"), "{text}");
    place.assert_empty();
}

fn expiring_credentials_goes_on_while_the_token_changes(place: &mut Place) {
    let (process, text) = printed_by(env!("CARGO_BIN_EXE_expiring_credentials"), place);
    let first = match place.engine {
        Engine::Sqlite => "the first token is not refused: plain SQLite has no keys",
        Engine::Postgres => "the first token is refused: db error: FATAL: password authentication failed",
        _ => "the first token is refused: MySqlError { ERROR 1045",
    };
    assert_lines(
        &text,
        &[
            "connections opened with each token, the oldest first: [",
            "queries answered while the token changed: 400 of 400",
            "connections opened with each token, the oldest first: [",
            "old connections closed, as evicted: ",
            "the pool is closed: 0 connections and 0 threads left",
            first,
        ],
    );
    // Two each, and more if the machine is so busy that the pool assumes a connection to be dead.
    let lines: Vec<_> = text.lines().map(numbers).collect();
    assert!(lines[0][0] >= 2 && lines[2][0] >= 2 && lines[2][1] >= 2, "each token was used: {text}");
    assert!(lines[3][0] >= 1, "the old connections were closed: {text}");

    let user = format!("'cabrank_example_{process}'");
    let users = match place.engine {
        Engine::Sqlite => "SELECT 0".to_owned(),
        Engine::Postgres => format!("SELECT count(*) FROM pg_roles WHERE rolname = {user}"),
        _ => format!("SELECT count(*) FROM mysql.user WHERE user = {user}"),
    };
    assert_eq!(place.observer().numbers(&users), [0], "the user is gone");
    place.assert_empty();
}

/// Requires these lines and no others, each with this beginning.
fn assert_lines(text: &str, beginnings: &[&str]) {
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), beginnings.len(), "{text}");
    for (line, beginning) in lines.iter().zip(beginnings) {
        assert!(line.starts_with(beginning), "no {beginning:?} in its place in:\n{text}");
    }
}

/// The whole numbers in a line.
fn numbers(line: &str) -> Vec<u32> {
    line.split(|c: char| !c.is_alphanumeric()).filter_map(|word| word.parse().ok()).collect()
}

cabrank_testing::tests! {
    on_each_engine:
        queries_gives_typed_rows_and_errors_and_leaves_nothing_to_the_next_borrower,
        transactions_loses_no_payment_and_writes_nothing_where_it_only_reads,
        database_service_serves_eight_threads_and_nobody_once_it_is_closed,
        expiring_credentials_goes_on_while_the_token_changes,
}
