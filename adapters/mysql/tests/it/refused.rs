//! A command that the driver refuses before it sends anything costs neither the connection nor the transaction.

use crate::server::{Server, on_each_server, settle};
use cabrank_mysql::cabrank::{CloseReason, Fault, Manager};
use cabrank_mysql::mysql::prelude::Queryable;
use cabrank_mysql::mysql::{Result, params};
use cabrank_mysql::{MySqlManager, Transaction};

/// The driver's limit; the server would accept more.
const LARGEST: usize = 64 * 1024;

type Slip = fn(&mut Transaction<'_>) -> Result<()>;

fn too_large() -> String {
    "x".repeat(LARGEST + 1)
}

const SLIPS: [(&str, Slip); 12] = [
    ("a text", |tx| tx.query_drop(format!("SELECT '{}'", too_large()))),
    ("a text with rows", |tx| tx.query_first::<u8, _>(format!("SELECT '{}'", too_large())).map(drop)),
    ("a text, with the driver's rows", |tx| tx.query_iter(format!("SELECT '{}'", too_large())).map(drop)),
    ("a text that is prepared", |tx| tx.prep(format!("SELECT '{}'", too_large())).map(drop)),
    ("a parameter", |tx| tx.exec_drop("UPDATE account SET money = ? WHERE id = 9", (too_large(),))),
    ("a parameter with a name", |tx| {
        tx.exec_drop("UPDATE account SET money = :money WHERE id = 9", params! { "money" => too_large() })
    }),
    ("a parameter, with the driver's rows", |tx| tx.exec_iter("SELECT ?", (too_large(),)).map(drop)),
    ("a parameter in a batch", |tx| tx.exec_batch("UPDATE account SET money = ? WHERE id = 9", [(too_large(),)])),
    ("too few parameters", |tx| tx.exec_drop("SELECT ?, ?", (1,))),
    ("a name that is missing", |tx| tx.exec_drop("SELECT :one", params! { "two" => 2 })),
    ("names where there are none", |tx| tx.exec_drop("SELECT ?", params! { "one" => 1 })),
    ("names and question marks", |tx| tx.exec_drop("SELECT :one, ?", (1, 2))),
];

fn what_the_driver_refuses_costs_neither_connection_nor_transaction(server: &Server) {
    let manager = MySqlManager::new(server.opts().max_allowed_packet(Some(LARGEST)));
    let pool = server.builder(1).build(manager).unwrap();
    for (slip, commit) in SLIPS {
        let done = pool.transaction().run(|tx| -> Result<()> {
            tx.query_drop("UPDATE account SET money = money + 1 WHERE id = 1")?;
            commit(tx).expect_err(slip);
            tx.query_drop("UPDATE account SET money = money + 1 WHERE id = 2")
        });
        done.expect(slip);
        settle(&pool);
    }
    let slips = SLIPS.len() as i64;
    assert_eq!((server.money(1), server.money(2)), (slips, slips));
    assert_eq!((pool.stats().opened, pool.stats().closed.total()), (1, 0));
}

/// An answer that is too large has begun to arrive.
fn too_large_an_answer_costs_the_connection(server: &Server) {
    let manager = MySqlManager::new(server.opts().max_allowed_packet(Some(LARGEST)));
    let pool = server.builder(1).build(manager).unwrap();
    let mut conn = pool.get().unwrap();
    conn.query_first::<String, _>(format!("SELECT REPEAT('x', {})", LARGEST + 1)).unwrap_err();
    assert!(conn.is_broken());
    drop(conn);
    assert_eq!(pool.get().unwrap().query_first("SELECT 7").unwrap(), Some(7));
    assert_eq!(pool.stats().closed.by(CloseReason::Broken), 1);
}

/// The server closes the connection after a packet that it does not accept.
fn what_the_server_refuses_to_read_costs_the_connection(server: &Server) {
    let most = server.ask::<usize>("SELECT @@max_allowed_packet").unwrap();
    let manager = MySqlManager::new(server.opts().max_allowed_packet(Some(4 * most)));
    let pool = server.builder(1).build(manager).unwrap();
    let mut conn = pool.get().unwrap();
    let error = conn.query_drop(format!("SELECT '{}'", "x".repeat(most + 1))).unwrap_err();
    assert_eq!(server.manager().fault(&error), Fault::Fatal, "{error}");
    assert!(conn.is_broken());
}

cabrank_testing::tests! {
    on_each_server:
        what_the_driver_refuses_costs_neither_connection_nor_transaction,
        too_large_an_answer_costs_the_connection,
        what_the_server_refuses_to_read_costs_the_connection,
}
