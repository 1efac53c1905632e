//! The pool of the `mysql` driver. By default it resets and pings before each loan.

use super::{Peer, Setup, Target, own};
use crate::load::{Failure, Query};
use crate::threads::{Blocking, OnThreads};
use anyhow::{Result, bail};
use mysql::{Pool, PoolConstraints, PoolOpts, PooledConn};

pub fn build(setup: &Setup) -> Result<Box<dyn Peer>> {
    let Target::Mysql(url) = &setup.target else { bail!("mysql::Pool is only for MySQL") };
    let size = setup.size as usize;
    let Some(constraints) = PoolConstraints::new(size, size) else { bail!("a pool needs a size above zero") };
    let opts = own::mysql_opts(url)?.pool_opts(PoolOpts::default().with_constraints(constraints));
    Ok(Box::new(OnThreads { name: "mysql_pool", pool: Pool::new(opts)? }))
}

impl Blocking for Pool {
    type Loan = PooledConn;

    fn get(&self) -> Result<PooledConn, Failure> {
        Ok(self.get_conn()?)
    }

    fn query(&self, conn: &mut PooledConn, query: Query) -> Result<(), Failure> {
        own::ask_mysql(conn.as_mut(), query)
    }
}
