//! The client of `redis` with its feature `r2d2`, on Redis.

use crate::support;
use crate::support::{SUM, crowd, ends_well, url_of};
use cabrank_testing::harness::alone;
use redis::{Client, Commands, Connection, RedisError};

fn client() -> Client {
    Client::open(url_of("redis")).unwrap()
}

/// As in the crate's docs: the client is the manager.
fn as_its_docs_show() {
    let client = redis::Client::open(url_of("redis")).unwrap();
    let pool = r2d2::Pool::builder().build(client).unwrap();
    let mut conn = pool.get().unwrap();

    let _: () = conn.set("r2d2:key", "VALUE").unwrap();
    let value: String = conn.get("r2d2:key").unwrap();
    assert_eq!(value, "VALUE");
    // The guard is accepted in place of a connection.
    redis::cmd("DEL").arg("r2d2:key").exec(&mut conn).unwrap();
    assert_eq!(pool.cabrank().stats().max_size, 10, "r2d2's default");
    drop(conn);
    ends_well(&pool);
}

fn a_transaction_changes_all_or_nothing() {
    let pool = r2d2::Pool::builder().max_size(1).build(client()).unwrap();
    let mut conn = pool.get().unwrap();
    let key = "r2d2:kept";
    let _: () = conn.set(key, 1).unwrap();

    let mut tries = 0;
    let (after,): (i64,) = redis::transaction(&mut conn, &[key], |conn, pipe| {
        let before: i64 = conn.get(key)?;
        tries += 1;
        if tries == 1 {
            // Another client writes in between.
            let _: () = client().get_connection()?.set(key, 10)?;
        }
        pipe.set(key, before + 4).ignore().get(key).query(conn)
    })
    .unwrap();
    assert_eq!((after, tries), (14, 2));
    let _: () = conn.del(key).unwrap();
    drop(conn);
    ends_well(&pool);
}

fn many_threads_share_few_connections() {
    let mut conn = client().get_connection().unwrap();
    let _: () = conn.del("r2d2:crowd").unwrap();
    crowd(client(), |conn, number| conn.incr("r2d2:crowd", number).unwrap());
    let sum: i64 = conn.get_del("r2d2:crowd").unwrap();
    assert_eq!(sum, SUM);
}

fn a_time_out_names_the_holder() {
    support::a_time_out_names_the_holder(client());
}

fn killed_sessions_are_replaced() {
    let id = |conn: &mut Connection| -> Result<i64, RedisError> { redis::cmd("CLIENT").arg("ID").query(conn) };
    support::killed_sessions_are_replaced(client(), id, |conn, id| {
        let killed: i64 = redis::cmd("CLIENT").arg("KILL").arg("ID").arg(id).query(conn).unwrap();
        assert_eq!(killed, 1);
    });
}

cabrank_testing::tests! {
    alone:
        as_its_docs_show,
        a_transaction_changes_all_or_nothing,
        many_threads_share_few_connections,
        a_time_out_names_the_holder,
        killed_sessions_are_replaced,
}
