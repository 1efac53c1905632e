//! r2d2, with `r2d2_postgres`, `r2d2_mysql`, and a manager for SQLite that does what `r2d2_sqlite` does. The latter requires an older
//! rusqlite than cabrank, and a program can have only one SQLite. Unchecked means `test_on_check_out(false)`.

use super::stub::no_query;
use super::{INSERT_POSTGRES, Peer, READ_POSTGRES, ROW, Setup, Stub, Target, own};
use crate::load::{Failure, Query};
use crate::threads::{Blocking, InTurn, OnThreads};
use anyhow::{Result, bail};
use r2d2::{Builder, ManageConnection, Pool, PooledConnection};
use r2d2_mysql::MySqlConnectionManager;
use r2d2_postgres::PostgresConnectionManager;
use r2d2_postgres::postgres::NoTls;
use std::path::PathBuf;

pub fn build(setup: &Setup, checked: bool) -> Result<Box<dyn Peer>> {
    match &setup.target {
        Target::Stub(_) if !checked => bail!("a stub has nothing to check"),
        Target::Stub(stub) if setup.pools > 1 => {
            let pools = (0..setup.pools).map(|_| Pool::builder().max_size(setup.size).build(stub.clone()));
            Ok(Box::new(OnThreads { name: "r2d2", pool: InTurn::new(pools.collect::<Result<_, _>>()?) }))
        }
        Target::Stub(stub) => pool(setup, checked, stub.clone()),
        Target::Postgres(url) => pool(setup, checked, PostgresConnectionManager::new(url.parse()?, NoTls)),
        Target::Mysql(url) => pool(setup, checked, MySqlConnectionManager::new(own::mysql_opts(url)?)),
        Target::Sqlite(path) => pool(setup, checked, SqliteConnectionManager(path.into())),
    }
}

fn pool<M: Ask>(setup: &Setup, checked: bool, manager: M) -> Result<Box<dyn Peer>> {
    let builder = Pool::builder().max_size(setup.size).test_on_check_out(checked);
    let builder = setup.timeout.into_iter().fold(builder, Builder::connection_timeout);
    let pool = match setup.min_idle {
        // Opens nothing in advance beyond `min_idle`.
        Some(min_idle) => builder.min_idle(Some(min_idle)).build_unchecked(manager),
        None => builder.build(manager)?,
    };
    Ok(Box::new(OnThreads { name: if checked { "r2d2" } else { "r2d2_unchecked" }, pool }))
}

impl<M: Ask> Blocking for Pool<M> {
    type Loan = PooledConnection<M>;

    fn get(&self) -> Result<Self::Loan, Failure> {
        Ok(Pool::get(self)?)
    }

    fn query(&self, loan: &mut Self::Loan, query: Query) -> Result<(), Failure> {
        M::ask(loan, query)
    }
}

struct SqliteConnectionManager(PathBuf);

impl ManageConnection for SqliteConnectionManager {
    type Connection = rusqlite::Connection;
    type Error = rusqlite::Error;

    fn connect(&self) -> rusqlite::Result<rusqlite::Connection> {
        rusqlite::Connection::open(&self.0)
    }

    fn is_valid(&self, conn: &mut rusqlite::Connection) -> rusqlite::Result<()> {
        conn.execute_batch("SELECT 1;")
    }

    fn has_broken(&self, _: &mut rusqlite::Connection) -> bool {
        false
    }
}

/// A query through each driver.
trait Ask: ManageConnection {
    fn ask(conn: &mut Self::Connection, query: Query) -> Result<(), Failure>;
}

impl Ask for Stub {
    fn ask(_: &mut u64, _: Query) -> Result<(), Failure> {
        no_query()
    }
}

impl Ask for PostgresConnectionManager<NoTls> {
    fn ask(conn: &mut postgres::Client, query: Query) -> Result<(), Failure> {
        match query {
            Query::Select1 => drop(conn.simple_query("SELECT 1")?),
            // Neither the pool nor the driver caches statements.
            Query::Prepared | Query::Unprepared => drop(conn.query_one(READ_POSTGRES, &[&ROW])?),
            Query::Insert => drop(conn.simple_query(INSERT_POSTGRES)?),
        }
        Ok(())
    }
}

impl Ask for MySqlConnectionManager {
    fn ask(conn: &mut mysql::Conn, query: Query) -> Result<(), Failure> {
        own::ask_mysql(conn, query)
    }
}

impl Ask for SqliteConnectionManager {
    fn ask(conn: &mut rusqlite::Connection, query: Query) -> Result<(), Failure> {
        own::ask_sqlite(conn, query)
    }
}
