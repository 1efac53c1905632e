//! Transactions: they commit or roll back as a whole, are retried after a conflict, and may be read-only.
//!
//! Run it with `cargo run --bin transactions`, or `cargo run --bin transactions -- --url URL`. The steps are here, and each engine's
//! statements are in its own file.

mod mysql;
mod postgres;
mod sqlite;

use anyhow::Result;
use examples::with_causes;
use std::process::ExitCode;
use std::sync::Barrier;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;

fn main() -> ExitCode {
    examples::run(sqlite::run, postgres::run, mysql::run)
}

/// `transfer` moves an amount between two accounts, and calls its last argument between reading and writing. `balances` returns the
/// balances of Ada and Ben. `write_where_one_may_not` writes in a read-only transaction, and fails.
fn story(
    transfer: impl Fn(&str, &str, i64, &dyn Fn()) -> Result<()> + Sync,
    balances: impl Fn() -> Result<Vec<(String, i64)>>,
    write_where_one_may_not: impl Fn() -> Result<()>,
) -> Result<()> {
    let nothing = || ();
    transfer("Ada", "Ben", 30, &nothing)?;
    println!("a transfer of 30 from Ada to Ben commits: {:?}", balances()?);

    if let Err(error) = transfer("Ben", "Ada", 1_000, &nothing) {
        println!("a transfer of 1000 from Ben to Ada fails (expected): {}", with_causes(&error));
    }
    println!("it has changed nothing: {:?}", balances()?);

    // Two transactions read the same balance before either writes. If both wrote, one payment would be lost. The database refuses one
    // of them, and the pool runs its closure again.
    let (attempts, both_have_read) = (AtomicU32::new(0), Barrier::new(2));
    let meet = || {
        if attempts.fetch_add(1, Relaxed) < 2 {
            both_have_read.wait();
        }
    };
    thread::scope(|scope| {
        let pay = || transfer("Ada", "Ben", 5, &meet);
        let both = [scope.spawn(pay), scope.spawn(pay)];
        both.into_iter().try_for_each(|payment| payment.join().expect("payments do not panic"))
    })?;
    println!("two conflicting transfers of 5 both commit, in {attempts:?} attempts: {:?}", balances()?);

    if let Err(error) = write_where_one_may_not() {
        println!("a write in a read-only transaction fails (expected): {}", with_causes(&error));
    }
    Ok(())
}
