//! The tables of rows: the order of the modules of each crate. `imports.rs` checks the sources against them.
//!
//! Edit a table together with its picture in ARCHITECTURE.md.

/// An order of modules, and the crates that follow it.
pub(super) struct Table {
    /// The folders of the crates' sources. A module's name means the same job in each of them.
    pub(super) sources: &'static [&'static str],
    /// From top to bottom. A module may use the rows below its own; `Mates` is the rule within the row.
    pub(super) rows: &'static [(Mates, &'static [&'static str])],
    /// Modules for tests may use everything, and nothing may use them.
    pub(super) for_tests: &'static [&'static str],
}

pub(super) const TABLES: &[Table] = &[CORE, ADAPTERS];

const CORE: Table = Table {
    sources: &["pool/src/"],
    rows: &[
        // The public API.
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
        // Mechanisms that do not depend on a pool.
        (Mates::Acyclic, &["gate", "waiter", "entry", "workers", "slots", "queue", "caches", "meter", "answer"]),
        // Types, traits, texts.
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
        // Foreign code with its panics contained; durations and counts in texts.
        (Mates::Apart, &["contain", "figures"]),
        // std, or loom or shuttle in the models; and the bugs seeded for them.
        (Mates::Acyclic, &["sync", "seeded"]),
    ],
    for_tests: &["models"],
};

const ADAPTERS: Table = Table {
    sources: &["adapters/sqlite/src/", "adapters/postgres/src/", "adapters/mysql/src/"],
    rows: &[
        // Ready-made pools.
        (Mates::Apart, &["pools"]),
        // Foreign traits: the pool's contract and transactions, and the driver's own.
        (Mates::Acyclic, &["contract", "transaction", "queryable"]),
        // The longer parts of the contract. Abort handles are made from a connection, and open none.
        (Mates::Apart, &["open", "reset", "abort"]),
        // The connection that is lent.
        (Mates::Acyclic, &["connection", "statements", "unread"]),
        // Settings, and the history of the hosts in them; no I/O.
        (Mates::Acyclic, &["manager", "source", "hosts", "role"]),
        // The time limits of the steps of connecting.
        (Mates::Apart, &["bounds"]),
        // The adapter's layers between a driver and its socket.
        (Mates::Acyclic, &["connector", "stream", "tap"]),
        // A session's original state, and the traces that holders may have left in it.
        (
            Mates::Acyclic,
            &["tracker", "hooks", "watch", "schema", "tokens", "health", "questions", "baseline", "identity"],
        ),
        // The effects of a pragma on a session.
        (Mates::Apart, &["pragmas"]),
        // The effects of a text on a session.
        (Mates::Apart, &["sql"]),
        // Only the protocol.
        (Mates::Apart, &["wire"]),
        // The meaning of an error for the pool.
        (Mates::Acyclic, &["fault", "error"]),
        // Only sockets: inspecting one, and shutting it down.
        (Mates::Apart, &["socket"]),
    ],
    for_tests: &[],
};

/// How the modules of one row may use each other.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Mates {
    /// Not at all.
    Apart,
    /// But not in a circle.
    Acyclic,
    /// Freely.
    Together,
}

impl Table {
    /// The row of a module, counted from the top, and its name in the table.
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
