//! On PostgreSQL, the only backend with COPY.

use diesel::pg::CopyFormat;

crate::accounts::program!(PgConnection);

fn set_up(conn: &mut PgConnection) -> QueryResult<()> {
    diesel::sql_query("SET application_name = 'accounts'").execute(conn).map(drop)
}

fn copy(conn: &mut Conn) -> Done {
    let rows = diesel::copy_from(accounts::table)
        .from_raw_data(accounts::table, |copy| {
            writeln!(copy, "3,Cleo,7")
                .and_then(|()| writeln!(copy, "4,Dan,8"))
                .map_err(|error| diesel::result::Error::SerializationError(error.into()))
        })
        .with_format(CopyFormat::Csv)
        .execute(conn)?;
    println!("copied: {rows}");
    Ok(())
}
