//! No pool: each borrower has its own connection. The reference for the cost of a pool.

use super::{INSERT_MYSQL, Peer, READ_OTHERS, READ_POSTGRES, ROW, Setup, Target};
use crate::load;
use crate::load::{Failure, Load, Outcome, Query};
use crate::threads::{Blocking, OnThreads};
use anyhow::{Result, bail};
use mysql::prelude::Queryable;
use mysql::{Opts, OptsBuilder};
use postgres::NoTls;
use std::sync::{Mutex, MutexGuard};

/// `setup.size` is the largest number of borrowers.
pub fn build(setup: &Setup) -> Result<Box<dyn Peer>> {
    let open = || -> Result<Mutex<Connection>> {
        Ok(Mutex::new(match &setup.target {
            Target::Stub(_) => Connection::None,
            Target::Postgres(url) => {
                let mut client = postgres::Client::connect(url, NoTls)?;
                let read = client.prepare(READ_POSTGRES)?;
                Connection::Postgres(Box::new((client, read)))
            }
            Target::Mysql(url) => Connection::Mysql(mysql::Conn::new(mysql_opts(url)?)?),
            Target::Sqlite(path) => Connection::Sqlite(Box::new(rusqlite::Connection::open(path)?)),
        }))
    };
    let connections = (0..setup.size).map(|_| open()).collect::<Result<_>>()?;
    // Leaked until the program ends, so a loan can borrow from them.
    Ok(Box::new(Own(OnThreads { name: "own_connection", pool: Connections(Vec::leak(connections)) })))
}

struct Own(OnThreads<Connections>);

impl Peer for Own {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn run(&self, load: &Load) -> Result<Outcome> {
        if load.borrowers > self.0.pool.0.len() {
            bail!("{} borrowers and {} connections", load.borrowers, self.0.pool.0.len());
        }
        self.0.run(load)
    }
}

struct Connections(&'static [Mutex<Connection>]);

enum Connection {
    None,
    /// With the prepared read.
    Postgres(Box<(postgres::Client, postgres::Statement)>),
    Mysql(mysql::Conn),
    Sqlite(Box<rusqlite::Connection>),
}

impl Blocking for Connections {
    type Loan = MutexGuard<'static, Connection>;

    fn get(&self) -> Result<Self::Loan, Failure> {
        // No other thread locks it, so the lock costs next to nothing.
        self.0[load::borrower()].lock().map_err(|_| "a borrower has panicked".into())
    }

    fn query(&self, loan: &mut Self::Loan, query: Query) -> Result<(), Failure> {
        match &mut **loan {
            Connection::None => super::stub::no_query(),
            Connection::Postgres(connection) => {
                let (client, read) = &mut **connection;
                match query {
                    Query::Select1 => drop(client.simple_query("SELECT 1")?),
                    Query::Prepared => drop(client.query_one(&*read, &[&ROW])?),
                    Query::Unprepared => drop(client.query_one(READ_POSTGRES, &[&ROW])?),
                    Query::Insert => super::no_insert()?,
                }
                Ok(())
            }
            Connection::Mysql(conn) => ask_mysql(conn, query),
            Connection::Sqlite(conn) => ask_sqlite(conn, query),
        }
    }
}

/// Over TCP, as with all pools.
pub fn mysql_opts(url: &str) -> Result<OptsBuilder> {
    Ok(OptsBuilder::from_opts(Opts::from_url(url)?).prefer_socket(false))
}

/// The driver itself caches prepared statements.
pub fn ask_mysql(conn: &mut mysql::Conn, query: Query) -> Result<(), Failure> {
    match query {
        Query::Select1 => drop(conn.query_first::<u8, _>("SELECT 1")?),
        Query::Prepared | Query::Unprepared => drop(conn.exec_first::<i32, _, _>(READ_OTHERS, (ROW,))?),
        Query::Insert => conn.exec_drop(INSERT_MYSQL, (ROW,))?,
    }
    Ok(())
}

pub fn ask_sqlite(conn: &rusqlite::Connection, query: Query) -> Result<(), Failure> {
    match query {
        Query::Select1 => drop(conn.query_row("SELECT 1", [], |row| row.get::<_, i32>(0))?),
        Query::Prepared => drop(conn.prepare_cached(READ_OTHERS)?.query_row([ROW], |row| row.get::<_, i32>(0))?),
        Query::Unprepared => drop(conn.query_row(READ_OTHERS, [ROW], |row| row.get::<_, i32>(0))?),
        Query::Insert => super::no_insert()?,
    }
    Ok(())
}
