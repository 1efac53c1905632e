//! deadpool, and `deadpool-postgres`. Its default check, `Fast`, asks the driver and not the server. `deadpool_verified` asks the server,
//! and has limits for both checks and openings.

use super::stub::{in_runtime, no_query};
use super::{INSERT_POSTGRES, Peer, READ_POSTGRES, ROW, Setup, Stub, Target};
use crate::load::{Failure, Query};
use crate::tasks::{Asynchronous, InTasks, Waited};
use crate::threads::OnThreads;
use anyhow::{Result, bail};
use deadpool::Runtime;
use deadpool::managed::{Manager, Object, Pool, PoolBuilder};
use deadpool_postgres::{Client, ManagerConfig, RecyclingMethod};
use std::sync::Arc;
use std::time::Duration;
use tokio_postgres::NoTls;

pub fn build(setup: &Setup, verified: bool) -> Result<Box<dyn Peer>> {
    Ok(match &setup.target {
        Target::Stub(_) if verified => bail!("a stub has nothing to verify"),
        Target::Stub(stub) => {
            let pool = pool(setup, Pool::<Stub>::builder(stub.clone()))?;
            match setup.tasks {
                true => Box::new(InTasks { name: "deadpool", pool: Arc::new(pool) }),
                false => Box::new(OnThreads { name: "deadpool", pool: Waited(pool) }),
            }
        }
        Target::Postgres(url) => {
            let method = if verified { RecyclingMethod::Verified } else { RecyclingMethod::Fast };
            let config = ManagerConfig { recycling_method: method };
            let manager = deadpool_postgres::Manager::from_config(url.parse()?, NoTls, config);
            let builder = deadpool_postgres::Pool::builder(manager);
            let pool = if verified { verifying(setup, builder)? } else { pool(setup, builder)? };
            let name = if verified { "deadpool_verified" } else { "deadpool" };
            Box::new(InTasks { name, pool: Arc::new(pool) })
        }
        _ => bail!("deadpool is measured only with a stub and on PostgreSQL"),
    })
}

fn pool<M: Manager, W: From<Object<M>>>(setup: &Setup, builder: PoolBuilder<M, W>) -> Result<Pool<M, W>> {
    let builder = builder.max_size(setup.size as usize);
    let builder = match setup.timeout {
        // By default it waits without limit; a limit requires a runtime for its timer.
        None => builder,
        Some(limit) => builder.wait_timeout(Some(limit)).create_timeout(Some(limit)).runtime(Runtime::Tokio1),
    };
    in_runtime(|| builder.build()).map_err(|error| anyhow::anyhow!("{error}"))
}

/// A pool with `setup.timeout` for waiting, and shorter limits for opening and checking.
fn verifying<M: Manager, W: From<Object<M>>>(setup: &Setup, builder: PoolBuilder<M, W>) -> Result<Pool<M, W>> {
    let builder = builder.max_size(setup.size as usize).wait_timeout(setup.timeout).runtime(Runtime::Tokio1);
    let builder = builder.create_timeout(Some(CREATE)).recycle_timeout(Some(RECYCLE));
    in_runtime(|| builder.build()).map_err(|error| anyhow::anyhow!("{error}"))
}

impl Asynchronous for Pool<Stub> {
    type Loan = Object<Stub>;

    async fn get(&self) -> Result<Self::Loan, Failure> {
        Ok(Pool::get(self).await?)
    }

    async fn query(&self, _: &mut Self::Loan, _: Query) -> Result<(), Failure> {
        no_query()
    }
}

impl Asynchronous for deadpool_postgres::Pool {
    type Loan = Client;

    async fn get(&self) -> Result<Client, Failure> {
        Ok(deadpool_postgres::Pool::get(self).await?)
    }

    async fn query(&self, client: &mut Client, query: Query) -> Result<(), Failure> {
        match query {
            Query::Select1 => drop(client.simple_query("SELECT 1").await?),
            Query::Prepared => {
                let statement = client.prepare_cached(READ_POSTGRES).await?;
                client.query_one(&statement, &[&ROW]).await?;
            }
            Query::Unprepared => drop(client.query_one(READ_POSTGRES, &[&ROW]).await?),
            Query::Insert => drop(client.simple_query(INSERT_POSTGRES).await?),
        }
        Ok(())
    }
}

/// For the whole opening: nothing else gives up a host that accepts and then stays silent.
const CREATE: Duration = Duration::from_secs(1);
/// The same limit as cabrank's for a check.
const RECYCLE: Duration = Duration::from_millis(250);
