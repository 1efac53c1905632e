//! On MySQL and MariaDB.

crate::accounts::program!(MysqlConnection);

fn set_up(conn: &mut MysqlConnection) -> QueryResult<()> {
    diesel::sql_query("SET SESSION wait_timeout = 600").execute(conn).map(drop)
}

fn copy(conn: &mut Conn) -> Done {
    let new = [Account::new(3, "Cleo", 7), Account::new(4, "Dan", 8)];
    let rows = diesel::insert_into(accounts::table).values(&new[..]).execute(conn)?;
    println!("copied: {rows}");
    Ok(())
}
