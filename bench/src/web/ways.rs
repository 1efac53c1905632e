//! The ways from a handler to PostgreSQL, each written as users of that pool would. A request waits equally long for a connection in all;
//! all other settings are defaults, unless the name says otherwise.

use super::counts::Ticket;
use crate::pools::{READ_POSTGRES, ROW};
use anyhow::Result;
use axum::http::StatusCode;
use cabrank::{Builder, Pool, RunError};
use cabrank_postgres::PostgresManager;
use cabrank_postgres::postgres::NoTls;
use deadpool_diesel::Runtime;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use r2d2_postgres::PostgresConnectionManager;
use std::fmt::Debug;
use std::future::Future;
use std::time::Duration;
use tokio::task::spawn_blocking;

/// A handler's access to a pool.
pub trait Way: Clone + Send + Sync + 'static {
    /// Runs `sleep` at the server, if given, then a read by primary key.
    fn read(self, sleep: Option<String>, ticket: Ticket) -> impl Future<Output = Result<i32, StatusCode>> + Send;
}

/// cabrank's `run_async`: a waiting request holds no thread.
#[derive(Clone)]
pub struct RunAsync {
    pool: Pool<PostgresManager>,
    /// Whether a statement is cancelled when its client hangs up.
    cancels: bool,
}

impl RunAsync {
    pub fn new(url: &str, size: u32, max_waiters: Option<u32>) -> Result<Self> {
        let builder = Pool::builder().name("web").max_size(size).acquire_timeout(PATIENCE);
        let builder = max_waiters.into_iter().fold(builder, Builder::max_waiters);
        Ok(Self { pool: builder.build(PostgresManager::from_url(url, NoTls)?)?, cancels: true })
    }

    pub fn uncancelled(self) -> Self {
        Self { cancels: false, ..self }
    }
}

impl Way for RunAsync {
    async fn read(self, sleep: Option<String>, ticket: Ticket) -> Result<i32, StatusCode> {
        let work = self.pool.run_async(move |conn| -> Result<i32, postgres::Error> {
            if let Some(sleep) = sleep {
                conn.batch_execute(&sleep)?;
            }
            let read = conn.prepare_cached(READ_POSTGRES)?;
            let balance = conn.query_one(&read, &[&ROW])?.get(0);
            ticket.finish();
            Ok(balance)
        });
        let work = if self.cancels { work.cancel_on_drop() } else { work };
        work.await.map_err(|error| match error {
            RunError::Get(_) => BUSY,
            other => broken(&other),
        })
    }
}

/// The usual way with r2d2: a waiting request holds one of the runtime's blocking threads.
#[derive(Clone)]
pub struct SpawnBlocking(r2d2::Pool<PostgresConnectionManager<NoTls>>);

impl SpawnBlocking {
    pub fn new(url: &str, size: u32) -> Result<Self> {
        let manager = PostgresConnectionManager::new(url.parse()?, NoTls);
        Ok(Self(r2d2::Pool::builder().max_size(size).connection_timeout(PATIENCE).build(manager)?))
    }
}

impl Way for SpawnBlocking {
    async fn read(self, sleep: Option<String>, ticket: Ticket) -> Result<i32, StatusCode> {
        let work = move || {
            let mut conn = self.0.get().map_err(|_| BUSY)?;
            if let Some(sleep) = sleep {
                conn.batch_execute(&sleep).map_err(|error| broken(&error))?;
            }
            let balance = conn.query_one(READ_POSTGRES, &[&ROW]).map_err(|error| broken(&error))?.get(0);
            ticket.finish();
            Ok(balance)
        };
        spawn_blocking(work).await.unwrap_or_else(|error| Err(broken(&error)))
    }
}

/// deadpool's way with a blocking driver: tasks wait, and each call on a connection runs on a blocking thread.
#[derive(Clone)]
pub struct Interact(deadpool_diesel::postgres::Pool);

impl Interact {
    pub fn new(url: &str, size: u32) -> Result<Self> {
        let manager = deadpool_diesel::postgres::Manager::new(url, Runtime::Tokio1);
        let builder = deadpool_diesel::postgres::Pool::builder(manager).max_size(size as usize);
        let builder = builder.wait_timeout(Some(PATIENCE)).create_timeout(Some(PATIENCE)).runtime(Runtime::Tokio1);
        Ok(Self(builder.build()?))
    }
}

impl Way for Interact {
    async fn read(self, sleep: Option<String>, ticket: Ticket) -> Result<i32, StatusCode> {
        let conn = self.0.get().await.map_err(|_| BUSY)?;
        let work = move |conn: &mut PgConnection| -> QueryResult<i32> {
            if let Some(sleep) = sleep {
                conn.batch_execute(&sleep)?;
            }
            let balance = account::table.find(ROW).select(account::balance).get_result(conn)?;
            ticket.finish();
            Ok(balance)
        };
        conn.interact(work).await.map_err(|error| broken(&error))?.map_err(|error| broken(&error))
    }
}

diesel::table! {
    account (id) {
        id -> Integer,
        balance -> Integer,
    }
}

fn broken(error: &dyn Debug) -> StatusCode {
    eprintln!("the service failed: {error:?}");
    StatusCode::INTERNAL_SERVER_ERROR
}

/// No connection in time.
const BUSY: StatusCode = StatusCode::SERVICE_UNAVAILABLE;
/// How long a request may wait for a connection.
const PATIENCE: Duration = Duration::from_secs(3);
