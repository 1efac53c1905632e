//! The table of accounts, as a value: dropping it drops the table, also when the story ends early.

use crate::engine::Engine;
use anyhow::Context;
use cabrank::Pool;

pub(crate) struct Table<'p, M: Engine> {
    pool: &'p Pool<M>,
    there: bool,
}

impl<'p, M: Engine> Table<'p, M> {
    /// Makes it, unless there is one already.
    pub(crate) fn create(pool: &'p Pool<M>, conn: &mut M::Connection) -> anyhow::Result<Self> {
        M::create_table(conn).context(
            "cannot make the table cabrank_demo_account; if there is one, drop it, or give another database by --url",
        )?;
        Ok(Self { pool, there: true })
    }

    /// Drops it, and tells if that fails.
    pub(crate) fn remove(mut self) -> anyhow::Result<()> {
        self.there = false;
        self.pool.run(|conn| M::drop_table(conn))?;
        Ok(())
    }
}

impl<M: Engine> Drop for Table<'_, M> {
    fn drop(&mut self) {
        if self.there {
            // Something else went wrong before, and that is what will be told.
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
        assert!(Table::create(&pool, &mut conn).is_err(), "there is one");
        drop(table);
        Table::create(&pool, &mut conn)?.remove()
    }
}
