//! The cases on the pool of this repository: what it promises to users. `docs/diesel.md` has the figures beside those of r2d2.

use cabrank_testing::harness::{alone, skip};
use cabrank_testing::servers::{Engine, url};
use diesel::connection::{AnsiTransactionManager, SimpleConnection, TransactionManager};
use diesel::dsl::sql;
use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::r2d2::cabrank::SessionState;
use diesel::r2d2::{ConnectionManager, Pool, R2D2Connection};
use diesel::sql_types::Text;
use std::collections::BTreeMap;
use std::error::Error;
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    cabrank_testing::harness::run([tests()])
}

type Metrics = BTreeMap<String, f64>;

fn server() -> String {
    if !Engine::Postgres.is_chosen() {
        skip("CABRANK_ENGINE is not postgres".to_owned());
    }
    url(&Engine::Postgres.url_variable()).unwrap_or_else(|why| skip(why))
}

/// Runs a case in a separate process: some hang in the driver for longer than their measurement.
fn case(name: &str) -> Metrics {
    let output =
        Command::new(env!("CARGO_BIN_EXE_diesel-trouble")).args([&*server(), name]).output().expect("it starts");
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(output.status.success(), "{name}: {text}{}", String::from_utf8_lossy(&output.stderr));
    let metric = |line: &str| line.split_once(' ').map(|(name, value)| (name.to_owned(), value.parse().expect(line)));
    text.lines().filter_map(metric).collect()
}

/// Runs a case that stops and kills its own servers.
fn case_on_its_own_servers(name: &str) -> Metrics {
    let docker = Command::new("docker").args(["version", "--format", "{{.Server.Version}}"]).output();
    if !docker.is_ok_and(|docker| docker.status.success()) {
        skip("no Docker daemon answers, and no other server is ours to stop".to_owned());
    }
    case(name)
}

fn a_pool_costs_little_beside_a_query() {
    for (name, share) in [("speed_1", 0.7), ("speed_16", 0.5)] {
        let measured = case(name);
        // Allows for a busy machine; the benchmark has the real bound.
        assert!(measured["ops_per_s"] > share * measured["own_ops_per_s"], "{measured:?}");
    }
}

fn twelve_who_want_ten() {
    let measured = case("twelve_want_ten");
    assert_eq!((measured["timed_out"], measured["errors_that_name_the_holder"]), (2.0, 2.0), "{measured:?}");
    assert!((500.0..2500.0).contains(&measured["longest_wait_ms"]), "{measured:?}");
    assert_eq!(measured["all_served_afterwards"], 1.0);
}

fn nobody_starves_in_a_crowd() {
    let measured = case("crowd");
    assert!(measured["fewest_of_a_thread"] >= 0.5 * measured["most_of_a_thread"], "{measured:?}");
    assert!(measured["longest_wait_ms"] < 1500.0, "{measured:?}");
}

fn who_waits_is_served_in_the_order_of_arrival() {
    assert_eq!(case("in_order")["rounds_in_order"], 10.0);
}

fn one_waiter_too_many_is_refused_at_once() {
    let measured = case("one_too_many");
    assert_eq!((measured["refused"], measured["served_afterwards"]), (1.0, 1.0), "{measured:?}");
    // The waiting request has 500 ms.
    assert!(measured["wait_ms"] < 250.0, "{measured:?}");
}

fn a_get_within_a_loan_is_named() {
    let measured = case("get_within_a_loan");
    assert_eq!((measured["timed_out"], measured["error_names_it"]), (1.0, 1.0), "{measured:?}");
}

fn the_server_never_sees_more_sessions_than_max_size() {
    let measured = case("sessions");
    assert!((1.0..=4.0).contains(&measured["most_sessions"]) && measured["loans"] > 16.0, "{measured:?}");
}

fn a_transaction_of_diesels_does_not_reach_the_next() {
    assert_eq!(case("transaction_left")["the_next_is_in_it"], 0.0);
}

/// As with r2d2, whose managers do not see the session. If this fails, the drop-in has improved: correct its README.
fn a_transaction_by_plain_sql_does() {
    assert_eq!(case("raw_transaction_left")["the_next_is_in_it"], 1.0);
}

/// The cleaner in docs/diesel.md.
fn clean(conn: &mut PgConnection) -> Result<(), Box<dyn Error + Send + Sync>> {
    while conn.is_broken() {
        AnsiTransactionManager::rollback_transaction(conn)?;
    }
    Ok(conn.batch_execute(
        "BEGIN; ROLLBACK; RESET ALL; UNLISTEN *; SELECT pg_advisory_unlock_all(); \
         SET TIME ZONE 'UTC'; SET CLIENT_ENCODING TO 'UTF8'",
    )?)
}

fn a_cleaner_undoes_what_plain_sql_leaves_and_what_diesel_leaves() {
    let pool = Pool::builder().max_size(1).clean(|_| SessionState::Unknown, clean);
    let pool = pool.build(ConnectionManager::<PgConnection>::new(server())).expect("the server is there");
    let ask = |setting: &str| -> String {
        let conn = &mut pool.get().expect("it is served");
        diesel::select(sql::<Text>(&format!("current_setting('{setting}')"))).get_result(conn).expect("an answer")
    };
    pool.get().expect("it is served").batch_execute("BEGIN; SET statement_timeout = '7s'; SET TIME ZONE -3").unwrap();
    assert_eq!((ask("statement_timeout").as_str(), ask("timezone").as_str()), ("0", "UTC"));
    for nested in [1, 2] {
        let conn = &mut *pool.get().expect("it is served");
        (0..nested).for_each(|_| AnsiTransactionManager::begin_transaction(conn).expect("it begins"));
    }
    // Diesel's count is right too: otherwise this would be a savepoint outside of any transaction.
    let conn = &mut *pool.get().expect("it is served");
    conn.transaction(|conn| conn.batch_execute("SELECT 1")).expect("a transaction begins");
    assert_eq!(pool.cabrank().stats().opened, 1, "it is the same connection");
}

fn panics_cost_no_place() {
    assert_eq!(case("panic_in_a_loan")["served_afterwards"], 1.0);
    assert_eq!(case("panic_in_a_customizer")["served_afterwards"], 1.0);
}

fn killed_sessions_cost_their_own_queries_alone() {
    let measured = case("killed");
    assert!(measured["failed_gets"] == 0.0 && measured["failed_queries"] <= 8.0, "{measured:?}");
    assert!(measured["longest_gap_ms"] < 1000.0, "{measured:?}");
}

fn a_server_that_is_away_is_waited_for() {
    let measured = case("away");
    assert!(measured["failed_gets"] == 0.0 && measured["failed_queries"] <= 8.0, "{measured:?}");
    assert!(measured["first_success_ms"] < 1500.0, "{measured:?}");
}

fn a_server_that_goes_down_costs_each_connection_one_query() {
    for name in ["restarted", "crashed"] {
        let measured = case_on_its_own_servers(name);
        assert!(measured["failed_gets"] == 0.0 && measured["failed_queries"] <= 8.0, "{name}: {measured:?}");
        assert!(measured["first_success_ms"] < 2500.0, "{name}: {measured:?}");
    }
}

fn a_killed_primary_costs_each_connection_one_write() {
    let measured = case_on_its_own_servers("failover");
    assert!(measured["failed_gets"] == 0.0 && measured["failed_queries"] <= 8.0, "{measured:?}");
    assert!(measured["first_success_ms"] < 2500.0, "{measured:?}");
}

/// As with r2d2, whose managers check no role. If this fails, the drop-in has improved: correct docs/diesel.md.
fn a_primary_that_turns_read_only_keeps_its_sessions() {
    let measured = case_on_its_own_servers("read_only");
    assert_eq!((measured["failed_gets"], measured["served_afterwards"]), (0.0, 0.0), "{measured:?}");
    assert_eq!(measured["sessions_at_the_wrong_server"], 8.0, "{measured:?}");
}

fn an_error_names_why_nothing_can_be_opened() {
    let measured = case("refused");
    assert_eq!(measured["error_names_the_cause"], 1.0);
    assert!((1000.0..2500.0).contains(&measured["longest_wait_ms"]), "{measured:?}");
}

fn silence_holds_up_nobody_beyond_the_time_out() {
    let flows = case("silent_flows");
    assert_eq!((flows["failed_gets"], flows["gets_beyond_their_time_out"]), (0.0, 0.0), "{flows:?}");
    let log_in = case("silent_log_in");
    assert_eq!(log_in["failed_gets"], 1.0, "{log_in:?}");
    assert!((1000.0..2500.0).contains(&log_in["longest_wait_ms"]), "{log_in:?}");
}

fn a_stalled_flow_holds_up_neither_who_returns_nor_who_asks_nor_the_end_of_the_pool() {
    let measured = case("stalled");
    assert!(measured["return_ms"] < 250.0 && measured["drop_pool_ms"] < 250.0, "{measured:?}");
    assert!(measured["longest_wait_ms"] < 2500.0, "{measured:?}");
    assert_eq!((measured["served_afterwards"], measured["sessions_left"]), (1.0, 0.0), "{measured:?}");
}

fn all_who_wait_learn_of_a_wrong_password_and_the_right_one_is_found() {
    let measured = case("wrong_password");
    assert_eq!(measured["errors_that_name_the_cause"], 20.0, "{measured:?}");
    assert!(measured["longest_wait_ms"] < 3500.0 && measured["served_after_ms"] < 3500.0, "{measured:?}");
    assert!((1.0..=20.0).contains(&measured["log_ins"]), "{measured:?}");
}

cabrank_testing::tests! {
    alone: a_pool_costs_little_beside_a_query, twelve_who_want_ten, nobody_starves_in_a_crowd,
    who_waits_is_served_in_the_order_of_arrival, one_waiter_too_many_is_refused_at_once, a_get_within_a_loan_is_named,
    the_server_never_sees_more_sessions_than_max_size, a_transaction_of_diesels_does_not_reach_the_next,
    a_transaction_by_plain_sql_does, a_cleaner_undoes_what_plain_sql_leaves_and_what_diesel_leaves, panics_cost_no_place,
    killed_sessions_cost_their_own_queries_alone,
    a_server_that_is_away_is_waited_for, an_error_names_why_nothing_can_be_opened,
    a_server_that_goes_down_costs_each_connection_one_query, a_killed_primary_costs_each_connection_one_write,
    a_primary_that_turns_read_only_keeps_its_sessions, silence_holds_up_nobody_beyond_the_time_out,
    a_stalled_flow_holds_up_neither_who_returns_nor_who_asks_nor_the_end_of_the_pool,
    all_who_wait_learn_of_a_wrong_password_and_the_right_one_is_found;
}
