//! The handlers. Each that needs a connection does its work in a thread where blocking is allowed: waiting for a connection
//! blocks, and so does the driver.

use crate::bank::Bank;
use crate::failure::Failure;
use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use cabrank::Pool;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

pub(crate) fn routes<M: Bank>(pool: Pool<M>) -> Router {
    Router::new()
        .route("/accounts", get(accounts::<M>))
        .route("/transfers", post(transfer::<M>))
        .route("/stats", get(stats::<M>))
        .with_state(pool)
}

async fn accounts<M: Bank>(State(pool): State<Pool<M>>) -> Result<Json<Value>, Failure> {
    blocking(move || Ok(json!(pool.run(|conn| M::accounts(conn))?))).await
}

#[derive(Deserialize)]
struct Transfer {
    from: i64,
    to: i64,
    amount: u32,
}

async fn transfer<M: Bank>(State(pool): State<Pool<M>>, Json(order): Json<Transfer>) -> Result<Json<Value>, Failure> {
    let Transfer { from, to, amount } = order;
    let amount = i64::from(amount);
    // Goes on to its end, also if the client hangs up meanwhile.
    let done = blocking(move || {
        let left = pool.transaction().retries(5).run(|tx| -> anyhow::Result<Option<i64>> {
            let accounts = M::lock(tx, from, to)?;
            let has = accounts.iter().find(|(id, _)| *id == from).map_or(0, |(_, balance)| *balance);
            if accounts.len() < 2 || has < amount {
                return Ok(None);
            }
            M::pay(tx, from, -amount)?;
            M::pay(tx, to, amount)?;
            Ok(Some(has - amount))
        })?;
        left.map(|left| json!({ "left": left })).ok_or(Failure::Refused)
    });
    done.await
}

/// Asks no connection and waits for nobody, so it may be called right here, also when all else is busy.
async fn stats<M: Bank>(State(pool): State<Pool<M>>) -> Json<Value> {
    let stats = pool.stats();
    Json(json!({
        "max_size": stats.max_size,
        "open": stats.open,
        "in_use": stats.in_use,
        "waiting": stats.waiting,
        "borrowed": stats.checked_out_at_once + stats.checked_out_after_waiting - stats.rejected_at_checkout,
        "returned": stats.returned,
        "timed_out": stats.timed_out,
        "overloaded": stats.overloaded,
        "longest_wait_ms": stats.wait_time.max().as_millis() as u64,
    }))
}

async fn blocking(work: impl FnOnce() -> Result<Value, Failure> + Send + 'static) -> Result<Json<Value>, Failure> {
    let outcome = spawn_blocking(work).await.unwrap_or_else(|panic| Err(Failure::Broken(panic.to_string())));
    outcome.map(Json)
}
