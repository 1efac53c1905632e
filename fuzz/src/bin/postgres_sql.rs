//! The scanner of PostgreSQL's SQL: no text makes it panic or take long, and texts that it calls harmless are harmless.
//!
//! For the latter each text runs on a server, in its own loan; the next loan then compares the session with a new one. This also tests
//! the resets.

#![allow(dead_code, unused_imports, reason = "the adapter's own sources, of which the scanner is looked at")]

#[path = "../../../adapters/postgres/src/sql/mod.rs"]
mod sql;

use anyhow::{Context, Result, ensure};
use cabrank_postgres::postgres::{Client, Config, Error, NoTls, SimpleQueryMessage};
use cabrank_postgres::{Pool, PostgresManager};
use fuzz::{Campaign, Grammar, Tally, Texts, scan};
use std::collections::HashSet;
use std::{env, process};

fn main() -> Result<()> {
    scan("postgres_sql, scanned", GRAMMAR, |text| _ = sql::effect(text))?;
    match env::var("CABRANK_POSTGRES_URL") {
        Ok(url) => differ(&url),
        Err(_) => {
            println!("NOT TRIED on a server: CABRANK_POSTGRES_URL is not set");
            Ok(())
        }
    }
}

fn differ(url: &str) -> Result<()> {
    let mut config: Config = url.parse()?;
    // Other fuzzers may use the same server.
    let schema = format!("cabrank_fuzz_{}", process::id());
    let named = |text: &str| text.replace("cabrank_fuzz", &schema);
    config.connect(NoTls)?.batch_execute(&named(SCHEMA))?;
    config
        .application_name("fuzz")
        .options(&named("-c statement_timeout=2s -c search_path=cabrank_fuzz -c log_min_messages=fatal"));
    let manager = PostgresManager::new(config.clone(), NoTls);
    let pool = Pool::builder().max_size(1).on_open(|conn, _| conn.client().batch_execute(SOWN)).build(manager)?;
    let reaped = reaped(&mut config.connect(NoTls)?)?;
    let as_new = fingerprint(pool.get()?.client(), &reaped)?;
    for soil in SOILS.iter().chain(HARMLESS) {
        let mut client = config.connect(NoTls)?;
        client.batch_execute(SOWN)?;
        client.batch_execute(soil)?;
        let found = fingerprint(&mut client, &reaped)?;
        ensure!(
            (found == as_new) == HARMLESS.contains(soil),
            "the fingerprint misjudges {soil}: {:?}",
            differing(&as_new, &found)
        );
    }

    let mut campaign = Campaign::begin("postgres_sql, on a server")?;
    let mut texts = Texts::new(GRAMMAR, campaign.rng());
    let mut tally = Tally::default();
    while campaign.goes_on() {
        let text = texts.next_for_server(|text| sql::effect(text.as_bytes()) < sql::Effect::Session);
        let text = named(&text);
        if text.contains('\0') || text.to_ascii_lowercase().contains("stdin") {
            continue; // The driver sends no zero byte, and cannot end such a COPY.
        }
        let mut conn = pool.get().with_context(|| text.clone())?;
        let answer = conn.simple_query(&text);
        if texts.called().is_some()
            && answer.as_ref().err().and_then(Error::code).is_some_and(|code| code.code().starts_with("42"))
        {
            continue; // There is no such function: nothing was executed.
        }
        let did = answer.is_ok();
        let pid = conn.backend_pid();
        let resets = pool.stats().resets_done;
        drop(conn);
        let mut conn = pool.get().with_context(|| text.clone())?;
        let kept = conn.backend_pid() == pid && pool.stats().resets_done == resets;
        tally.count(texts.called(), did, kept);
        let found = fingerprint(conn.client(), &reaped).with_context(|| text.clone())?;
        let as_if = if kept { "clean" } else { "reset" };
        ensure!(found == as_new, "taken for {as_if}: {text}\n{:?}", differing(&as_new, &found));
    }
    campaign.end();
    tally.end()?;
    config.connect(NoTls)?.batch_execute(&named("DROP SCHEMA cabrank_fuzz CASCADE"))?;
    Ok(())
}

/// The state that a holder may leave in a session, and whether the next random number belongs to the seed: a harmless text may take some
/// numbers, but not set another seed.
fn fingerprint(client: &mut Client, reaped: &HashSet<String>) -> Result<Vec<String>> {
    let mut lines = column(client, "SELECT line FROM fingerprint() line ORDER BY 1")?;
    let next = column(client, "SELECT pg_catalog.random()")?;
    lines.push(format!("random as sown: {}", next.iter().all(|number| reaped.contains(number))));
    Ok(lines)
}

/// The lines that only one of the two has.
fn differing<'a>(one: &'a [String], other: &'a [String]) -> Vec<&'a String> {
    one.iter().filter(|line| !other.contains(line)).chain(other.iter().filter(|line| !one.contains(line))).collect()
}

/// The seed's numbers: more than a text takes.
fn reaped(client: &mut Client) -> Result<HashSet<String>> {
    client.batch_execute(SOWN)?;
    let numbers = column(client, "SELECT pg_catalog.random() FROM pg_catalog.generate_series(1, 100000)")?;
    Ok(numbers.into_iter().collect())
}

fn column(client: &mut Client, question: &str) -> Result<Vec<String>> {
    let value = |message: &SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    };
    Ok(client.simple_query(question)?.iter().filter_map(value).collect())
}

const SOWN: &str = "SELECT pg_catalog.setseed(0.25)";

/// Each of these must show in the fingerprint.
const SOILS: &[&str] = &[
    "SELECT setseed(0.5)",
    "SET work_mem = '1MB'",
    "SET \"local\".x = 1",
    "SELECT pg_advisory_lock(7)",
    "SELECT nextval('s')",
    "CREATE TEMP TABLE leak AS SELECT 1",
    "PREPARE p AS SELECT 1",
    "LISTEN gossip",
    "DECLARE c CURSOR WITH HOLD FOR SELECT 1",
    "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
];

/// None of these may show.
const HARMLESS: &[&str] = &["SELECT 1", "SELECT random()"];

const SCHEMA: &str = include_str!("../../corpus/postgres_schema.sql");

const GRAMMAR: Grammar = Grammar {
    rules: &[
        (
            "statement",
            &[
                "SELECT @items FROM @from WHERE @expr GROUP BY a , @expr ORDER BY @expr",
                "INSERT INTO t ( a ) VALUES ( @expr ) ON CONFLICT DO NOTHING RETURNING @expr",
                "INSERT INTO t ( a ) @statement",
                "UPDATE t SET a = @expr WHERE @expr",
                "MERGE INTO t USING u ON @expr WHEN MATCHED AND @expr THEN DELETE",
                "VALUES ( @expr , @expr )",
                "COPY ( @statement ) TO STDOUT",
                "BEGIN ; @statement ; COMMIT",
                "EXPLAIN ANALYZE @statement",
                "SET LOCAL @setting",
                "BEGIN ; SET LOCAL @setting ; @statement",
                "SELECT @expr INTO TEMP @name FROM @from",
                "SELECT @expr @name INTO TEMP leak",
                "CREATE TEMP TABLE @name AS @statement",
                "DECLARE @name CURSOR WITH HOLD FOR @statement",
                "PREPARE @name AS @statement",
                "EXECUTE @name",
                "LISTEN @name",
                "DO $$ BEGIN PERFORM @expr ; END $$",
            ],
        ),
        ("from", &["u", "t JOIN u ON @expr", "t CROSS JOIN @call", "@call", "t , LATERAL @call"]),
        (
            "expr",
            &[
                "@expr :: @type",
                "cast ( @expr AS @type )",
                "ARRAY [ @expr ]",
                "$1",
                "count ( * ) FILTER ( WHERE @expr ) OVER ( PARTITION BY @expr )",
            ],
        ),
        ("call", &["lower ( 'X' )", "@schema . @function ( 1 )"]),
        (
            "soils",
            &[
                "set_config ( 'work_mem' , '1MB' , false )",
                "pg_advisory_lock ( 7 )",
                "nextval ( 's' )",
                "setseed ( 0.5 )",
                "sets ( 1 )",
                "\"Lower\" ( 1 )",
                "pg_catalog . set_config ( 'work_mem' , '1MB' , false )",
                "u . sets",
            ],
        ),
        (
            "function",
            &[
                "abs",
                "lower",
                "coalesce",
                "now",
                "max",
                "sets",
                "\"join\"",
                "join",
                "\"limit\"",
                "filter",
                "over",
                "\"over\"",
                "insert",
                "merge",
                "\"Lower\"",
                "\"abs\"",
                "conflict",
                "materialized",
                "stdout",
                "key",
                "value",
                "\"select\"",
                "\"where\"",
                "partition",
                "set",
                "like",
                "\"like\"",
                "escape",
                "lateral",
                "rows",
                "within",
                "copy",
                "local",
                "transaction",
            ],
        ),
        ("schema", &["pg_catalog", "cabrank_fuzz", "\"pg_catalog\"", "\"PG_CATALOG\"", "t", "PG_CATALOG"]),
        ("name", &["x", "leak", "merge", "insert", "local", "\"select\"", "\"a\"\"b\"", "join", "über", "a$b"]),
        (
            "setting",
            &[
                "work_mem = '1MB'",
                "local.x = 1",
                "\"local\" . x = 1",
                "transaction . x = 1",
                "TIME ZONE 'UTC'",
                "search_path TO pg_catalog",
                "ROLE postgres",
            ],
        ),
        ("type", &["int", "text", "varchar ( 3 )", "numeric ( 10 , 2 )", "pg_catalog . int4", "join ( 1 )"]),
        (
            "text",
            &[
                "'it''s'",
                "E'\\''",
                "$$ ' $$",
                "$a$ $b$ ' $a$",
                "U&'\\0061'",
                "'a\\'",
                "E'open\\'",
                "\"a\"",
                "x'0a'",
                "N'n'",
                "'a'\n'b'",
                "e'\\\\'",
                "$é$ ' $é$",
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
        "/* /* \" */ ' */",
        "-- it's\n",
        "-- x\r",
        "/**/",
        "/* $$ */",
        "--\n",
        "/*/**/*/",
        "  ",
        "$$",
        "'",
    ],
    corpus: include_str!("../../corpus/postgres.sql"),
    functions: sql::FUNCTIONS,
    arguments: include_str!("../../corpus/postgres_arguments.txt"),
};
