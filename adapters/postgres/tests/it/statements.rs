//! The cache of prepared statements.

use crate::fixture::{Server, builder};
use crate::proxy::Proxy;
use cabrank_postgres::PostgresManager;
use cabrank_postgres::postgres::NoTls;

#[test]
fn a_cached_statement_is_prepared_once_and_survives_a_reset() {
    let Some(server) = Server::find() else { return };
    let proxy = Proxy::to(&server.config);
    let pool = builder().max_size(1).build(PostgresManager::new(proxy.config(&server.config), NoTls)).expect("a pool");
    proxy.take();
    for round in 0..4 {
        let mut conn = pool.get().expect("a connection");
        let statement = conn.prepare_cached("SELECT $1::int + 1").expect("a statement");
        assert_eq!(conn.query_one(&statement, &[&round]).expect("a row").get::<_, i32>(0), round + 1);
        if round == 1 {
            conn.batch_execute("SET work_mem = '1MB'").expect("no error");
        }
    }
    let messages = proxy.take();
    assert_eq!(messages.iter().filter(|message| *message == "P").count(), 1, "{messages:?}");
    assert_eq!((pool.stats().resets_done, pool.stats().opened), (1, 1));
}

#[test]
fn the_cache_holds_as_many_as_it_was_told() {
    let Some(server) = Server::find() else { return };
    let pool = builder().max_size(1).build(server.manager().statement_cache(2)).expect("a pool");
    let mut conn = pool.get().expect("a connection");
    for sql in ["SELECT 1", "SELECT 2", "SELECT 1", "SELECT 3"] {
        conn.prepare_cached(sql).expect("a statement");
    }
    let at_the_server = "SELECT statement FROM pg_prepared_statements WHERE statement ~ '^SELECT \\d$' ORDER BY 1";
    let kept = conn.simple_query(at_the_server).expect("rows").iter().filter_map(text).collect::<Vec<_>>();
    assert_eq!(kept, ["SELECT 1", "SELECT 3"], "the one not used for longest has gone");
    conn.clear_statement_cache();
    let kept = conn.simple_query(at_the_server).expect("rows").iter().filter_map(text).collect::<Vec<_>>();
    assert!(kept.is_empty(), "{kept:?}");
}

fn text(message: &cabrank_postgres::postgres::SimpleQueryMessage) -> Option<String> {
    match message {
        cabrank_postgres::postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    }
}

/// The reset must not take away what the driver itself has prepared to look up types.
#[test]
fn types_of_ones_own_are_found_after_a_reset() {
    let Some(server) = Server::find() else { return };
    let types = "DROP TYPE IF EXISTS cached_mood, cached_taste; \
        CREATE TYPE cached_mood AS ENUM ('sad'); CREATE TYPE cached_taste AS ENUM ('sour')";
    server.client().batch_execute(types).expect("types");
    let pool = server.pool(1);
    for sql in ["SELECT 'sad'::cached_mood", "SELECT 'sour'::cached_taste"] {
        let mut conn = pool.get().expect("a connection");
        conn.query_one(sql, &[]).expect("a row");
        conn.batch_execute("SET work_mem = '1MB'").expect("no error");
    }
    drop(pool.get().expect("a connection"));
    assert_eq!((pool.stats().resets_done, pool.stats().opened), (2, 1));
}
