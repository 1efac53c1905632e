//! Where to connect: names, addresses, sockets, settings from a callback, and failures of each.

use crate::fixture::{PATIENCE, Server, builder, first_failure, on_server, session_of};
use cabrank_postgres::cabrank::{BuildError, Cause, GetError, Manager, SessionPolicy, SessionState, SetUp};
use cabrank_postgres::postgres::{Config, NoTls};
use cabrank_postgres::{Connection, PostgresManager};
use cabrank_testing::eventually;
use cabrank_testing::harness::{alone, skip};
use std::error::Error;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// The same settings, without hosts.
fn elsewhere(server: &Server) -> Config {
    let mut config = Config::new();
    config.user(server.config.get_user().expect("a user"));
    server.config.get_password().map(|password| config.password(password));
    server.config.get_dbname().map(|name| config.dbname(name));
    server.config.get_ports().first().map(|&port| config.port(port));
    config
}

/// Tests that change the host need a server on this machine.
fn needs_to_be_here(server: &Server) {
    if elsewhere(server).host("127.0.0.1").connect(NoTls).is_err() {
        skip("the server is not on 127.0.0.1");
    }
}

fn names_addresses_and_several_hosts_are_all_tapped(server: Server) {
    needs_to_be_here(&server);
    let mut by_name = elsewhere(&server);
    by_name.host("localhost");
    let mut by_address = elsewhere(&server);
    by_address.hostaddr(Ipv4Addr::LOCALHOST.into());
    let mut by_both = elsewhere(&server);
    by_both.host("no.such.name.invalid").hostaddr(Ipv4Addr::LOCALHOST.into());
    let mut second = elsewhere(&server);
    second.host("no.such.name.invalid").host("localhost");
    for config in [by_name, by_address, by_both, second] {
        let pool = builder().max_size(1).build(PostgresManager::new(config.clone(), NoTls)).expect("a pool");
        let mut conn = pool.get().expect("a connection");
        conn.query_one("SELECT 1", &[]).expect("a row");
        assert!(conn.backend_pid().is_some(), "{config:?}");
        drop(conn);
        assert_eq!(pool.stats().resets_skipped, 1, "{config:?}");
    }
}

#[cfg(unix)]
fn over_a_unix_socket_the_session_is_always_reset(server: Server) {
    let (_door, folder) = server.unix_door("opening");
    let mut config = elsewhere(&server);
    config.host_path(&folder);
    let pool = builder().max_size(1).build(PostgresManager::new(config, NoTls)).expect("a pool");
    let mut conn = pool.get().expect("a connection");
    let fresh = session_of(&mut conn);
    conn.batch_execute("SET work_mem = '1MB'; PREPARE p AS SELECT 1; LISTEN x; SELECT pg_advisory_lock(9)")
        .expect("no error");
    drop(conn);
    let mut conn = pool.get().expect("a connection");
    assert_eq!(session_of(&mut conn), fresh);
    let stats = pool.stats();
    assert_eq!((stats.opened, stats.resets_skipped, stats.resets_done), (1, 0, 1));
    drop(conn);
    assert!(pool.close_within(PATIENCE).is_clean());
    std::fs::remove_dir_all(folder).expect("a folder of ours");
}

/// Over a Unix socket the adapter cannot track the wire, so it must query the server.
#[cfg(unix)]
fn over_a_unix_socket_a_transaction_that_the_set_up_leaves_open_is_refused_at_once(server: Server) {
    type Road = fn(&mut Connection) -> Result<(), cabrank_postgres::postgres::Error>;
    let roads: [Road; 5] = [
        |conn| conn.batch_execute("BEGIN"),
        |conn| conn.client().batch_execute("START TRANSACTION READ ONLY; SELECT 1"),
        |conn| conn.batch_execute("BEGIN; SELECT 1; COMMIT AND CHAIN"),
        |conn| {
            conn.batch_execute("BEGIN")?;
            conn.batch_execute("SELECT 1 / 0").expect_err("an aborted transaction");
            Ok(())
        },
        |conn| {
            std::mem::forget(conn.transaction()?);
            Ok(())
        },
    ];
    let (_door, folder) = server.unix_door("set-up");
    let mut config = elsewhere(&server);
    config.host_path(&folder);
    let manager = || PostgresManager::new(config.clone(), NoTls);
    for policy in [SessionPolicy::Tracked, SessionPolicy::Always, SessionPolicy::Never] {
        for (number, road) in roads.into_iter().enumerate() {
            let runs = std::sync::Arc::new(AtomicU32::new(0));
            let counted = std::sync::Arc::clone(&runs);
            let hook = move |conn: &mut Connection, _: &SetUp<'_>| {
                counted.fetch_add(1, Ordering::Relaxed);
                road(conn)
            };
            let outcome = builder().session_policy(policy).on_open(hook).build(manager());
            assert!(
                matches!(outcome, Err(BuildError::Connect(Cause::InTransaction))),
                "{policy:?} {number}: {outcome:?}"
            );
            assert_eq!(runs.load(Ordering::Relaxed), 1, "{policy:?} {number}");
        }
        let commits =
            |conn: &mut Connection, _: &SetUp<'_>| conn.batch_execute("BEGIN; SELECT 1; COMMIT; SET work_mem = '1MB'");
        let pool = builder().max_size(1).session_policy(policy).on_open(commits).build(manager()).expect("a pool");
        for _ in 0..3 {
            pool.transaction().run(|tx| tx.batch_execute("SELECT 1")).expect("a commit");
        }
        assert_eq!(pool.stats().opened, 1, "{policy:?}");
    }
    std::fs::remove_dir_all(folder).expect("a folder of ours");
}

fn a_name_that_does_not_exist_is_told() {
    let mut config = Config::new();
    config.host("no.such.name.invalid").user("nobody");
    let pool = builder().build_lazy(PostgresManager::new(config, NoTls)).expect("a pool");
    let error = first_failure(&pool);
    assert!(error.source().expect("a source").to_string().contains("lookup"), "{:?}", error.source());
}

fn settings_are_asked_for_before_each_connect(server: Server) {
    let asked = std::sync::Arc::new(AtomicU32::new(0));
    let (count, config) = (asked.clone(), server.config.clone());
    let manager = PostgresManager::with_config(
        move || match count.fetch_add(1, Ordering::SeqCst) {
            0 => Err("the vault is locked"),
            _ => Ok(config.clone()),
        },
        NoTls,
    );
    let pool = builder().max_size(2).build(manager).expect("a pool, at the second attempt");
    let (_first, _second) = (pool.get().expect("a connection"), pool.get().expect("a connection"));
    // On a very busy machine an attempt may time out.
    let stats = pool.stats();
    assert!(stats.opened == 2 && stats.open_failures >= 1, "{stats:?}");
    assert_eq!(u64::from(asked.load(Ordering::SeqCst)), stats.opened + stats.open_failures);
}

/// A call that cannot be aborted must not keep its slot. A callback that never returns stands for a name server that never answers.
fn settings_that_never_come_hold_nobody_up() {
    let (_never, told) = std::sync::mpsc::channel::<Config>();
    let told = std::sync::Mutex::new(told);
    let manager = PostgresManager::with_config(move || told.lock().expect("one at a time").recv(), NoTls);
    let pool = builder().max_size(1).connect_timeout(Duration::from_millis(200)).build_lazy(manager).expect("a pool");
    let began = Instant::now();
    let outcome = pool.get_timeout(Duration::from_millis(500));
    assert!(matches!(outcome, Err(GetError::Timeout(_))), "{outcome:?}");
    assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
    eventually("the look-up is given up", || pool.stats().abandoned >= 1);
}

fn sessions_say_whose_they_are_unless_the_user_did(server: Server) {
    let name_of = |manager| {
        let pool = builder().name("invoices").max_size(1).build(manager).expect("a pool");
        let mut conn = pool.get().expect("a connection");
        conn.query_one("SHOW application_name", &[]).expect("a row").get::<_, String>(0)
    };
    assert_eq!(name_of(server.manager()), "invoices", "the pool's name");
    assert_eq!(name_of(server.manager().application_name("orders")), "orders");
    let mut config = server.config.clone();
    config.application_name("mine");
    assert_eq!(name_of(PostgresManager::new(config.clone(), NoTls)), "mine", "the settings have their own");
    assert_eq!(name_of(PostgresManager::new(config.clone(), NoTls).application_name("orders")), "orders");
    let asked = PostgresManager::with_config(move || Ok::<_, String>(config.clone()), NoTls);
    assert_eq!(name_of(asked.clone()), "mine", "and so have those that are asked for");
    assert_eq!(name_of(asked.application_name("orders")), "orders");
}

fn a_connection_can_be_opened_outside_of_any_pool(server: Server) {
    let name_of =
        |conn: &mut Connection| conn.query_one("SHOW application_name", &[]).expect("a row").get::<_, String>(0);
    let mut conn = server.manager().open().expect("a connection");
    assert_eq!(name_of(&mut conn), "", "there is no pool to name it after");
    assert_eq!(name_of(&mut server.manager().application_name("orders").open().expect("a connection")), "orders");

    conn.query_one("SELECT 1", &[]).expect("a row");
    assert_eq!(server.manager().session(&mut conn), SessionState::Clean, "tracked from the beginning");
}

fn outside_of_a_pool_settings_that_are_not_to_be_had_are_an_error() {
    let manager = PostgresManager::with_config(|| Err("the vault is locked"), NoTls);
    let error = manager.open().expect_err("no settings");
    assert_eq!(error.source().expect("a source").to_string(), "the vault is locked");
}

cabrank_testing::tests! {
    on_server:
        names_addresses_and_several_hosts_are_all_tapped,
        #[cfg(unix)]
        over_a_unix_socket_the_session_is_always_reset,
        #[cfg(unix)]
        over_a_unix_socket_a_transaction_that_the_set_up_leaves_open_is_refused_at_once,
        settings_are_asked_for_before_each_connect,
        sessions_say_whose_they_are_unless_the_user_did,
        a_connection_can_be_opened_outside_of_any_pool;
    alone:
        a_name_that_does_not_exist_is_told,
        settings_that_never_come_hold_nobody_up,
        outside_of_a_pool_settings_that_are_not_to_be_had_are_an_error,
}
