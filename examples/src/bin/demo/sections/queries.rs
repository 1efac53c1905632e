//! Section 2: borrow, ask, return.

use crate::engine::{Account, Engine};
use crate::story::Story;
use crate::table::Table;
use cabrank::{Pool, PooledConnection};
use std::thread;
use std::time::Duration;

/// One thread works with the pool as it would with a connection of its own. Returns the table that it made.
pub(crate) fn queries<'p, M: Engine>(pool: &'p Pool<M>, story: &mut Story) -> anyhow::Result<Table<'p, M>> {
    story.section("Single queries");
    story.say(
        "`get` lends a connection, which dereferences to the driver's own. Dropping it returns it. One thread that \
         asks, returns and asks again gets the same one each time.",
    );

    settle(pool);
    let mut conn = pool.get()?;
    let (first, uses) = (PooledConnection::id(&conn), PooledConnection::uses(&conn));
    let table = Table::create(pool, &mut conn)?;
    for account in opening_balances() {
        M::insert(&mut conn, &account)?;
    }
    drop(conn); // Returned: in microseconds, and without asking the server anything.

    settle(pool);
    let mut conn = pool.get()?;
    let accounts = M::accounts(&mut conn)?;
    let (second, uses_then) = (PooledConnection::id(&conn), PooledConnection::uses(&conn));
    drop(conn);

    // The same in one step: `run` borrows, and looks at the errors for those that make the connection unusable.
    settle(pool);
    let total = pool.run(|conn| M::total(conn))?;

    story.expect("the rows read back are those written", true, accounts == opening_balances());
    story.expect("the balances of Ada, Ben and Cy", "100, 50, 0".to_owned(), told(&accounts));
    story.expect("their sum", opening_balances().iter().map(|account| account.balance).sum(), total);
    story.expect("the connection of the second loan", format!("number {first}"), format!("number {second}"));
    story.expect("earlier loans of it, at the second", uses + 1, uses_then);
    story.expect("connections opened so far", 1, pool.stats().opened);
    Ok(table)
}

/// Waits while a worker makes a returned session new. `get` would do that too, but on a very busy machine it would
/// open a second connection after a while, and the story shall be the same everywhere.
fn settle<M: Engine>(pool: &Pool<M>) {
    while pool.stats().resetting > 0 {
        thread::sleep(Duration::from_millis(1));
    }
}

/// What the accounts hold in the beginning. Later sections move it, and nothing is lost.
pub(crate) fn opening_balances() -> Vec<Account> {
    [(1, "Ada", 100), (2, "Ben", 50), (3, "Cy", 0)]
        .map(|(id, owner, balance)| Account { id, owner: owner.to_owned(), balance })
        .into()
}

/// Their balances.
pub(crate) fn told(accounts: &[Account]) -> String {
    let balances: Vec<_> = accounts.iter().map(|account| account.balance.to_string()).collect();
    balances.join(", ")
}
