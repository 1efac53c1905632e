//! The tables of rows: which module of a crate lies above which. `imports.rs` holds the sources to them.
//!
//! Edit a table together with its picture in ARCHITECTURE.md.

/// An order of modules, and the crates that keep to it.
pub(super) struct Table {
    /// Where the crates' sources lie. A name means the same job in each of them.
    pub(super) sources: &'static [&'static str],
    /// From top to bottom. A module may use the rows below its own; the row's word says what mates may do.
    pub(super) rows: &'static [(Mates, &'static [&'static str])],
    /// Modules that exist for tests alone may use everything, and nothing may use them.
    pub(super) for_tests: &'static [&'static str],
}

pub(super) const TABLES: &[Table] = &[CORE, ADAPTERS];

const CORE: Table = Table {
    sources: &["pool/src/"],
    rows: &[
        // The face.
        (
            Mates::Together,
            &["pool", "builder", "closing", "get_async", "looks", "resize", "run_async", "settings", "transact"],
        ),
        (Mates::Apart, &["guard"]),
        // The three routes: none calls another.
        (Mates::Apart, &["checkout", "checkin", "driver_calls"]),
        // The only place that locks the state.
        (Mates::Apart, &["shared"]),
        // Pure bookkeeping.
        (Mates::Apart, &["state"]),
        // Mechanisms that know no pool.
        (Mates::Acyclic, &["gate", "waiter", "entry", "workers", "slots", "queue", "caches", "meter", "answer"]),
        // Vocabulary.
        (
            Mates::Acyclic,
            &[
                "manager",
                "error",
                "report",
                "cause",
                "event",
                "health",
                "histogram",
                "stats",
                "config",
                "limit",
                "overview",
                "phase",
                "reason",
                "spawn",
                "trace",
            ],
        ),
        (Mates::Apart, &["contain", "figures"]),
        // std, or loom or shuttle in the models; and the bugs that are seeded for them.
        (Mates::Acyclic, &["sync", "seeded"]),
    ],
    for_tests: &["models"],
};

const ADAPTERS: Table = Table {
    sources: &["adapters/sqlite/src/", "adapters/postgres/src/", "adapters/mysql/src/"],
    rows: &[
        // Ready-made pools.
        (Mates::Apart, &["pools"]),
        // The traits of others, for our types: the pool's contract and transactions, and a driver's own.
        (Mates::Acyclic, &["contract", "transaction", "queryable"]),
        // What the contract does in more than a few lines. Abort handles are made of a connection, and open none.
        (Mates::Apart, &["open", "reset", "abort"]),
        // What is lent.
        (Mates::Acyclic, &["connection", "statements", "unread"]),
        // Settings, and what is remembered of the hosts in them; no I/O.
        (Mates::Acyclic, &["manager", "source", "hosts", "role"]),
        // How long the steps of connecting may take.
        (Mates::Apart, &["bounds"]),
        // What stands between a driver and its socket.
        (Mates::Acyclic, &["connector", "stream", "tap"]),
        // What a session was, and what its holders may have left in it.
        (
            Mates::Acyclic,
            &["tracker", "hooks", "watch", "schema", "tokens", "health", "questions", "baseline", "identity"],
        ),
        // What a pragma does to a session.
        (Mates::Apart, &["pragmas"]),
        // What a text does to a session.
        (Mates::Apart, &["sql"]),
        // The protocol alone.
        (Mates::Apart, &["wire"]),
        // What an error means for the pool.
        (Mates::Acyclic, &["fault", "error"]),
        // Sockets alone: looking at one, and ending what runs on it.
        (Mates::Apart, &["socket"]),
    ],
    for_tests: &[],
};

/// What the modules of one row may do with each other.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Mates {
    /// Not use each other.
    Apart,
    /// Use each other, but not in a circle.
    Acyclic,
    /// Use each other freely.
    Together,
}

impl Table {
    /// The row of a module, counted from the top, and the table's own copy of its name.
    pub(super) fn find(&self, module: &str) -> Option<(usize, &'static str)> {
        self.rows.iter().enumerate().find_map(|(row, (_, modules))| {
            let name = modules.iter().find(|name| **name == module)?;
            Some((row, *name))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace;

    #[test]
    fn no_table_names_a_module_that_no_crate_has_or_one_twice() {
        let files = workspace::files().unwrap();
        for table in TABLES {
            for (row, (_, modules)) in table.rows.iter().enumerate() {
                for module in *modules {
                    let is_it = |path: &str| path == format!("{module}.rs") || path == format!("{module}/mod.rs");
                    let in_source =
                        |source: &&str| files.iter().any(|file| file.path.strip_prefix(*source).is_some_and(is_it));
                    assert!(table.sources.iter().any(in_source), "no crate has `{module}`");
                    assert_eq!(table.find(module), Some((row, *module)), "it is in two rows");
                }
            }
        }
    }
}
