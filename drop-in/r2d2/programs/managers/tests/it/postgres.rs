//! r2d2_postgres on PostgreSQL.

use crate::support;
use crate::support::{SUM, crowd, ends_well, url_of};
use cabrank_testing::harness::alone;
use r2d2_postgres::PostgresConnectionManager;
use r2d2_postgres::postgres::{Client, Error, NoTls};
use std::thread;

fn manager() -> PostgresConnectionManager<NoTls> {
    PostgresConnectionManager::new(url_of("postgres").parse().unwrap(), NoTls)
}

fn as_its_readme_shows() {
    let manager = PostgresConnectionManager::new(url_of("postgres").parse().unwrap(), NoTls);
    let pool = r2d2::Pool::new(manager).unwrap();
    pool.get().unwrap().batch_execute("DROP TABLE IF EXISTS r2d2_foo; CREATE TABLE r2d2_foo (bar INT)").unwrap();

    let threads = (0..10i32).map(|i| {
        let pool = pool.clone();
        thread::spawn(move || {
            let mut client = pool.get().unwrap();
            client.execute("INSERT INTO r2d2_foo (bar) VALUES ($1)", &[&i]).unwrap();
        })
    });
    threads.collect::<Vec<_>>().into_iter().for_each(|thread| thread.join().unwrap());

    let mut client = pool.get().unwrap();
    assert_eq!(sum(&mut client, "r2d2_foo"), 45);
    client.batch_execute("DROP TABLE r2d2_foo").unwrap();
    assert_eq!(pool.cabrank().stats().max_size, 10, "r2d2's default");
    drop(client);
    ends_well(&pool);
}

fn a_transaction_commits_or_is_undone() {
    let pool = r2d2::Pool::builder().max_size(1).build(manager()).unwrap();
    let mut client = pool.get().unwrap();
    client.batch_execute("CREATE TEMP TABLE r2d2_kept (bar INT)").unwrap();
    for (bar, commit) in [(1, true), (2, false), (4, true)] {
        let mut transaction = client.transaction().unwrap();
        transaction.execute("INSERT INTO r2d2_kept VALUES ($1)", &[&bar]).unwrap();
        if commit {
            transaction.commit().unwrap();
        }
    }
    assert_eq!(sum(&mut client, "r2d2_kept"), 5);
    drop(client);
    ends_well(&pool);
}

fn many_threads_share_few_connections() {
    let mut client = Client::connect(&url_of("postgres"), NoTls).unwrap();
    client.batch_execute("DROP TABLE IF EXISTS r2d2_crowd; CREATE TABLE r2d2_crowd (bar BIGINT)").unwrap();
    crowd(manager(), |client, number| {
        client.execute("INSERT INTO r2d2_crowd VALUES ($1)", &[&number]).unwrap();
    });
    assert_eq!(sum(&mut client, "r2d2_crowd"), SUM);
    client.batch_execute("DROP TABLE r2d2_crowd").unwrap();
}

fn a_time_out_names_the_holder() {
    support::a_time_out_names_the_holder(manager());
}

fn killed_sessions_are_replaced() {
    let id = |client: &mut Client| -> Result<i64, Error> {
        Ok(client.query_one("SELECT pg_backend_pid()::BIGINT", &[])?.get(0))
    };
    support::killed_sessions_are_replaced(manager(), id, |client, id| {
        // The second argument is the time in milliseconds to wait until the session is gone.
        let row = client.query_one("SELECT pg_terminate_backend($1::BIGINT::INT, 60000)", &[&id]).unwrap();
        assert!(row.get::<_, bool>(0), "it is gone");
    });
}

fn sum(client: &mut Client, table: &str) -> i64 {
    client.query_one(&format!("SELECT sum(bar)::BIGINT FROM {table}"), &[]).unwrap().get(0)
}

cabrank_testing::tests! {
    alone:
        as_its_readme_shows,
        a_transaction_commits_or_is_undone,
        many_threads_share_few_connections,
        a_time_out_names_the_holder,
        killed_sessions_are_replaced,
}
