//! The role that a server must have: verified at opening, in checks and in resets, and never derived from a refused write alone.
//!
//! One server plays both roles: a session whose start-up options make it read-only looks like a session of a read-only server.

use crate::fixture::{PATIENCE, Server, builder, on_server, taken};
use cabrank_postgres::cabrank::{BuildError, CloseReason, SessionPolicy};
use cabrank_postgres::postgres::config::TargetSessionAttrs;
use cabrank_postgres::postgres::error::SqlState;
use cabrank_postgres::postgres::{Config, NoTls};
use cabrank_postgres::{Pool, PostgresManager, Role, TransactionOptions};
use cabrank_testing::{Recorder, eventually};
use std::convert::Infallible;
#[cfg(unix)]
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

fn a_server_in_another_role_is_refused_and_named_until_the_role_is_right(server: Server) {
    let demoted = Arc::new(AtomicBool::new(true));
    let pool = builder().max_size(2).build_lazy(changing(&server, &demoted).role(Role::Primary)).expect("a pool");
    let told = format!("{:?}", pool.get_timeout(Duration::from_secs(2)).expect_err("nothing takes writes"));
    assert!(told.contains("read-only by default") && told.contains(", but a primary is required"), "{told}");
    demoted.store(false, Ordering::SeqCst);
    let mut conn = pool.get_timeout(PATIENCE).expect("a connection");
    conn.query_one("SELECT 1", &[]).expect("a row");
    drop(conn);
    let pool = builder().max_size(1).build_lazy(server.manager().role(Role::Standby)).expect("a pool");
    let told = format!("{:?}", pool.get_timeout(Duration::from_secs(2)).expect_err("no standby"));
    assert!(told.contains("is not in recovery, but a standby is required"), "{told}");
}

fn settings_that_ask_for_a_role_of_their_own_must_not_contradict_it(server: Server) {
    let with = |attrs| {
        let mut config = server.config.clone();
        config.target_session_attrs(attrs);
        PostgresManager::new(config, NoTls)
    };
    let contradicts = with(TargetSessionAttrs::ReadOnly).role(Role::Primary);
    let error = builder().build(contradicts).expect_err("both cannot be");
    assert!(matches!(error, BuildError::Connect(_)));
    assert!(format!("{error:?}").contains("target_session_attrs=read-only contradicts Role::Primary"), "{error:?}");
    assert!(builder().build(with(TargetSessionAttrs::ReadWrite).role(Role::Primary)).is_ok());
    // Checks left to the driver are recognized by their error text.
    let pool = builder().build_lazy(with(TargetSessionAttrs::ReadOnly)).expect("a pool");
    let told = format!("{:?}", pool.get_timeout(Duration::from_secs(2)).expect_err("it takes writes"));
    assert!(told.contains("database is not read only"), "{told}");
}

fn a_role_costs_no_message_where_the_server_shows_it_and_one_question_where_a_pooler_may_hide_it(server: Server) {
    needs_a_word(&server);
    let opening = |role, pooler| {
        // A separate proxy, because the last pool's terminate message may reach a proxy after that pool has ended.
        let proxy = server.proxy();
        let manager = PostgresManager::new(server.through(&proxy), NoTls).role(role).transaction_pooler(pooler);
        let pool = builder().max_size(1).check_after(Duration::ZERO).build_lazy(manager).expect("a pool");
        // Not `build`, after which an idle connection is prepared at once, with a query for the role.
        drop(pool.get().expect("a connection"));
        let opening = taken(&proxy);
        drop(pool.get().expect("a connection"));
        let check = taken(&proxy);
        assert!(pool.close_within(PATIENCE).is_clean());
        (opening, check)
    };
    let (plain, asked) = (opening(Role::Any, false), opening(Role::Primary, false));
    assert_eq!(plain, asked, "at opening, and in a check");
    let questions = |said: &[String]| said.iter().filter(|said| said.contains("pg_is_in_recovery")).count();
    assert_eq!((questions(&asked.0), questions(&asked.1)), (0, 0));
    let behind = opening(Role::Primary, true);
    assert_eq!((questions(&behind.0), questions(&behind.1)), (1, 1));
}

/// `default_transaction_read_only` can be set in many places.
fn a_refusal_names_whose_doing_it_is(server: Server) {
    let told = |config: Config, role| {
        let error = PostgresManager::new(config, NoTls).role(role).open().expect_err("a refusal");
        std::error::Error::source(&error).expect("a source").to_string()
    };
    let mut by_options = server.config.clone();
    by_options.options(READ_ONLY);
    let why = told(by_options.clone(), Role::Primary);
    assert!(
        why.ends_with(
            "is read-only by default, because of the `options` in the connection's settings, but a primary is required"
        ),
        "{why}"
    );
    let why = told(by_options, Role::Standby);
    assert!(why.ends_with("is not in recovery, but a standby is required"), "{why}");
    let mut admin = server.client();
    admin
        .batch_execute(
            "DROP ROLE IF EXISTS cabrank_reader; CREATE ROLE cabrank_reader LOGIN PASSWORD 'reader'; \
             ALTER ROLE cabrank_reader SET default_transaction_read_only = on",
        )
        .expect("a role");
    let mut by_user = server.config.clone();
    by_user.user("cabrank_reader").password("reader");
    let why = told(by_user, Role::Primary);
    admin.batch_execute("DROP ROLE cabrank_reader").expect("nobody needs it");
    let expected = "is read-only by default, because of ALTER ROLE or ALTER DATABASE, but a primary is required";
    assert!(why.ends_with(expected), "{why}");
}

/// Otherwise each session would be closed at its first check.
fn a_hook_that_makes_sessions_read_only_contradicts_the_role_primary(server: Server) {
    #[cfg(unix)]
    let (_door, folder) = server.unix_door("hook");
    #[cfg(unix)]
    let by_socket = over_unix(&server, &folder, "");
    for manager in [
        server.manager(),
        #[cfg(unix)]
        PostgresManager::new(by_socket, NoTls),
    ] {
        let reading =
            || builder().max_size(1).on_open(|conn, _| conn.batch_execute("SET default_transaction_read_only = on"));
        let error = reading().build(manager.clone().role(Role::Primary)).expect_err("both cannot be");
        assert!(matches!(error, BuildError::Connect(_)));
        let told = format!("{error:?}");
        assert!(told.contains("`on_open` has set default_transaction_read_only, but a primary is required"), "{told}");
        let pool = reading().check_after(Duration::ZERO).build(manager).expect("any role will do");
        (0..3).for_each(|_| drop(pool.get().expect("a connection")));
        assert_eq!(pool.stats().closed.total(), 0);
    }
    #[cfg(unix)]
    std::fs::remove_dir_all(folder).expect("a folder of ours");
}

fn a_write_in_a_read_only_transaction_is_an_error_and_costs_a_reset_and_not_the_connection(server: Server) {
    server.table("cabrank_role", "x int");
    let pool = builder().max_size(1).build(server.manager().role(Role::Primary)).expect("a pool");
    let pid = pool.get().expect("a connection").backend_pid();
    let read_only = pool.transaction().options(TransactionOptions::new().read_only(true));
    let error = read_only.run(|tx| tx.batch_execute("INSERT INTO cabrank_role VALUES (1)")).expect_err("read-only");
    assert!(format!("{error:?}").contains("read-only transaction"), "{error:?}");
    // The same without `report_error`, in a session that its holder made read-only.
    let mut conn = pool.get().expect("a connection");
    conn.batch_execute("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY").expect("a setting");
    let error = conn.batch_execute("INSERT INTO cabrank_role VALUES (1)").expect_err("read-only");
    assert_eq!(error.code(), Some(&SqlState::READ_ONLY_SQL_TRANSACTION));
    drop(conn);
    let mut conn = pool.get().expect("a connection");
    conn.batch_execute("INSERT INTO cabrank_role VALUES (1)").expect("an insert");
    assert_eq!(conn.backend_pid(), pid);
    assert_eq!((pool.stats().closed.total(), pool.stats().resets_done), (0, 2));
}

fn a_check_finds_a_server_that_has_become_read_only(server: Server) {
    let never = || builder().max_size(1).check_after(Duration::ZERO).session_policy(SessionPolicy::Never);
    for pooler in [false, true] {
        let manager = server.manager().role(Role::Primary).transaction_pooler(pooler);
        let pool = never().build(manager).expect("a pool");
        becomes_read_only(&pool, |_| ());
        let mut conn = pool.get().expect("another connection");
        assert_eq!(closed_by_role(&pool), 1, "a pooler: {pooler}");
        conn.query_one("SELECT 1", &[]).expect("a row");
    }
}

/// Behind a pooler no reset reveals that the server has changed, and none is due. The refused write requests one.
fn a_reset_after_a_refused_write_finds_a_server_that_has_become_read_only(server: Server) {
    server.table("cabrank_role_reset", "x int");
    let manager = server.manager().role(Role::Primary).transaction_pooler(true);
    let pool = builder().max_size(1).build(manager).expect("a pool");
    becomes_read_only(&pool, |conn| {
        conn.batch_execute("INSERT INTO cabrank_role_reset VALUES (1)").expect_err("a refused write");
    });
    eventually("it is closed", || closed_by_role(&pool) == 1);
    let mut conn = pool.get().expect("another connection");
    conn.batch_execute("INSERT INTO cabrank_role_reset VALUES (1)").expect("an insert");
}

#[cfg(unix)]
fn over_a_unix_socket_the_role_is_asked_for(server: Server) {
    let (_door, folder) = server.unix_door("roles");
    let primary = |options| PostgresManager::new(over_unix(&server, &folder, options), NoTls).role(Role::Primary);
    let pool = builder().max_size(1).build(primary("")).expect("a pool");
    let mut conn = pool.get().expect("a connection");
    conn.batch_execute("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY").expect("a setting");
    drop(conn);
    pool.get().expect("a connection").query_one("SELECT 1", &[]).expect("a row");
    assert_eq!((pool.stats().opened, pool.stats().closed.total()), (1, 0), "the reset undoes what a holder did");
    let pool = builder().build_lazy(primary(READ_ONLY)).expect("a pool");
    let told = format!("{:?}", pool.get_timeout(Duration::from_secs(2)).expect_err("nothing takes writes"));
    assert!(told.contains("read-only by default") && told.contains(", but a primary is required"), "{told}");
    drop(pool);
    std::fs::remove_dir_all(folder).expect("a folder of ours");
}

fn without_a_role_a_server_that_turns_read_only_is_told(server: Server) {
    needs_a_word(&server);
    let (demoted, recorder) = (Arc::new(AtomicBool::new(false)), Recorder::new());
    let settings = builder().max_size(2).event_handler(recorder.clone());
    let pool = settings.build(changing(&server, &demoted)).expect("a pool");
    let _one = pool.get().expect("a connection");
    assert_eq!(recorder.count("remarked"), 0);
    demoted.store(true, Ordering::SeqCst);
    let _other = pool.get().expect("another connection");
    assert_eq!(recorder.count("remarked 2: the server "), 1, "{:?}", recorder.events());
    let told = format!("{:?}", pool.get_timeout(Duration::from_millis(1)).expect_err("both are lent"));
    assert!(told.contains("is read-only by default"), "{told}");
}

/// A manager for a server that is demoted on demand.
fn changing(server: &Server, demoted: &Arc<AtomicBool>) -> PostgresManager {
    let (config, demoted) = (server.config.clone(), Arc::clone(demoted));
    let settings = move || {
        let mut config = config.clone();
        if demoted.load(Ordering::SeqCst) {
            config.options(READ_ONLY);
        }
        Ok::<_, Infallible>(config)
    };
    PostgresManager::with_config(settings, NoTls)
}

#[cfg(unix)]
fn over_unix(server: &Server, folder: &Path, options: &str) -> Config {
    let mut config = Config::new();
    config.host_path(folder).user(server.config.get_user().expect("a user")).options(options);
    server.config.get_password().map(|password| config.password(password));
    server.config.get_dbname().map(|name| config.dbname(name));
    server.config.get_ports().first().map(|&port| config.port(port));
    config
}

/// Makes the server of this pool's only session read-only.
fn becomes_read_only(pool: &Pool, then: impl FnOnce(&mut cabrank_postgres::Connection)) {
    let mut conn = pool.get().expect("a connection");
    conn.batch_execute("SET default_transaction_read_only = on").expect("a setting");
    then(&mut conn);
}

fn closed_by_role(pool: &Pool) -> u64 {
    pool.stats().closed.by(CloseReason::WrongRole)
}

fn needs_a_word(server: &Server) {
    let version: i32 = server
        .client()
        .query_one("SHOW server_version_num", &[])
        .expect("a row")
        .get::<_, String>(0)
        .parse()
        .expect("a number");
    if version < 140_000 {
        cabrank_testing::harness::skip("before version 14 the server does not report its role");
    }
}

const READ_ONLY: &str = "-c default_transaction_read_only=on";

cabrank_testing::tests! {
    on_server:
        a_server_in_another_role_is_refused_and_named_until_the_role_is_right,
        settings_that_ask_for_a_role_of_their_own_must_not_contradict_it,
        a_role_costs_no_message_where_the_server_shows_it_and_one_question_where_a_pooler_may_hide_it,
        a_refusal_names_whose_doing_it_is,
        a_hook_that_makes_sessions_read_only_contradicts_the_role_primary,
        a_write_in_a_read_only_transaction_is_an_error_and_costs_a_reset_and_not_the_connection,
        a_check_finds_a_server_that_has_become_read_only,
        a_reset_after_a_refused_write_finds_a_server_that_has_become_read_only,
        #[cfg(unix)]
        over_a_unix_socket_the_role_is_asked_for,
        without_a_role_a_server_that_turns_read_only_is_told;
}
