//! cabrank, with its adapters.

use super::stub::no_query;
use super::{INSERT_MYSQL, INSERT_POSTGRES, Peer, READ_OTHERS, READ_POSTGRES, ROW, Setup, Stub, Target};
use crate::load::{Failure, Query};
use crate::tasks::{Asynchronous, InTasks};
use crate::threads::{Blocking, InTurn, OnThreads};
use anyhow::Result;
use cabrank::{Builder, Manager, Pool, PooledConnection};
use cabrank_mysql::MySqlManager;
use cabrank_mysql::mysql::prelude::Queryable;
use cabrank_postgres::PostgresManager;
use cabrank_postgres::postgres::NoTls;
use cabrank_sqlite::SqliteManager;
use std::sync::Arc;

pub fn build(setup: &Setup) -> Result<Box<dyn Peer>> {
    match &setup.target {
        Target::Stub(stub) if setup.pools > 1 => {
            let pools: Result<_, _> = (0..setup.pools).map(|_| configured(setup).build_lazy(stub.clone())).collect();
            Ok(Box::new(OnThreads { name: "cabrank", pool: InTurn::new(pools?) }))
        }
        Target::Stub(stub) if setup.tasks => {
            let pool = configured(setup).build_lazy(stub.clone())?;
            Ok(Box::new(InTasks { name: "cabrank", pool: Arc::new(pool) }))
        }
        Target::Stub(stub) => pool(setup, stub.clone()),
        Target::Postgres(url) => pool(setup, PostgresManager::from_url(url, NoTls)?),
        Target::Mysql(url) => pool(setup, MySqlManager::from_url(url)?),
        Target::Sqlite(path) => pool(setup, SqliteManager::file(path)),
    }
}

fn pool<M: Manager + Ask>(setup: &Setup, manager: M) -> Result<Box<dyn Peer>> {
    Ok(Box::new(OnThreads { name: "cabrank", pool: configured(setup).build_lazy(manager)? }))
}

fn configured<M: Manager>(setup: &Setup) -> Builder<M> {
    let builder = Pool::builder().name("bench").max_size(setup.size);
    let builder = setup.min_idle.into_iter().fold(builder, Builder::min_idle);
    setup.timeout.into_iter().fold(builder, Builder::acquire_timeout)
}

impl<M: Manager + Ask> Blocking for Pool<M> {
    type Loan = PooledConnection<M>;

    fn get(&self) -> Result<Self::Loan, Failure> {
        Ok(Pool::get(self)?)
    }

    fn query(&self, loan: &mut Self::Loan, query: Query) -> Result<(), Failure> {
        M::ask(loan, query)
    }
}

impl Asynchronous for Pool<Stub> {
    type Loan = PooledConnection<Stub>;

    async fn get(&self) -> Result<Self::Loan, Failure> {
        Ok(self.get_async().await?)
    }

    async fn query(&self, _: &mut Self::Loan, _: Query) -> Result<(), Failure> {
        no_query()
    }
}

/// A query through each driver.
pub trait Ask: Manager {
    fn ask(conn: &mut Self::Connection, query: Query) -> Result<(), Failure>;
}

impl Ask for Stub {
    fn ask(_: &mut u64, _: Query) -> Result<(), Failure> {
        no_query()
    }
}

impl Ask for PostgresManager {
    fn ask(conn: &mut cabrank_postgres::Connection, query: Query) -> Result<(), Failure> {
        match query {
            Query::Select1 => drop(conn.simple_query("SELECT 1")?),
            Query::Prepared => {
                let statement = conn.prepare_cached(READ_POSTGRES)?;
                conn.query_one(&statement, &[&ROW])?;
            }
            Query::Unprepared => drop(conn.query_one(READ_POSTGRES, &[&ROW])?),
            Query::Insert => drop(conn.simple_query(INSERT_POSTGRES)?),
        }
        Ok(())
    }
}

impl Ask for MySqlManager {
    fn ask(conn: &mut cabrank_mysql::Connection, query: Query) -> Result<(), Failure> {
        match query {
            Query::Select1 => drop(conn.query_first::<u8, _>("SELECT 1")?),
            Query::Prepared | Query::Unprepared => drop(conn.exec_first::<i32, _, _>(READ_OTHERS, (ROW,))?),
            Query::Insert => conn.exec_drop(INSERT_MYSQL, (ROW,))?,
        }
        Ok(())
    }
}

impl Ask for SqliteManager {
    fn ask(conn: &mut cabrank_sqlite::Connection, query: Query) -> Result<(), Failure> {
        super::own::ask_sqlite(conn, query)
    }
}
