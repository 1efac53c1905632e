//! bb8, with a driver that does nothing: the design of r2d2 for async code.

use super::stub::no_query;
use super::{Peer, Setup, Stub, Target};
use crate::load::{Failure, Query};
use crate::tasks::{Asynchronous, InTasks, Waited, runtime};
use crate::threads::OnThreads;
use anyhow::{Result, bail};
use bb8::{Builder, Pool, PooledConnection};
use std::sync::Arc;

pub fn build(setup: &Setup) -> Result<Box<dyn Peer>> {
    let Target::Stub(stub) = &setup.target else { bail!("bb8 is measured only with a stub") };
    let builder = Pool::builder().max_size(setup.size);
    let builder = setup.timeout.into_iter().fold(builder, Builder::connection_timeout);
    let pool = runtime().block_on(builder.build(stub.clone()))?;
    Ok(match setup.tasks {
        true => Box::new(InTasks { name: "bb8", pool: Arc::new(pool) }),
        false => Box::new(OnThreads { name: "bb8", pool: Waited(pool) }),
    })
}

impl Asynchronous for Pool<Stub> {
    type Loan = PooledConnection<'static, Stub>;

    async fn get(&self) -> Result<Self::Loan, Failure> {
        Ok(self.get_owned().await?)
    }

    async fn query(&self, _: &mut Self::Loan, _: Query) -> Result<(), Failure> {
        no_query()
    }
}
