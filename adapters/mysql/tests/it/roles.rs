//! The role that a server must have, as far as a shared, writable server can show it. `integration-tests`, which has separate servers,
//! covers one that becomes read-only.

use crate::server::{Server, on_each_server, settle};
use cabrank_mysql::cabrank::{CloseReason, Fault, PooledConnection};
use cabrank_mysql::mysql::prelude::Queryable;
use cabrank_mysql::mysql::{AccessMode, Error, TxOpts};
use cabrank_mysql::{MySqlManager, Pool, Role};
use cabrank_testing::Recorder;
use std::time::Duration;

fn a_server_in_another_role_is_refused_and_named(server: &Server) {
    let error = server.manager().role(Role::Standby).open().expect_err("it takes writes").to_string();
    assert!(error.contains("is not read-only, but a standby is required"), "{error}");
    let pool = server.builder(1).build_lazy(server.manager().role(Role::Standby)).expect("a pool");
    let told = format!("{:?}", pool.get_timeout(Duration::from_secs(2)).expect_err("it takes writes"));
    assert!(told.contains("is not read-only, but a standby is required"), "{told}");
    assert!(told.contains(&format!(":{} ", server.opts.get_tcp_port())), "it names the server: {told}");
    assert!(pool.stats().open_failures > 1, "it is tried again: {:?}", pool.stats());
    let pool = server.builder(1).build(server.manager().role(Role::Primary)).expect("a primary");
    pool.get().expect("a connection").query_drop("UPDATE account SET money = 1").expect("an update");
}

/// The number of commands that a session has received at its first loan, and after a check and a reset.
fn a_role_costs_no_command(server: &Server) {
    let commands = |role: Role| {
        let recorder = Recorder::new();
        let builder = server.builder(1).check_after(Duration::ZERO).event_handler(recorder.clone());
        let pool = builder.build(server.manager().role(role)).expect("a pool");
        [1, 2, 3].map(|loan| {
            settle(&pool);
            let mut conn = pool.get().expect("a connection");
            let did = ["checked 1: ok", "reset 1: ok"].map(|beginning| recorder.count(beginning));
            assert_eq!(did, [loan, loan - 1], "{:?}", recorder.events());
            let (_, commands): (String, u64) =
                conn.query_first("SHOW SESSION STATUS LIKE 'Questions'").expect("an answer").expect("a row");
            conn.query_drop("SET @soiled = 1").expect("a variable");
            commands
        })
    };
    assert_eq!(commands(Role::Primary), commands(Role::Any));
}

fn a_write_in_a_read_only_transaction_is_an_error_and_costs_a_reset_and_not_the_connection(server: &Server) {
    let pool = primary(server);
    let id = pool.get().expect("a connection").connection_id();
    let read_only = pool.transaction().options(TxOpts::default().set_access_mode(Some(AccessMode::ReadOnly)));
    let error = read_only.run(|tx| tx.query_drop("UPDATE account SET money = 1")).expect_err("read-only");
    assert!(format!("{error:?}").contains("READ ONLY transaction"), "{error:?}");
    settle(&pool);
    // The same with `report_error`, in a session that its holder made read-only.
    let mut conn = pool.get().expect("a connection");
    conn.query_drop("SET SESSION TRANSACTION READ ONLY").expect("a setting");
    let error = conn.query_drop("UPDATE account SET money = 1").expect_err("read-only");
    assert_eq!((code(&error), PooledConnection::report_error(&mut conn, &error)), (1792, Fault::Statement));
    drop(conn);
    settle(&pool);
    let mut conn = pool.get().expect("a connection");
    conn.query_drop("UPDATE account SET money = 1").expect("an update");
    assert_eq!(conn.connection_id(), id);
    assert_eq!((pool.stats().closed.total(), pool.stats().resets_done), (0, 2));
}

/// The option that forbids it is unrelated to roles.
fn a_statement_that_another_option_forbids_is_an_error_and_no_word_on_the_role(server: &Server) {
    let folder: Option<String> = server.ask("SELECT @@secure_file_priv").expect("a row");
    if folder.is_some_and(|folder| folder.is_empty()) {
        server.lacks("a bound for the files of SQL");
    }
    let pool = primary(server);
    let mut conn = pool.get().expect("a connection");
    let error = conn.query_drop("SELECT 1 INTO OUTFILE '/nowhere/file'").expect_err("not there");
    assert_eq!((code(&error), PooledConnection::report_error(&mut conn, &error)), (1290, Fault::Statement));
    drop(conn);
    settle(&pool);
    pool.get().expect("a connection").query_drop("DO 1").expect("an answer");
    assert_eq!((pool.stats().opened, pool.stats().closed.by(CloseReason::WrongRole)), (1, 0));
}

fn primary(server: &Server) -> Pool {
    server.builder(1).build(MySqlManager::new(server.opts()).role(Role::Primary)).expect("a pool")
}

fn code(error: &Error) -> u16 {
    let Error::MySqlError(error) = error else { panic!("{error}") };
    error.code
}

cabrank_testing::tests! {
    on_each_server:
        a_server_in_another_role_is_refused_and_named,
        a_role_costs_no_command,
        a_write_in_a_read_only_transaction_is_an_error_and_costs_a_reset_and_not_the_connection,
        a_statement_that_another_option_forbids_is_an_error_and_no_word_on_the_role,
}
