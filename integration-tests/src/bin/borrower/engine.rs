//! The parts of the borrower that depend on the engine.

use cabrank::Manager;
use cabrank_mysql::MySqlManager;
use cabrank_mysql::mysql::prelude::Queryable;
use cabrank_mysql::mysql::{Opts, OptsBuilder};
use cabrank_postgres::PostgresManager;
use cabrank_postgres::postgres::NoTls;

pub(crate) trait Engine: 'static {
    type Manager: Manager;

    fn manager(url: &str) -> anyhow::Result<Self::Manager>;
    fn run(
        conn: &mut <Self::Manager as Manager>::Connection,
        sql: &str,
    ) -> Result<(), <Self::Manager as Manager>::Error>;
}

pub(crate) struct Postgres;

impl Engine for Postgres {
    type Manager = PostgresManager;

    fn manager(url: &str) -> anyhow::Result<PostgresManager> {
        Ok(PostgresManager::from_url(url, NoTls)?)
    }

    fn run(conn: &mut cabrank_postgres::Connection, sql: &str) -> Result<(), cabrank_postgres::postgres::Error> {
        conn.batch_execute(sql)
    }
}

/// Also for MariaDB.
pub(crate) struct MySql;

impl Engine for MySql {
    type Manager = MySqlManager;

    fn manager(url: &str) -> anyhow::Result<MySqlManager> {
        // Otherwise the driver would ask a server on this machine for its socket, which belongs to another server.
        Ok(MySqlManager::new(OptsBuilder::from_opts(Opts::from_url(url)?).prefer_socket(false)))
    }

    fn run(conn: &mut cabrank_mysql::Connection, sql: &str) -> cabrank_mysql::mysql::Result<()> {
        conn.query_drop(sql)
    }
}
