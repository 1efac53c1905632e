//! The handlers. Waiting for a connection occupies no thread. The work on a connection blocks, and runs on a thread for blocking work. If a
//! client hangs up during a query, the pool asks the server to cancel the statement.

use crate::bank::Bank;
use crate::failure::Failure;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::routing::{get, post};
use axum::{Json, Router};
use cabrank::Pool;
use cabrank_prometheus::Exporter;
use serde::Deserialize;
use serde_json::{Value, json};
use std::future;
use std::sync::Arc;

pub(crate) fn routes<M: Bank>(pool: Pool<M>) -> Router {
    let exporter = Arc::new(Exporter::new().with(&pool));
    Router::new()
        .route("/accounts", get(accounts::<M>))
        .route("/transfers", post(transfer::<M>))
        .route("/stats", get(stats::<M>))
        .route(
            "/metrics",
            get(move || future::ready(([(CONTENT_TYPE, cabrank_prometheus::CONTENT_TYPE)], exporter.text()))),
        )
        .with_state(pool)
}

async fn accounts<M: Bank>(State(pool): State<Pool<M>>) -> Result<Json<Value>, Failure> {
    let accounts = pool.run_async(|conn| M::accounts(conn)).cancel_on_drop().await?;
    Ok(Json(json!(accounts)))
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
    // Runs to its end even if the client hangs up.
    let transaction = pool.transaction().retries(5).run_async(move |tx| -> Result<Option<i64>, M::Error> {
        let accounts = M::lock(tx, from, to)?;
        let has = accounts.iter().find(|(id, _)| *id == from).map_or(0, |(_, balance)| *balance);
        if accounts.len() < 2 || has < amount {
            return Ok(None);
        }
        M::pay(tx, from, -amount)?;
        M::pay(tx, to, amount)?;
        Ok(Some(has - amount))
    });
    let left = transaction.await?;
    left.map(|left| Json(json!({ "left": left }))).ok_or(Failure::Refused)
}

/// Needs no connection and does not block, so an async handler may call it directly, even if the pool is busy.
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
        "cancelled": stats.cancelled,
        "overloaded": stats.overloaded,
        "longest_wait_ms": stats.wait_time.max().as_millis() as u64,
    }))
}
