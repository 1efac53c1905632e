//! The unmodified application, used like by its clients; and that the pool of its framework is the one of this repository.

use diesel::SqliteConnection;
use rocket::error::ErrorKind;
use rocket::figment::Figment;
use rocket::figment::util::map;
use rocket::figment::value::{Map, Value};
use rocket::futures::future::join_all;
use rocket::http::Status;
use rocket::local::{asynchronous, blocking};
use rocket_program::rocket;
use rocket_sync_db_pools::Poolable;
use std::path::Path;
use std::time::Duration;

#[test]
fn requests_write_and_read() {
    let folder = tempfile::tempdir().unwrap();
    let client = blocking::Client::tracked(rocket(on(folder.path()))).unwrap();
    for text in ["one", "two"] {
        assert_eq!(client.post("/notes").body(text).dispatch().status(), Status::Created);
    }
    assert_eq!(client.get("/notes").dispatch().into_string().unwrap(), "one\ntwo");
}

#[test]
fn a_transaction_is_all_or_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let client = blocking::Client::tracked(rocket(on(folder.path()))).unwrap();
    let answer = |lines: &'static str| client.post("/notes/lines").body(lines).dispatch().status();
    assert_eq!(answer("one\ntwo"), Status::Created);
    assert_eq!(answer("three\n\nfour"), Status::UnprocessableEntity);
    assert_eq!(client.get("/notes").dispatch().into_string().unwrap(), "one\ntwo");
}

#[test]
fn handlers_that_panic_cost_no_capacity() {
    let folder = tempfile::tempdir().unwrap();
    let client = blocking::Client::tracked(rocket(on(folder.path()))).unwrap();
    for _ in 0..SIZE * 2 {
        assert_eq!(client.get("/fail").dispatch().status(), Status::InternalServerError);
    }
    assert_eq!(client.get("/notes").dispatch().status(), Status::Ok);
}

#[rocket::async_test]
async fn many_requests_share_few_connections() {
    let folder = tempfile::tempdir().unwrap();
    let client = asynchronous::Client::tracked(rocket(on(folder.path()))).await.unwrap();
    let answers = join_all((0..32).map(|_| client.post("/notes").body("x").dispatch())).await;
    assert!(answers.iter().all(|answer| answer.status() == Status::Created));
    let notes = client.get("/notes").dispatch().await.into_string().await.unwrap();
    assert_eq!(notes.lines().count(), 32);
}

/// The framework hides the pool, and itself limits how many requests wait for one. So this builds a pool as the framework does for the
/// application.
#[test]
fn the_pool_is_this_one() {
    let folder = tempfile::tempdir().unwrap();
    let pool = SqliteConnection::pool("notes", &rocket(on(folder.path()))).unwrap();
    let held: Vec<_> = (0..SIZE).map(|_| pool.get().unwrap()).collect();
    let (stats, holders) = (pool.cabrank().stats(), pool.cabrank().holders());
    assert_eq!((stats.max_size, stats.in_use, holders.len()), (SIZE, SIZE, held.len()));
    let error = pool.get_timeout(Duration::from_millis(50)).err().expect("nothing is left").to_string();
    let report = ["pool \"r2d2\" (max_size 4) has 4 in use", &format!("4 checked out at {}:", file!())];
    assert!(report.iter().all(|words| error.contains(words)), "{error}");
}

#[test]
fn a_database_that_cannot_be_opened_stops_the_launch() {
    let folder = tempfile::tempdir().unwrap();
    let launched = blocking::Client::tracked(rocket(on(&folder.path().join("missing"))));
    let error = launched.expect_err("there is no such folder");
    assert!(matches!(error.kind(), ErrorKind::FailedFairings(_)), "{error}");
}

/// The configuration for a database in this folder.
fn on(folder: &Path) -> Figment {
    let url = folder.join("notes.db").to_str().expect("plain names").to_owned();
    let database: Map<_, Value> = map! { "url" => url.into(), "pool_size" => SIZE.into(), "timeout" => 5.into() };
    Figment::from(rocket::Config::debug_default())
        .merge(("log_level", "off"))
        .merge(("databases", map!["notes" => database]))
}

const SIZE: u32 = 4;
