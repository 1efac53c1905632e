//! The scanner of MySQL's SQL: no text has it panic or take long, and what it takes for harmless is, on MySQL and on MariaDB.
//!
//! For the last each text runs on a server, in a loan of its own; the next loan then looks whether the session is as a new one. So
//! the resets are tried too.

#![allow(dead_code, unused_imports, reason = "the adapter's own sources, of which the scanner is looked at")]

#[path = "../../../adapters/mysql/src/sql/mod.rs"]
mod sql;

use anyhow::{Context, Result, ensure};
use cabrank_mysql::mysql::prelude::Queryable;
use cabrank_mysql::mysql::{Opts, OptsBuilder, Row};
use cabrank_mysql::{Connection, MySqlManager, Pool};
use fuzz::{Campaign, Grammar, Texts, scan};
use std::env;

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
    include_str!("../../corpus/mysql_schema.sql").lines().try_for_each(|line| outside.query_drop(line))?;
    let pool = Pool::builder().max_size(1).build(MySqlManager::new(opts.db_name(Some("cabrank_fuzz"))))?;
    let as_new = fingerprint(&mut *pool.get()?);

    let mut campaign = Campaign::begin(&format!("mysql_sql, on the server of {variable}"))?;
    let mut texts = Texts::new(GRAMMAR, campaign.rng());
    let (mut ran, mut spared) = (0_u64, 0_u64);
    while campaign.goes_on() {
        let text = texts.next_text();
        let mut conn = pool.get().with_context(|| text.clone())?;
        let did = conn.query_drop(&text).is_ok();
        let (id, resets) = (conn.connection_id(), pool.stats().resets_done);
        drop(conn);
        let mut conn = pool.get().with_context(|| text.clone())?;
        let kept = conn.connection_id() == id && pool.stats().resets_done == resets;
        ran += u64::from(did);
        spared += u64::from(kept && did);
        // A mutation may have made a table of this name that is no temporary one.
        outside.query_drop("DROP TABLE IF EXISTS cabrank_fuzz.fuzz_leak")?;
        let found = fingerprint(&mut conn);
        ensure!(found == as_new, "taken for {}: {text}\n{as_new:?}\n{found:?}", if kept { "clean" } else { "reset" });
    }
    println!("{ran} ran without an error, and of these {spared} were taken for harmless");
    campaign.end();
    outside.query_drop("DROP DATABASE cabrank_fuzz")?;
    Ok(())
}

/// All that a holder may leave in a session, as far as the grammar has it: each question's answer, or its error.
fn fingerprint(conn: &mut Connection) -> Vec<String> {
    QUESTIONS.iter().map(|question| format!("{:?}", conn.query::<Row, _>(question))).collect()
}

const QUESTIONS: &[&str] = &[
    "SELECT LAST_INSERT_ID(), @@warning_count, @a, @b, DATABASE(), @@sql_mode, @@autocommit, @@time_zone, @@character_set_client, \
        @@collation_connection, @@foreign_key_checks, @@unique_checks, @@sql_select_limit, @@group_concat_max_len, @@insert_id, \
        IS_FREE_LOCK('fuzz')",
    "SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_mysql_thread_id = CONNECTION_ID()",
    "SELECT 1 FROM fuzz_leak",
    "EXECUTE fuzz_p",
    "HANDLER t READ FIRST",
];

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
};
