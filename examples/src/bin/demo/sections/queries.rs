//! Section 2: check out a connection, query, return it.

use crate::engine::{Account, Engine};
use crate::story::Story;
use crate::table::Table;
use cabrank::{Pool, PooledConnection};
use std::thread;
use std::time::Duration;

/// One thread works with the pool as with a connection of its own. Returns the table that it created.
pub(crate) fn queries<'p, M: Engine>(pool: &'p Pool<M>, story: &mut Story) -> anyhow::Result<Table<'p, M>> {
    story.section("Single queries");
    story.say(
        "`get` checks out a connection, which you use like the driver's own; dropping it returns it. The time between the two is \
         a loan. If a loan changes the session (what the database keeps for a connection, such as an open transaction or a \
         temporary table), the pool undoes that before the next loan: it resets the session. A thread that checks out a \
         connection again gets the same one: one thread needs one connection, however often it asks.",
    );

    settle(pool);
    let mut conn = pool.get()?;
    let (first, uses) = (PooledConnection::id(&conn), PooledConnection::uses(&conn));
    let table = Table::create(pool, &mut conn)?;
    for account in opening_balances() {
        M::insert(&mut conn, &account)?;
    }
    drop(conn); // The return takes microseconds and no round trip.

    settle(pool);
    let mut conn = pool.get()?;
    let accounts = M::accounts(&mut conn)?;
    let (second, uses_then) = (PooledConnection::id(&conn), PooledConnection::uses(&conn));
    drop(conn);

    // The same in one step. `run` also discards the connection if the error makes it unusable.
    settle(pool);
    let total = pool.run(|conn| M::total(conn))?;

    story.expect("the rows read equal the rows written", true, accounts == opening_balances());
    story.expect("balances of Ada, Ben and Cy", "100, 50, 0".to_owned(), told(&accounts));
    story.expect("sum of the balances", opening_balances().iter().map(|account| account.balance).sum(), total);
    story.expect("id of the connection, at the next loan too", first, second);
    story.expect("its count of loans has grown by", 1, uses_then - uses);
    story.expect("connections opened so far", 1, pool.stats().opened);
    Ok(table)
}

/// Waits while a worker resets a returned session. `get` would wait too, but on a very busy machine it would open a second connection
/// after a while, and the story should be the same everywhere.
pub(super) fn settle<M: Engine>(pool: &Pool<M>) {
    while pool.stats().resetting > 0 {
        thread::sleep(Duration::from_millis(1));
    }
}

/// The accounts at the beginning. Later sections move money between them and lose none.
pub(crate) fn opening_balances() -> Vec<Account> {
    [(1, "Ada", 100), (2, "Ben", 50), (3, "Cy", 0)]
        .map(|(id, owner, balance)| Account { id, owner: owner.to_owned(), balance })
        .into()
}

/// The balances, as text.
pub(crate) fn told(accounts: &[Account]) -> String {
    let balances: Vec<_> = accounts.iter().map(|account| account.balance.to_string()).collect();
    balances.join(", ")
}
