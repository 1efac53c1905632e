//! The adapter's promises, held against a real PostgreSQL.

mod fixture;

mod closing;
mod copying;
mod liveness;
mod opening;
mod pooler;
mod returning;
mod statements;
mod tls;
mod tracking;
mod transactions;
