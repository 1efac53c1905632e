//! The order of imports: each file of a crate uses only the modules below its own, by the tables in `rows.rs`.

use super::rows::{Mates, TABLES, Table};
use super::{Finding, code};
use crate::workspace::File;
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn one_way(files: &[File]) -> Vec<Finding> {
    let crates = TABLES.iter().flat_map(|table| table.sources.iter().map(move |source| (table, *source)));
    crates.flat_map(|(table, source)| in_crate(table, source, files)).collect()
}

fn in_crate(table: &Table, source: &str, files: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut circles = Circles::default();
    for (file, path) in files.iter().filter_map(|file| Some((file, file.path.strip_prefix(source)?))) {
        let Some(module) = module(path) else { continue };
        if module == "lib" || table.for_tests.contains(&module) || path.ends_with("/tests.rs") {
            continue;
        }
        let Some((own, module)) = table.find(module) else {
            findings.push(Finding::whole(&file.path, "is in no row of the table in xtask/src/tidy/rows.rs"));
            continue;
        };
        for found in used(file, path) {
            let name = found.path.split("::").nth(1).unwrap_or_default();
            let finding = |what: String| Finding::new(&file.path, found.line, what);
            let Some((other, used)) = table.find(name) else {
                let what = format!("`{}` must be imported from its module, which must be in the table", found.path);
                findings.push(finding(what));
                continue;
            };
            if used == module {
                continue;
            }
            if other < own {
                findings.push(finding(format!("`{module}` uses `{used}`, which lies above it")));
            } else if other == own {
                match table.rows[own].0 {
                    Mates::Apart => {
                        findings.push(finding(format!("`{module}` uses `{used}`, from which it must stay apart")));
                    }
                    Mates::Acyclic => circles.add(module, used, finding),
                    Mates::Together => {}
                }
            }
        }
    }
    findings.extend(circles.find());
    findings
}

/// The module of a file, by its path below `src/`: its name, or that of its folder for the files in one.
fn module(path: &str) -> Option<&str> {
    path.ends_with(".rs").then(|| path.split(['/', '.']).next().unwrap_or(path))
}

/// The paths into the crate. In a module's first file, `super` outside of an inline module is also the crate's root.
fn used(file: &File, path: &str) -> Vec<code::Found> {
    let code = code::shipped(&file.text);
    let mut found = code::paths(&code, "crate");
    let begins_module = match path.split_once('/') {
        None => true,
        Some((_, rest)) => rest == "mod.rs",
    };
    if begins_module {
        found.extend(code::paths(&code, "super"));
    }
    found
}

/// The uses among the modules of one row, each with its finding in case it is part of a circle.
#[derive(Default)]
struct Circles {
    uses: BTreeMap<&'static str, BTreeMap<&'static str, Finding>>,
}

impl Circles {
    /// Records only the first use of a mate.
    fn add(&mut self, module: &'static str, mate: &'static str, finding: impl FnOnce(String) -> Finding) {
        let what = || format!("`{module}` uses `{mate}`, which uses it in turn, directly or through others of its row");
        self.uses.entry(module).or_default().entry(mate).or_insert_with(|| finding(what()));
    }

    fn find(self) -> Vec<Finding> {
        let each =
            self.uses.iter().flat_map(|(module, mates)| mates.iter().map(move |(mate, found)| (module, mate, found)));
        each.filter(|(module, mate, _)| self.reaches(mate, module)).map(|(_, _, finding)| finding.clone()).collect()
    }

    fn reaches(&self, from: &'static str, goal: &str) -> bool {
        let mut seen = BTreeSet::new();
        let mut open = vec![from];
        while let Some(module) = open.pop() {
            if module == goal {
                return true;
            }
            if seen.insert(module) {
                open.extend(self.uses.get(module).into_iter().flat_map(BTreeMap::keys));
            }
        }
        false
    }
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
    fn where_a_folder_begins_the_root_is_one_step_up() {
        assert_eq!(complaints("pool/src/state/mod.rs", "use super::pool::X;").len(), 1);
        assert!(complaints("pool/src/state/idle.rs", "use super::pool::X;").is_empty(), "there `super` is the folder");
    }

    #[test]
    fn an_adapter_may_use_what_lies_below_and_nothing_above() {
        let path = "adapters/postgres/src/tracker/mod.rs";
        assert!(complaints(path, "use crate::sql::Effect; use crate::wire::{Answer, Request};").is_empty());
        assert_eq!(
            complaints("adapters/postgres/src/wire/framer.rs", "use crate::tracker::Tracker;"),
            ["`wire` uses `tracker`, which lies above it"]
        );
        assert_eq!(
            complaints("adapters/mysql/src/socket/unix.rs", "use crate::fault::fault;"),
            ["`socket` uses `fault`, which lies above it"]
        );
        assert_eq!(complaints("adapters/sqlite/src/manager.rs", "use crate::connection::Connection;").len(), 1);
    }

    #[test]
    fn opening_resetting_and_aborting_stay_apart() {
        assert_eq!(
            complaints("adapters/mysql/src/open.rs", "use crate::{fault, reset};"),
            ["`open` uses `reset`, from which it must stay apart"]
        );
    }

    #[test]
    fn no_adapter_has_a_circle() {
        let tracker = |adapter| {
            file(&format!("adapters/{adapter}/src/tracker.rs"), "\nuse crate::baseline::B;\nuse crate::baseline::C;")
        };
        let baseline = |adapter| file(&format!("adapters/{adapter}/src/baseline.rs"), "use crate::tracker::T;");
        let found = one_way(&[tracker("mysql"), baseline("mysql")]);
        let places: Vec<_> = found.iter().map(|finding| (finding.path.as_str(), finding.line)).collect();
        assert_eq!(places, [("adapters/mysql/src/baseline.rs", 1), ("adapters/mysql/src/tracker.rs", 2)]);
        assert!(one_way(&[tracker("mysql"), baseline("sqlite")]).is_empty(), "these are two crates");
    }

    #[test]
    fn an_adapter_has_no_module_of_its_own_kind() {
        let what = ["is in no row of the table in xtask/src/tidy/rows.rs"];
        for path in ["adapters/mysql/src/harmless.rs", "adapters/sqlite/src/traces/mod.rs", "pool/src/socket.rs"] {
            assert_eq!(complaints(path, ""), what, "{path}");
        }
        assert_eq!(complaints("adapters/postgres/src/open.rs", "use crate::Pool;").len(), 1);
    }

    #[test]
    fn the_core_keeps_to_it() {
        assert_eq!(found_below("pool/"), []);
    }

    #[test]
    fn the_adapters_keep_to_it() {
        assert_eq!(found_below("adapters/"), []);
    }

    fn found_below(folder: &str) -> Vec<Finding> {
        let found = one_way(&crate::workspace::files().unwrap());
        found.into_iter().filter(|finding| finding.path.starts_with(folder)).collect()
    }
}
