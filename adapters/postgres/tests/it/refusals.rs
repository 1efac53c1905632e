//! Settings that cannot work are reported at once, after one attempt, in each way that a refusal can arrive.

use crate::fixture::{Server, behind_pgbouncer, builder, on_server};
use cabrank_postgres::PostgresManager;
use cabrank_postgres::cabrank::{BuildError, Cause, Fault, Manager};
use cabrank_postgres::postgres::config::{ChannelBinding, SslMode};
use cabrank_postgres::postgres::{Client, Config, Error, NoTls};
use cabrank_testing::harness::alone;
use std::convert::Infallible;
use std::error::Error as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// A callback that supplies the settings before each attempt.
pub(crate) type Asked = Box<dyn Fn() -> Result<Config, Infallible> + Send + Sync>;

/// The error of building a pool with these settings, which must make exactly one attempt.
pub(crate) fn refused_at_once(
    what: &str,
    config: Config,
    manager: impl FnOnce(Asked) -> PostgresManager,
) -> Arc<Error> {
    let attempts = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&attempts);
    let manager = manager(Box::new(move || {
        count.fetch_add(1, Ordering::SeqCst);
        Ok(config.clone())
    }));
    match builder().build(manager) {
        Err(BuildError::Connect(Cause::Driver(error))) => {
            assert_eq!(attempts.load(Ordering::SeqCst), 1, "attempts with {what}: {error:?}");
            error
        }
        outcome => panic!("{what}: {outcome:?}"),
    }
}

/// The SQLSTATE with which a server refuses a log-in without TLS.
fn code_of(what: &str, config: Config) -> String {
    let error = refused_at_once(what, config, without_tls);
    error.code().unwrap_or_else(|| panic!("{what}: the server's word, not {error:?}")).code().to_owned()
}

fn without_tls(asked: Asked) -> PostgresManager {
    PostgresManager::with_config(asked, NoTls)
}

fn changed(config: &Config, change: impl FnOnce(&mut Config) -> &mut Config) -> Config {
    let mut config = config.clone();
    change(&mut config);
    config
}

fn a_wrong_password_or_database_is_told_at_once(server: Server) {
    let nobody = changed(&server.config, |config| config.user("cabrank_nobody").password("wrong"));
    // A server with `trust` authentication requests no password, but lacks the role.
    let own = nobody.connect(NoTls).err().expect("nobody by that name");
    let expected = own.code().expect("the server's").code();
    assert!(["28P01", "28000"].contains(&expected), "{expected}");
    assert_eq!(code_of("no such role", nobody), expected);
    let nowhere = changed(&server.config, |config| config.dbname("cabrank_no_such_database"));
    assert_eq!(code_of("no such database", nowhere), "3D000");
}

fn what_a_session_cannot_begin_with_is_told_at_once(server: Server) {
    for (options, code) in [
        ("-c no_such_setting=1", "42704"),
        ("-c work_mem=plenty", "22023"),
        ("-c search_path", "42601"),
        ("-c shared_buffers=1GB", "55P02"),
        ("-c session_preload_libraries=no_such_library", "58P01"),
        ("--no_such_setting=1", "42704"),
        ("-Z", "42601"),
    ] {
        let config = changed(&server.config, |config| config.options(options));
        assert_eq!(code_of(options, config), code, "{options}");
    }
}

fn a_database_that_may_not_be_entered_is_told_at_once(server: Server) {
    let template = changed(&server.config, |config| config.dbname("template0"));
    assert_eq!(code_of("a database that lets nobody in", template), "55000");

    let mut admin = server.client();
    let clear = |admin: &mut Client| {
        admin.batch_execute("DROP DATABASE IF EXISTS cabrank_closed").expect("no database");
        admin.batch_execute("DROP ROLE IF EXISTS cabrank_visitor").expect("no role");
    };
    clear(&mut admin);
    admin.batch_execute("CREATE ROLE cabrank_visitor LOGIN PASSWORD 'open'").expect("a role");
    admin.batch_execute("CREATE DATABASE cabrank_closed").expect("a database");
    admin.batch_execute("REVOKE CONNECT ON DATABASE cabrank_closed FROM PUBLIC").expect("a right less");
    let visitor =
        changed(&server.config, |config| config.user("cabrank_visitor").password("open").dbname("cabrank_closed"));
    assert_eq!(code_of("a database that this role may not enter", visitor), "42501");
    clear(&mut admin);
}

fn sides_that_do_not_agree_are_told_at_once(server: Server) {
    let encrypted = changed(&server.config, |config| config.ssl_mode(SslMode::Require));
    let error = refused_at_once("TLS without a connector", encrypted, without_tls);
    assert!(error.source().expect("a source").to_string().contains("no TLS connector"), "{error:?}");

    let bound =
        changed(&server.config, |config| config.ssl_mode(SslMode::Disable).channel_binding(ChannelBinding::Require));
    if server.config.get_password().is_some() {
        let error = refused_at_once("channel binding without TLS", bound, without_tls);
        assert_eq!(error.to_string(), "authentication error");
    }

    let impossible = changed(&server.config, |config| config.user("a\0b"));
    let error = refused_at_once("a zero in a name", impossible, without_tls);
    assert_eq!(error.to_string(), "error encoding message to server");
}

fn settings_that_cannot_be_are_told_at_once() {
    let manager = PostgresManager::new(Config::new(), NoTls);
    for url in
        ["postgres://host:many/", "postgres://host/?sslmode=verify-full", "postgres://host/?schema=public", "host"]
    {
        let error = PostgresManager::from_url(url, NoTls).expect_err(url);
        assert_eq!(manager.fault(&error), Fault::Permanent, "{url}");
    }
    let error = refused_at_once("no host", Config::new(), without_tls);
    assert_eq!(error.to_string(), "invalid configuration");
}

/// A pooler uses one code for every fault.
fn what_a_pooler_refuses_is_told_at_once(config: Config) {
    let changes: [(&str, fn(&mut Config) -> &mut Config); 5] = [
        ("a wrong password", |config| config.password("wrong")),
        ("no such user", |config| config.user("cabrank_nobody").password("wrong")),
        // PgBouncer asks its server at most once in 15 s, and delays a second client for that long.
        ("no such database", |config| config.dbname(&format!("cabrank_none_{}", std::process::id()))),
        ("a setting that the pooler does not pass on", |config| config.options("-c work_mem=1MB")),
        ("a setting that nobody has", |config| config.options("-c no_such_setting=1")),
    ];
    for (what, change) in changes {
        println!("{what}: {}", code_of(what, changed(&config, change)));
    }
}

cabrank_testing::tests! {
    on_server:
        a_wrong_password_or_database_is_told_at_once,
        what_a_session_cannot_begin_with_is_told_at_once,
        a_database_that_may_not_be_entered_is_told_at_once,
        sides_that_do_not_agree_are_told_at_once;
    behind_pgbouncer:
        what_a_pooler_refuses_is_told_at_once;
    alone:
        settings_that_cannot_be_are_told_at_once,
}
