//! On SQLite.

crate::accounts::program!(SqliteConnection);

fn set_up(conn: &mut SqliteConnection) -> QueryResult<()> {
    diesel::sql_query("PRAGMA busy_timeout = 10000").execute(conn).map(drop)
}

fn copy(conn: &mut Conn) -> Done {
    let new = [Account::new(3, "Cleo", 7), Account::new(4, "Dan", 8)];
    let rows = diesel::insert_into(accounts::table).values(&new[..]).execute(conn)?;
    println!("copied: {rows}");
    Ok(())
}
