//! Transactions: all or nothing, once more if somebody was in the way, and reading only. The story is here, the statements
//! are in the file of each engine.

mod mysql;
mod postgres;
mod sqlite;

use anyhow::Result;
use std::process::ExitCode;
use std::sync::Barrier;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;

fn main() -> ExitCode {
    examples::run(sqlite::run, postgres::run, mysql::run)
}

/// `transfer` moves an amount from one to another, and calls its last argument between reading and writing. `balances` is
/// what Ada and Ben have. `write_where_one_may_not` fails.
fn story(
    transfer: impl Fn(&str, &str, i64, &dyn Fn()) -> Result<()> + Sync,
    balances: impl Fn() -> Result<Vec<(String, i64)>>,
    write_where_one_may_not: impl Fn() -> Result<()>,
) -> Result<()> {
    let nothing = || ();
    transfer("Ada", "Ben", 30, &nothing)?;
    println!("after a transfer of 30 from Ada to Ben: {:?}", balances()?);

    if let Err(error) = transfer("Ben", "Ada", 1_000, &nothing) {
        println!("a transfer of 1000 from Ben to Ada: {error:#}");
    }
    println!("all is as before: {:?}", balances()?);

    // Two read the same balance before either writes. Were both to write what they make of it, one payment would be lost:
    // the database refuses one, and the pool runs its closure anew.
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
    println!("two transfers of 5 at the same time took {attempts:?} attempts: {:?}", balances()?);

    if let Err(error) = write_where_one_may_not() {
        println!("writing in a transaction that only reads: {error:#}");
    }
    Ok(())
}
