//! Section 2: borrow, ask, return.

use crate::engine::{Account, Engine};
use crate::story::Story;
use cabrank::{Pool, PooledConnection};

/// One thread works with the pool as it would with a connection of its own.
pub(crate) fn queries<M: Engine>(pool: &Pool<M>, story: &mut Story) -> anyhow::Result<()> {
    story.section("Single queries");
    story.say(
        "`get` lends a connection, which dereferences to the driver's own. Dropping it returns it. One thread that \
         asks, returns and asks again gets the same one each time.",
    );

    let mut conn = pool.get()?;
    let (first, uses) = (PooledConnection::id(&conn), PooledConnection::uses(&conn));
    M::create_table(&mut conn)?;
    for account in opening_balances() {
        M::insert(&mut conn, &account)?;
    }
    drop(conn); // Returned: in microseconds, and without asking the server anything.

    let mut conn = pool.get()?;
    let accounts = M::accounts(&mut conn)?;
    let (second, uses_then) = (PooledConnection::id(&conn), PooledConnection::uses(&conn));
    drop(conn);

    // The same in one step: `run` borrows, and looks at the errors for those that make the connection unusable.
    let total = pool.run(|conn| M::total(conn))?;

    story.expect("the rows read back are those written", true, accounts == opening_balances());
    story.expect("the balances of Ada, Ben and Cy", "100, 50, 0".to_owned(), told(&accounts));
    story.expect("their sum", opening_balances().iter().map(|account| account.balance).sum(), total);
    story.expect("the connection of the second loan", format!("number {first}"), format!("number {second}"));
    story.expect("earlier loans of it, at the second", uses + 1, uses_then);
    story.expect("connections opened so far", 1, pool.stats().opened);
    Ok(())
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
