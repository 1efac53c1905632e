//! The order of imports in the core: the table of rows, and the check that each file uses only what lies below it.

use super::{Finding, code};
use crate::workspace::File;
use std::collections::{BTreeMap, BTreeSet};

/// The core from top to bottom. A module may use the rows below its own; the row's word says what mates may do.
/// Edit the table together with the picture in ARCHITECTURE.md.
const ROWS: &[(Mates, &[&str])] = &[
    // The face.
    (Mates::Together, &["pool", "builder", "closing", "transact"]),
    (Mates::Apart, &["guard"]),
    // The three routes: none calls another.
    (Mates::Apart, &["checkout", "checkin", "driver_calls"]),
    // The only place that locks the state.
    (Mates::Apart, &["shared"]),
    // Pure bookkeeping.
    (Mates::Apart, &["state"]),
    // Mechanisms that know no pool.
    (Mates::Acyclic, &["gate", "waiter", "entry", "workers", "slots", "queue"]),
    // Vocabulary.
    (Mates::Acyclic, &["manager", "error", "event", "stats", "config", "limit", "reason", "trace"]),
    (Mates::Apart, &["contain"]),
    // std, or loom in the models.
    (Mates::Apart, &["sync"]),
];

/// Modules that exist for tests alone may use everything, and nothing may use them.
const FOR_TESTS: &[&str] = &["models"];

/// What the modules of one row may do with each other.
#[derive(Clone, Copy, PartialEq)]
enum Mates {
    /// Not use each other.
    Apart,
    /// Use each other, but not in a circle.
    Acyclic,
    /// Use each other freely.
    Together,
}

pub(super) fn one_way(files: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut uses_of_mates: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (module, file) in files.iter().filter_map(|file| Some((module(&file.path)?, file))) {
        if module == "lib" || FOR_TESTS.contains(&module) || file.path.ends_with("/tests.rs") {
            continue;
        }
        let Some(own) = row(module) else {
            findings.push(Finding::whole(&file.path, "is in no row of the table in xtask/src/tidy/imports.rs"));
            continue;
        };
        for found in used(file) {
            let name = found.path.split("::").nth(1).unwrap_or_default();
            let mut complain = |what: String| findings.push(Finding::new(&file.path, found.line, what));
            let Some((other, used)) = known(name) else {
                complain(format!("`{}` must be imported from its module, which must be in the table", found.path));
                continue;
            };
            if used == module {
                continue;
            }
            if other < own {
                complain(format!("`{module}` uses `{used}`, which lies above it"));
            } else if other == own {
                match ROWS[own].0 {
                    Mates::Apart => complain(format!("`{module}` uses `{used}`, from which it must stay apart")),
                    Mates::Acyclic => _ = uses_of_mates.entry(own_name(own, module)).or_default().insert(used),
                    Mates::Together => {}
                }
            }
        }
    }
    for (module, mates) in &uses_of_mates {
        for mate in mates.iter().filter(|mate| reaches(&uses_of_mates, mate, module)) {
            let what = format!("`{module}` uses `{mate}`, which uses it in turn, or by way of others of its row");
            findings.push(Finding::whole(&format!("pool/src/{module}.rs"), what));
        }
    }
    findings
}

/// The module that a file of the core belongs to: `state` for `pool/src/state.rs` and for what lies in `pool/src/state/`.
fn module(path: &str) -> Option<&str> {
    let rest = path.strip_prefix("pool/src/").filter(|rest| rest.ends_with(".rs"))?;
    Some(rest.split(['/', '.']).next().unwrap_or(rest))
}

/// The paths into the crate. In a file directly under `src`, `super` outside of an inline module is the crate's root too.
fn used(file: &File) -> Vec<code::Found> {
    let code = code::shipped(&file.text);
    let mut found = code::paths(&code, "crate");
    if file.path.matches('/').count() == 2 {
        found.extend(code::paths(&code, "super"));
    }
    found
}

fn row(module: &str) -> Option<usize> {
    ROWS.iter().position(|(_, modules)| modules.contains(&module))
}

fn known(name: &str) -> Option<(usize, &'static str)> {
    let row = row(name)?;
    Some((row, own_name(row, name)))
}

/// The table's own copy of a name, which outlives the file it was read from.
fn own_name(row: usize, name: &str) -> &'static str {
    ROWS[row].1.iter().copied().find(|module| *module == name).expect("the module is in that row")
}

fn reaches(uses: &BTreeMap<&str, BTreeSet<&str>>, from: &str, goal: &str) -> bool {
    let mut seen = BTreeSet::new();
    let mut open = vec![from];
    while let Some(module) = open.pop() {
        for next in uses.get(module).into_iter().flatten() {
            if *next == goal {
                return true;
            }
            if seen.insert(*next) {
                open.push(next);
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    fn complaints(path: &str, text: &str) -> Vec<String> {
        one_way(&[file(path, text)]).into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn a_module_may_use_what_lies_below_it() {
        assert!(complaints("pool/src/checkout.rs", "use crate::{shared::Shared, sync, state::{A, B}};").is_empty());
        assert!(complaints("pool/src/state/idle.rs", "use crate::state::A; use super::X;").is_empty());
    }

    #[test]
    fn a_module_may_not_use_what_lies_above_it() {
        assert_eq!(
            complaints("pool/src/state.rs", "\nuse crate::shared::X;"),
            ["`state` uses `shared`, which lies above it"]
        );
        assert_eq!(complaints("pool/src/state/idle.rs", "fn f() { crate::pool::g() }").len(), 1);
        assert_eq!(complaints("pool/src/sync.rs", "use super::stats::X;").len(), 1);
    }

    #[test]
    fn the_routes_may_not_use_each_other() {
        assert_eq!(complaints("pool/src/checkout.rs", "use crate::checkin::put;").len(), 1);
    }

    #[test]
    fn mates_may_use_each_other_but_not_in_a_circle() {
        let gate = || file("pool/src/gate.rs", "use crate::queue::Q;");
        assert!(one_way(&[gate()]).is_empty());
        let queue = file("pool/src/queue.rs", "use crate::slots::S;");
        let slots = file("pool/src/slots.rs", "use crate::gate::G;");
        // Each of the three is on the circle.
        assert_eq!(one_way(&[gate(), queue, slots]).len(), 3);
    }

    #[test]
    fn the_order_cannot_be_passed_by_through_the_root_or_by_a_new_file() {
        assert_eq!(complaints("pool/src/state.rs", "use crate::Pool;").len(), 1);
        assert_eq!(complaints("pool/src/state.rs", "use crate::*;").len(), 1);
        assert_eq!(complaints("pool/src/unheard_of.rs", "").len(), 1);
        assert_eq!(complaints("pool/src/state.rs", "use crate::models::X;").len(), 1);
    }

    #[test]
    fn comments_and_tests_may_name_everything() {
        assert!(
            complaints(
                "pool/src/state.rs",
                "/// See [`crate::pool`].\n#[cfg(test)]\nmod tests { use crate::pool::X; }"
            )
            .is_empty()
        );
        assert!(complaints("pool/src/models/mod.rs", "use crate::pool::X;").is_empty());
        assert!(complaints("pool/src/lib.rs", "pub use crate::pool::X;").is_empty());
    }

    #[test]
    fn the_core_keeps_to_it() {
        assert_eq!(one_way(&crate::workspace::files().unwrap()), []);
    }
}
