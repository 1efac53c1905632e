//! The manifest in docs/cloud. `cargo xtask ci` tests whether Kubernetes accepts it; this tests whether a pool accepts its settings.

use crate::frozen::{is_over, recipe};
use crate::postgres::Postgres;
use crate::subject::{Remote, Subject};
use integration_tests::{Borrower, Case, Needs};

pub(crate) fn cases(cases: &mut Vec<Case>) {
    cases.push(Case {
        engine: Postgres::ENGINE,
        name: "manifest::a_pool_takes_the_settings_of_the_manifest",
        needs: Needs::Server,
        run: a_pool_takes_the_settings_of_the_manifest,
    });
}

fn a_pool_takes_the_settings_of_the_manifest() {
    let subject = Postgres::new();
    subject.watch().expect("it has a server").allow(8);
    let mut recipe = recipe(subject.database().url(), 1);
    let lines = MANIFEST.lines().filter_map(|line| line.trim().split_once(": "));
    let settings = lines.filter(|(name, _)| name.starts_with("DB_POOL_"));
    recipe.variables = settings.map(|(name, value)| (name, value.trim_matches('"').to_owned())).collect();
    let names: Vec<_> = recipe.variables.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["DB_POOL_MAX_SIZE", "DB_POOL_ACQUIRE_TIMEOUT", "DB_POOL_IDLE_TIMEOUT"]);
    let mut borrower = Borrower::start(&recipe).expect("a process whose pool takes them");
    borrower.have("take");
    assert_eq!(borrower.stats()["max_size"], 8);
    borrower.have("give");
    is_over(&subject, borrower);
    recipe.variables.push(("DB_POOL_MAX_SIZES", "8".into()));
    let refused = Borrower::start(&recipe).expect_err("a name that is misspelt");
    assert!(format!("{refused:#}").contains("DB_POOL_MAX_SIZE"), "{refused:#}");
}

const MANIFEST: &str = include_str!("../../../docs/cloud/deployment.yaml");
