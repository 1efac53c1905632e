//! The table of accounts as a value: dropping it drops the table, even if the story ends early.

use crate::engine::Engine;
use anyhow::Context;
use cabrank::Pool;

pub(crate) struct Table<'p, M: Engine> {
    pool: &'p Pool<M>,
    there: bool,
}

impl<'p, M: Engine> Table<'p, M> {
    /// Creates the table. Fails if it exists.
    pub(crate) fn create(pool: &'p Pool<M>, conn: &mut M::Connection) -> anyhow::Result<Self> {
        M::create_table(conn).context(
            "cannot create the table cabrank_demo_account; if it exists, drop it, or choose another database with --url",
        )?;
        Ok(Self { pool, there: true })
    }

    /// Drops the table. Unlike `drop` this reports a failure.
    pub(crate) fn remove(mut self) -> anyhow::Result<()> {
        self.there = false;
        self.pool.run(|conn| M::drop_table(conn))?;
        Ok(())
    }
}

impl<M: Engine> Drop for Table<'_, M> {
    fn drop(&mut self) {
        if self.there {
            // The story has failed before this, and that error is reported.
            let _ = self.pool.run(|conn| M::drop_table(conn));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cabrank_sqlite::SqliteManager;

    #[test]
    fn a_story_that_ends_early_leaves_no_table() -> anyhow::Result<()> {
        let pool = Pool::builder().build(SqliteManager::memory())?;
        let mut conn = pool.get()?;
        let table = Table::create(&pool, &mut conn)?;
        assert!(Table::create(&pool, &mut conn).is_err(), "it exists");
        drop(table);
        Table::create(&pool, &mut conn)?.remove()
    }
}
