//! Section 4: transactions commit or roll back as a whole, and are retried after a conflict.

use crate::engine::Engine;
use crate::meeting::Meeting;
use crate::sections::queries::{opening_balances, told};
use crate::story::Story;
use cabrank::{Pool, TransactionError};
use std::error::Error;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
use std::{fmt, thread};

/// A transfer that commits, one that fails and leaves no trace, and two that conflict.
pub(crate) fn transactions<M: Engine>(pool: &Pool<M>, story: &mut Story) -> anyhow::Result<()> {
    let sum: i64 = opening_balances().iter().map(|account| account.balance).sum();
    let balances = || -> anyhow::Result<String> { Ok(told(&pool.run(|conn| M::accounts(conn))?)) };

    story.section("Transactions");
    story.say(
        "`transaction().run(..)` begins a transaction, runs a closure, and commits if the closure returns `Ok`. An error or a \
         panic rolls everything back. The balances are those of Ada, Ben and Cy.",
    );
    transfer(pool, ADA, BEN, 30)?;
    story.expect("balances after 30 from Ada to Ben", "70, 80, 0".to_owned(), balances()?);

    let too_much = transfer(pool, BEN, CY, 1_000);
    let insufficient = |error: &TransactionError<_, _>| match error {
        TransactionError::User(user) => matches!(**user, TransferError::Insufficient { has: 80, wanted: 1_000 }),
        _ => false,
    };
    story.expect_error("a transfer of 1000 from Ben to Cy", "insufficient funds", &too_much, insufficient);
    if let Err(error) = too_much {
        story.quote(&format!("{error:?}"));
    }
    story.expect("balances after the failed transfer", "70, 80, 0".to_owned(), balances()?);
    story.expect("sum of the balances", sum, pool.run(|conn| M::total(conn))?);

    if pool.config().max_size < 2 {
        story.say("The conflict of two transactions is left out: it needs two connections, and this pool has one.");
        return Ok(());
    }
    story.say(
        "A conflict: two threads read Ada's balance at the same time, and each writes it back with 1 added. If both writes \
         took effect, one payment would be lost. The database refuses the second, and `retries` runs its closure again.",
    );
    let attempts = pay_in_twice(pool)?;
    story.expect_at_least("attempts of both threads", 3, attempts);
    story.expect("balances after both payments", "72, 80, 0".to_owned(), balances()?);
    Ok(())
}

/// Moves money from one account to another, or changes nothing.
fn transfer<M: Engine>(
    pool: &Pool<M>,
    from: i64,
    to: i64,
    amount: i64,
) -> Result<(), TransactionError<M::Error, TransferError<M::Error>>> {
    pool.transaction().retries(RETRIES).run(|tx| {
        // Pays in first, to have something to roll back if the funds are insufficient.
        let balance = M::balance(tx, to)?;
        M::set_balance(tx, to, balance + amount)?;
        let has = M::balance(tx, from)?;
        if has < amount {
            return Err(TransferError::Insufficient { has, wanted: amount });
        }
        M::set_balance(tx, from, has - amount)?;
        Ok(())
    })
}

/// Two threads add 1 to one account, and wait for each other between reading and writing. Returns the number of attempts.
fn pay_in_twice<M: Engine>(pool: &Pool<M>) -> anyhow::Result<u32> {
    let attempts = AtomicU32::new(0);
    let both_have_read = Meeting::of(2);
    let pay_in = || {
        pool.transaction().options(M::watchful()).retries(RETRIES).run(|tx| {
            attempts.fetch_add(1, Relaxed);
            let balance = M::balance(tx, ADA)?;
            both_have_read.attend();
            M::set_balance(tx, ADA, balance + 1)
        })
    };
    thread::scope(|scope| {
        let tellers = [scope.spawn(pay_in), scope.spawn(pay_in)];
        tellers.into_iter().try_for_each(|teller| teller.join().expect("tellers do not panic"))
    })?;
    Ok(attempts.into_inner())
}

/// Why a transfer failed. The pool finds the driver's error by `source`, and retries it if it is a conflict.
#[derive(Debug)]
enum TransferError<D> {
    Insufficient { has: i64, wanted: i64 },
    Database(D),
}

impl<D> From<D> for TransferError<D> {
    fn from(error: D) -> Self {
        Self::Database(error)
    }
}

impl<D> fmt::Display for TransferError<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Insufficient { has, wanted } => write!(f, "insufficient funds: {wanted} needed, {has} available"),
            Self::Database(_) => f.write_str("the database failed"),
        }
    }
}

impl<D: Error + 'static> Error for TransferError<D> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Insufficient { .. } => None,
            Self::Database(error) => Some(error),
        }
    }
}

const ADA: i64 = 1;
const BEN: i64 = 2;
const CY: i64 = 3;
/// More than are ever needed.
const RETRIES: u32 = 10;
