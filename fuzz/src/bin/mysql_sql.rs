//! The scanner of MySQL's SQL: no text makes it panic or take long, and texts that it calls harmless are harmless on MySQL and on
//! MariaDB.
//!
//! For the latter each text runs on a server, in its own loan; the next loan then compares the session with a new one. This also tests
//! the resets.

#![allow(dead_code, unused_imports, reason = "the adapter's own sources, of which the scanner is looked at")]

#[path = "../../../adapters/mysql/src/sql/mod.rs"]
mod sql;

use anyhow::{Context, Result, ensure};
use cabrank_mysql::mysql;
use cabrank_mysql::mysql::prelude::Queryable;
use cabrank_mysql::mysql::{Error, Opts, OptsBuilder, Row};
use cabrank_mysql::{Connection, MySqlManager, Pool};
use fuzz::{Campaign, Grammar, Tally, Texts, scan};
use std::{env, process};

fn main() -> Result<()> {
    scan("mysql_sql, scanned", GRAMMAR, |text| _ = sql::effect(&String::from_utf8_lossy(text)))?;
    for variable in ["CABRANK_MYSQL_URL", "CABRANK_MARIADB_URL"] {
        match env::var(variable) {
            Ok(url) => differ(variable, &url)?,
            Err(_) => println!("NOT TRIED on a server: {variable} is not set"),
        }
    }
    Ok(())
}

fn differ(variable: &str, url: &str) -> Result<()> {
    let opts = OptsBuilder::from_opts(Opts::from_url(url)?).prefer_socket(false);
    let mut outside = MySqlManager::new(opts.clone()).open()?;
    // Other fuzzers may use the same server.
    let schema = format!("cabrank_fuzz_{}", process::id());
    let named = |text: &str| text.replace("cabrank_fuzz", &schema);
    named(include_str!("../../corpus/mysql_schema.sql")).lines().try_for_each(|line| outside.query_drop(line))?;
    let manager = || MySqlManager::new(opts.clone().db_name(Some(&schema)));
    let pool = Pool::builder().max_size(1).on_open(|conn, _| conn.query_drop(SOWN)).build(manager())?;
    let as_new = fingerprint(&mut *pool.get()?);
    let soils = SOILS.iter().filter(|soil| variable == "CABRANK_MYSQL_URL" || !MYSQL_SEES.contains(soil));
    for soil in soils.chain(&[""]) {
        let mut conn = manager().open()?;
        conn.query_drop(SOWN)?;
        conn.query_drop(if soil.is_empty() { "SELECT 1" } else { soil })?;
        let found = fingerprint(&mut conn);
        ensure!(
            (found == as_new) == soil.is_empty(),
            "the fingerprint misjudges {soil:?}: {:?}",
            differing(&as_new, &found)
        );
    }

    let mut campaign = Campaign::begin(&format!("mysql_sql, on the server of {variable}"))?;
    let mut texts = Texts::new(GRAMMAR, campaign.rng());
    let mut tally = Tally::default();
    while campaign.goes_on() {
        let text = texts.next_for_server(|text| sql::effect(text) == sql::Effect::None);
        let text = named(&text);
        if variable == "CABRANK_MARIADB_URL" && calls_interval(&text) {
            continue;
        }
        let mut conn = pool.get().with_context(|| text.clone())?;
        let answer = conn.query_drop(&text);
        if texts.called().is_some() && matches!(&answer, Err(Error::MySqlError(error)) if NO_CALL.contains(&error.code))
        {
            continue; // Nothing was executed.
        }
        let did = answer.is_ok();
        let (id, resets) = (conn.connection_id(), pool.stats().resets_done);
        drop(conn);
        let mut conn = pool.get().with_context(|| text.clone())?;
        let kept = conn.connection_id() == id && pool.stats().resets_done == resets;
        tally.count(texts.called(), did, kept);
        if text.to_ascii_lowercase().contains("fuzz_leak") {
            // A mutation may have created a table with this name that is not temporary.
            outside.query_drop(named("DROP TABLE IF EXISTS cabrank_fuzz.fuzz_leak"))?;
        }
        let found = fingerprint(&mut conn);
        let as_if = if kept { "clean" } else { "reset" };
        ensure!(found == as_new, "taken for {as_if}: {text}\n{:?}", differing(&as_new, &found));
    }
    campaign.end();
    tally.end()?;
    outside.query_drop(named("DROP DATABASE cabrank_fuzz"))?;
    Ok(())
}

/// MariaDB 11.8.9 crashes at `UPDATE t SET b = 'x' WHERE INTERVAL(sets(1) DIV 0, 1)`, where the first argument is the NULL of a stored
/// function. The unit `INTERVAL 1 DAY` is another matter.
fn calls_interval(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    text.split("interval").skip(1).any(|rest| rest.trim_start().starts_with(['(', '*', '/', '-', '#']))
}

/// `ER_PARSE_ERROR` and `ER_WRONG_PARAMCOUNT_TO_NATIVE_FCT`.
const NO_CALL: &[u16] = &[1064, 1582];

/// The state that a holder may leave in a session, as far as the grammar covers it: each query's answer, or its error.
fn fingerprint(conn: &mut Connection) -> Vec<String> {
    QUESTIONS.iter().map(|question| answer(conn.query(question))).collect()
}

/// In full: the driver's own way to print a row truncates values.
fn answer(rows: mysql::Result<Vec<Row>>) -> String {
    match rows {
        Ok(rows) => rows
            .into_iter()
            .map(|row| row.unwrap().iter().map(|value| value.as_sql(true) + ", ").collect::<String>() + "; ")
            .collect(),
        Err(error) => error.to_string(),
    }
}

/// The answers that differ.
fn differing<'a>(one: &'a [String], other: &'a [String]) -> Vec<(&'a str, &'a str)> {
    one.iter()
        .zip(other)
        .filter(|(one, other)| one != other)
        .map(|(one, other)| (one.as_str(), other.as_str()))
        .collect()
}

/// Afterwards `RAND()` returns the same in each session. The seed cannot be read.
const SOWN: &str = "SET rand_seed1 = 5, rand_seed2 = 7";

/// In this order: later queries may remove what earlier ones show.
const QUESTIONS: &[&str] = &[
    "SELECT LAST_INSERT_ID(), @@warning_count, @a, @b, DATABASE(), @@insert_id, IS_FREE_LOCK('fuzz'), RAND()",
    // An error unless a transaction is open.
    "SAVEPOINT fuzz_s",
    "ROLLBACK TO SAVEPOINT fuzz_s",
    "SELECT 1 FROM fuzz_leak LIMIT 0",
    "DEALLOCATE PREPARE fuzz_p",
    "HANDLER t READ FIRST",
    // The settings for the next transaction only: read-only or not, and the isolation level, which only MySQL shows.
    "START TRANSACTION",
    "UPDATE t SET a = a WHERE a = -1",
    "SELECT isolation_level FROM performance_schema.events_transactions_current WHERE thread_id = PS_CURRENT_THREAD_ID()",
    "ROLLBACK",
    // All variables: the user's by name, and the session's as one number; each on MySQL and on MariaDB.
    "SELECT variable_name FROM performance_schema.user_variables_by_thread WHERE thread_id = PS_CURRENT_THREAD_ID() ORDER BY 1",
    "SELECT variable_name FROM information_schema.user_variables ORDER BY 1",
    "SELECT BIT_XOR(CRC32(CONCAT(variable_name, '=', variable_value))) FROM performance_schema.session_variables \
        WHERE variable_name NOT IN ('pseudo_thread_id', 'statement_id', 'timestamp') AND variable_name NOT LIKE 'gtid%'",
    "SELECT BIT_XOR(CRC32(CONCAT(variable_name, '=', variable_value))) FROM information_schema.session_variables \
        WHERE variable_name NOT IN ('pseudo_thread_id', 'statement_id', 'timestamp') AND variable_name NOT LIKE 'gtid%'",
];

/// Each of these must show in the fingerprint.
const SOILS: &[&str] = &[
    "SET @c = 1",
    "SELECT 1 INTO @d",
    "SELECT LAST_INSERT_ID(5)",
    "INSERT INTO n (b) VALUES ('x')",
    "SELECT RAND()",
    "SELECT GET_LOCK('fuzz', 0)",
    "BEGIN",
    "SET autocommit = 0",
    "SET sql_mode = ''",
    "SET sort_buffer_size = 40000",
    "SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE",
    "SET SESSION TRANSACTION READ ONLY",
    "SET TRANSACTION READ ONLY",
    "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",
    "SET insert_id = 5",
    "USE mysql",
    "CREATE TEMPORARY TABLE fuzz_leak (i INT)",
    "PREPARE fuzz_p FROM 'SELECT 1'",
    "HANDLER t OPEN",
    "LOCK TABLES t WRITE",
];

/// MariaDB does not show the isolation level of a transaction under way.
const MYSQL_SEES: &[&str] = &["SET TRANSACTION ISOLATION LEVEL SERIALIZABLE"];

const GRAMMAR: Grammar = Grammar {
    rules: &[
        (
            "statement",
            &[
                "SELECT @items FROM @from WHERE @expr GROUP BY a ORDER BY @expr LIMIT 3",
                "INSERT INTO t ( a ) VALUES ( @expr ) ON DUPLICATE KEY UPDATE a = @expr",
                "INSERT INTO n ( b ) VALUES ( @expr )",
                "INSERT IGNORE INTO t ( a ) @statement",
                "UPDATE t SET b = @expr WHERE @expr",
                "REPLACE INTO t ( a ) VALUES ( @expr )",
                "@statement UNION @statement",
                "SELECT @expr INTO @a",
                "SELECT @expr INTO @name",
                "SELECT SQL_CALC_FOUND_ROWS @items FROM @from LIMIT 1",
                "SET @a = @expr",
                "SET SESSION @setting",
                "SET STATEMENT @setting FOR @statement",
                "CREATE TEMPORARY TABLE fuzz_leak ( i INT )",
                "CREATE TEMPORARY TABLE fuzz_leak AS @statement",
                "PREPARE fuzz_p FROM 'SELECT 1'",
                "BEGIN",
                "DO @expr",
                "CALL soils ( )",
                "HANDLER t OPEN",
                "@statement FOR UPDATE",
                "TABLE t",
                "VALUES ROW( @expr )",
            ],
        ),
        ("from", &["n", "t JOIN n ON @expr", "cabrank_fuzz . t"]),
        ("expr", &["CAST( @expr AS CHAR )", "INTERVAL( @expr , 1 )", "@comment", "{d '2020-01-01'}", "@expr DIV 0"]),
        (
            "call",
            &[
                "UPPER( 'x' )",
                "@function( @expr )",
                "@function( )",
                "@function( @expr , @expr )",
                "cabrank_fuzz . @function( 1 )",
            ],
        ),
        (
            "soils",
            &[
                "GET_LOCK( 'fuzz' , 0 )",
                "LAST_INSERT_ID( 5 )",
                "sets( 1 )",
                "`sets`( 1 )",
                "@a := 1",
                "( @a := 1 )",
                "@`b` := 1",
                "@@insert_id",
                "@@session . sql_mode",
            ],
        ),
        (
            "function",
            &[
                "ABS",
                "UPPER",
                "`upper`",
                "COUNT",
                "`count`",
                "COALESCE",
                "NOW",
                "MAX",
                "sets",
                "`sets`",
                "VALUES",
                "`values`",
                "`where`",
                "`in`",
                "IF",
                "GET_LOCK",
                "CONCAT",
                "\"sets\"",
                "'sets'",
                "SLEEP0",
                "RAND",
                "UUID_SHORT",
                "FOUND_ROWS",
                "IN",
                "WHERE",
                "AND",
            ],
        ),
        ("name", &["x", "`x`", "`a``b`", "über", "a$b", "`upper`", "1e", "0x", "_utf8mb4"]),
        (
            "setting",
            &[
                "sql_mode = 'ANSI_QUOTES'",
                "autocommit = 0",
                "time_zone = '+01:00'",
                "NAMES latin1",
                "insert_id = 5",
                "unique_checks = 0",
                "rand_seed1 = 1",
                "TRANSACTION ISOLATION LEVEL SERIALIZABLE",
                "TRANSACTION READ ONLY",
            ],
        ),
        (
            "text",
            &[
                "'it''s'",
                "'it\\'s'",
                "\"it\"\"s\"",
                "\"\\\"\"",
                "_latin1'x'",
                "N'x'",
                "x'0a'",
                "b'1'",
                "'\\'",
                "\"@a := 1\"",
                "`a`",
                "'a' 'b'",
                "1.5e3",
                ".5",
                "0xff",
            ],
        ),
        (
            "comment",
            &[
                "/*! @a := 1 , */ 1",
                "/*!99999 @a := 1 , */ 1",
                "/*M! @a := 1 , */ 1",
                "/*M!100100 sets( 1 ) + */ 1",
                "/*+ MAX_EXECUTION_TIME(1000) */ 1",
                "/* @a := 1 */ 1",
                "1 # @a := 1",
                "1 -- @a := 1",
                "1 --@a",
                "/*/ */ 1",
            ],
        ),
    ],
    gaps: &[
        "\n",
        "\t",
        "\r",
        "\u{c}",
        "\u{b}",
        "\u{a0}",
        "/* ' */",
        "/* \" */",
        "-- it's\n",
        "#'\n",
        "--\n",
        "/**/",
        "  ",
        "\u{0}",
        "'",
        "`",
    ],
    corpus: include_str!("../../corpus/mysql.sql"),
    functions: sql::FUNCTIONS,
    arguments: include_str!("../../corpus/mysql_arguments.txt"),
};
