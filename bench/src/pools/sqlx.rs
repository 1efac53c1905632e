//! sqlx's own pool, with its own driver for PostgreSQL. By default it pings the server before each loan.

use super::stub::in_runtime;
use super::{Peer, READ_POSTGRES, ROW, Setup, Target};
use crate::load::{Failure, Query};
use crate::tasks::{Asynchronous, InTasks};
use anyhow::{Result, bail};
use sqlx::pool::{PoolConnection, PoolOptions};
use sqlx::postgres::PgPoolOptions;
use sqlx::{Executor, PgPool, Postgres};
use std::sync::Arc;

pub fn build(setup: &Setup) -> Result<Box<dyn Peer>> {
    let Target::Postgres(url) = &setup.target else { bail!("sqlx is measured only on PostgreSQL") };
    let options = PgPoolOptions::new().max_connections(setup.size);
    let options = setup.timeout.into_iter().fold(options, PoolOptions::acquire_timeout);
    let pool = in_runtime(|| options.connect_lazy(url))?;
    Ok(Box::new(InTasks { name: "sqlx", pool: Arc::new(pool) }))
}

impl Asynchronous for PgPool {
    type Loan = PoolConnection<Postgres>;

    async fn get(&self) -> Result<Self::Loan, Failure> {
        Ok(self.acquire().await?)
    }

    async fn query(&self, conn: &mut Self::Loan, query: Query) -> Result<(), Failure> {
        // Called on the connection instead of the query: otherwise the compiler does not see that the future is `Send`.
        let conn = &mut **conn;
        match query {
            Query::Select1 => {
                conn.execute("SELECT 1").await?;
            }
            // The connection caches prepared statements.
            Query::Prepared => drop(conn.fetch_one(sqlx::query(READ_POSTGRES).bind(ROW)).await?),
            Query::Unprepared => drop(conn.fetch_one(sqlx::query(READ_POSTGRES).bind(ROW).persistent(false)).await?),
            Query::Insert => super::no_insert()?,
        }
        Ok(())
    }
}
