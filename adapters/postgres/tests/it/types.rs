//! User-defined types that change under connections that have cached them.

use crate::fixture::{Server, builder, on_server};
use cabrank_postgres::cabrank::RunError;
use cabrank_postgres::postgres::types::{FromSql, Kind, Type};
use cabrank_postgres::postgres::{Error, NoTls};
use cabrank_postgres::{Pool, PostgresManager};
use cabrank_testing::eventually;
use std::error::Error as StdError;

/// The driver's view of a type: the names of its fields, or its values.
#[derive(Debug)]
struct Shape(Vec<String>);

impl<'a> FromSql<'a> for Shape {
    fn from_sql(ty: &Type, _: &'a [u8]) -> Result<Self, Box<dyn StdError + Sync + Send>> {
        Ok(Self(names(ty)))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// Of a program built for the type as it is after the migration: like derived code, it accepts no other.
#[derive(Debug)]
struct New;

impl<'a> FromSql<'a> for New {
    fn from_sql(_: &Type, _: &'a [u8]) -> Result<Self, Box<dyn StdError + Sync + Send>> {
        Ok(Self)
    }

    fn accepts(ty: &Type) -> bool {
        names(ty).iter().any(|name| name == "new")
    }
}

fn names(ty: &Type) -> Vec<String> {
    match ty.kind() {
        Kind::Composite(fields) => fields.iter().map(|field| field.name().to_owned()).collect(),
        Kind::Enum(values) => values.clone(),
        _ => Vec::new(),
    }
}

/// A type, its value, its definition, and the change that adds another part, called `new`.
const TYPES: &[(&str, &str, &str)] = &[
    ("CREATE TYPE altered AS (old int)", "ROW(1)", "ALTER TYPE altered ADD ATTRIBUTE new int"),
    ("CREATE TYPE altered AS (old int)", "ROW(1)", "ALTER TYPE altered RENAME ATTRIBUTE old TO new"),
    ("CREATE TYPE altered AS ENUM ('old')", "'old'", "ALTER TYPE altered ADD VALUE 'new'"),
    ("CREATE TYPE altered AS ENUM ('old')", "'old'", "ALTER TYPE altered RENAME VALUE 'old' TO 'new'"),
];

/// Runs SQL in a schema of this test, so that tests can run in parallel.
fn execute(server: &Server, schema: &str, sql: &str) {
    let sql = format!("SET search_path = {schema}; {sql}");
    server.client().batch_execute(&sql).unwrap_or_else(|error| panic!("{sql}: {error:?}"));
}

fn pool_on_new_type(server: &Server, schema: &str, create: &str, value: &str) -> Pool {
    let clear = format!("DROP SCHEMA IF EXISTS {schema} CASCADE; CREATE SCHEMA {schema}");
    server.client().batch_execute(&clear).expect("a schema");
    let table = format!("{create}; CREATE TABLE altered_table (a altered); INSERT INTO altered_table VALUES ({value})");
    execute(server, schema, &table);
    let mut config = server.config.clone();
    config.options(&format!("-c search_path={schema}"));
    builder().max_size(1).build(PostgresManager::new(config, NoTls)).expect("a pool")
}

/// Reads the value, by a cached statement and by one that is not cached.
fn read<T: for<'a> FromSql<'a>>(pool: &Pool) -> Result<[T; 2], RunError<Error, Error>> {
    pool.run(|conn| -> Result<_, Error> {
        let kept = conn.prepare_cached(SELECT)?;
        let of_kept = conn.query_one(&kept, &[])?.try_get(0)?;
        Ok([of_kept, conn.query_one(SELECT, &[])?.try_get(0)?])
    })
}

const SELECT: &str = "SELECT a FROM altered_table";

fn a_value_that_fits_no_type_has_the_types_learnt_anew(server: Server) {
    for &(create, value, alter) in TYPES {
        let pool = pool_on_new_type(&server, "altered_alone", create, value);
        read::<Shape>(&pool).expect("a value");
        execute(&server, "altered_alone", alter);
        eventually("the change is noticed", || read::<New>(&pool).is_ok());
        assert_eq!(pool.stats().opened, 1, "{alter}");
    }
}

/// The server may notice the rest of the migration.
fn types_are_learnt_anew_with_the_statements(server: Server) {
    for &(create, value, alter) in TYPES {
        let pool = pool_on_new_type(&server, "altered_with_a_table", create, value);
        let shapes = |sql: &str| {
            let outcome = pool.transaction().retries(1).run(|tx| -> Result<Vec<Shape>, Error> {
                let kept = tx.prepare_cached(sql)?;
                Ok(vec![tx.query_one(&kept, &[])?.try_get(0)?, tx.query_one(SELECT, &[])?.try_get(0)?])
            });
            outcome.unwrap_or_else(|error| panic!("{alter}: {error:?}"))
        };
        let all = "SELECT * FROM altered_table";
        shapes(all);
        let migration = format!("{alter}; ALTER TABLE altered_table ADD COLUMN b int");
        execute(&server, "altered_with_a_table", &migration);
        for shape in shapes(all) {
            assert!(shape.0.iter().any(|name| name == "new"), "{alter}: {shape:?}");
        }
        assert_eq!(pool.stats().opened, 1, "{alter}");
    }
}

cabrank_testing::tests! {
    on_server:
        a_value_that_fits_no_type_has_the_types_learnt_anew,
        types_are_learnt_anew_with_the_statements,
}
