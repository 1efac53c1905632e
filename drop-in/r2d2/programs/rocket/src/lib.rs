//! Notes in an SQLite database, with Rocket, Diesel and `rocket_sync_db_pools`, as their docs show it.
//!
//! The code does not depend on a particular pool: the workspace's manifest decides which crate `r2d2` is.

use diesel::prelude::*;
use diesel::result::Error;
use rocket::fairing;
use rocket::fairing::AdHoc;
use rocket::figment::Figment;
use rocket::http::Status;
use rocket::response::Debug;
use rocket::{Build, Rocket, get, post, routes};
use rocket_sync_db_pools::database;

diesel::table! {
    notes (id) {
        id -> Integer,
        text -> Text,
    }
}

#[database("notes")]
struct Db(diesel::SqliteConnection);

/// The application before its launch. Its database is `databases.notes` of the configuration.
pub fn rocket(figment: Figment) -> Rocket<Build> {
    rocket::custom(figment)
        .attach(Db::fairing())
        .attach(AdHoc::try_on_ignite("the table", create_table))
        .mount("/", routes![list, add, add_all, fail])
}

async fn create_table(rocket: Rocket<Build>) -> fairing::Result {
    let create = "CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL)";
    let Some(db) = Db::get_one(&rocket).await else { return Err(rocket) };
    match db.run(move |conn| diesel::sql_query(create).execute(conn)).await {
        Ok(_) => Ok(rocket),
        Err(_) => Err(rocket),
    }
}

#[get("/notes")]
async fn list(db: Db) -> Result<String, Debug<Error>> {
    let texts: Vec<String> = db.run(|conn| notes::table.order(notes::id).select(notes::text).load(conn)).await?;
    Ok(texts.join("\n"))
}

#[post("/notes", data = "<text>")]
async fn add(db: Db, text: String) -> Result<Status, Debug<Error>> {
    db.run(move |conn| insert(conn, &text)).await?;
    Ok(Status::Created)
}

/// Saves each line as a note. If one is empty, the request fails and saves none.
#[post("/notes/lines", data = "<text>")]
async fn add_all(db: Db, text: String) -> Result<Status, Debug<Error>> {
    let added = db.run(move |conn| {
        conn.transaction(|conn| {
            text.split('\n').try_for_each(|line| match line {
                "" => Err(Error::RollbackTransaction),
                line => insert(conn, line),
            })
        })
    });
    match added.await {
        Err(Error::RollbackTransaction) => Ok(Status::UnprocessableEntity),
        added => Ok(added.map(|()| Status::Created)?),
    }
}

/// A handler with a bug.
#[get("/fail")]
async fn fail(db: Db) -> String {
    db.run(|_| panic!("on purpose")).await
}

fn insert(conn: &mut SqliteConnection, text: &str) -> Result<(), Error> {
    diesel::insert_into(notes::table).values(notes::text.eq(text)).execute(conn).map(drop)
}
