//! Uses numbers as statements.

use super::{Asked, Statements, Texts};
use crate::schema::SchemaChanges;
use mysql::{Error, MySqlError};

const KEPT: Asked = Asked::Kept { is_harmless: true };

/// Like the connection: prepares a text for one use, and closes surplus statements.
fn prepare(statements: &mut Statements<u32>, id: u32, length: usize) -> Vec<u32> {
    statements.prepared(id, id, &"x".repeat(length), true);
    surplus(statements)
}

fn surplus(statements: &mut Statements<u32>) -> Vec<u32> {
    std::iter::from_fn(|| statements.next_surplus()).collect()
}

fn statements(capacity: usize) -> Statements<u32> {
    Statements::new(capacity, SchemaChanges::default())
}

fn server(code: u16) -> Error {
    Error::MySqlError(MySqlError { state: "HY000".into(), message: String::new(), code })
}

#[test]
fn the_one_that_the_driver_has_closed_is_forgotten() {
    let mut statements = statements(2);
    assert!(prepare(&mut statements, 1, 10).is_empty() && prepare(&mut statements, 2, 10).is_empty());
    assert_eq!(statements.asked_for(1), KEPT);
    assert!(prepare(&mut statements, 3, 10).is_empty());
    assert_eq!([1, 2, 3].map(|id| statements.asked_for(id)), [KEPT, Asked::New, KEPT]);
}

#[test]
fn a_holder_who_prepares_without_end_does_not_fill_the_memory() {
    let mut statements = statements(32);
    for id in 0..3_000 {
        statements.prepared(id, id, "SELECT 1+1", true);
        statements.hold(id);
    }
    assert_eq!((statements.known.len(), statements.holds), (32, 32));
    statements.hand_on();
    assert_eq!(statements.texts, Texts { length: 320, long: 0 });
}

#[test]
fn what_no_driver_keeps_is_closed_after_its_use() {
    let mut statements = statements(0);
    assert_eq!(prepare(&mut statements, 1, 10), [1]);
    statements.prepared(2, 2, "SELECT 1+1", true);
    statements.hold(2);
    assert!(surplus(&mut statements).is_empty());
    statements.hand_on();
    assert_eq!(surplus(&mut statements), [2]);
}

#[test]
fn texts_are_kept_up_to_32_kib_each_and_1_mib_together() {
    let mut statements = statements(1_000);
    assert!(prepare(&mut statements, 1, 32 * 1024).is_empty());
    assert_eq!(prepare(&mut statements, 2, 32 * 1024 + 1), [2]);
    assert!((3..=33).all(|id| prepare(&mut statements, id, 32 * 1024).is_empty()));
    assert_eq!(prepare(&mut statements, 34, 1), [1], "the first goes");
}

#[test]
fn what_the_holder_has_is_not_closed_before_the_loan_ends() {
    let mut statements = statements(32);
    for id in 1..=3 {
        statements.prepared(id, id, &"x".repeat(1024 * 1024), true);
        statements.hold(id);
    }
    assert_eq!((surplus(&mut statements), statements.next_unheld()), (vec![], None));
    statements.hand_on();
    assert_eq!(surplus(&mut statements), [1, 2, 3]);
}

#[test]
fn a_stale_one_has_all_that_are_not_held_prepared_anew_on_all_connections() {
    let changes = SchemaChanges::default();
    let [mut one, mut other] = [(); 2].map(|()| Statements::<u32>::new(32, changes.clone()));
    for id in 1..=3 {
        one.prepared(id, id, "SELECT 1", true);
        other.prepared(id, id, "SELECT 1", true);
    }
    one.hold(1);
    one.hold(2);
    one.hold(3);
    one.let_go(3);
    one.met(3, &server(1062));
    assert_eq!(one.asked_for(3), KEPT);
    one.met(1, &server(1615));
    assert_eq!([1, 2, 3].map(|id| one.asked_for(id)), [Asked::Stale, KEPT, Asked::Stale]);
    assert_eq!([1, 2, 3].map(|id| other.asked_for(id)), [Asked::Stale, Asked::Stale, Asked::Stale]);
    other.prepared(2, 2, "SELECT 1", true);
    one.met(7, &server(1243));
    assert_eq!(other.asked_for(2), KEPT, "nobody has prepared number 7 here");
}

#[test]
fn what_was_prepared_before_names_changed_their_meaning_is_prepared_anew() {
    let mut statements = statements(32);
    statements.prepared(1, 1, "SELECT 1", true);
    statements.prepared(2, 2, "SET @a = 1", false);
    statements.prepared(3, 3, "SET sql_mode = ''", false);
    statements.hold(1);
    assert_eq!([1, 2].map(|id| statements.executed(id)), [Some(true), Some(false)]);
    assert_eq!(statements.asked_for(1), KEPT);
    assert_eq!(statements.executed(3), Some(false));
    assert_eq!(statements.asked_for(1), Asked::Stale, "though it is held");
    statements.prepared(4, 4, "SELECT 1", true);
    assert_eq!(statements.asked_for(4), KEPT);
    statements.rebind();
    assert_eq!(statements.asked_for(4), Asked::Stale);
}
