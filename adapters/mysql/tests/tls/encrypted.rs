//! As without TLS: the session is reset, a look at the socket detects death and nothing else, statements are cancelled and connections
//! aborted.

use crate::server::{Server, close_on_a_long_statement, on_each_server, settle};
use cabrank_mysql::cabrank::{BuildError, CloseReason, Manager};
use cabrank_mysql::mysql::SslOpts;
use cabrank_mysql::mysql::prelude::Queryable;
use cabrank_mysql::{MySqlManager, Pool};
use cabrank_testing::{Recorder, eventually};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

/// As a user who must use TLS, so a side connection without it would fail.
fn manager(server: &Server) -> MySqlManager {
    let user = format!("s{}", server.database.trim_start_matches("cabrank_test"));
    server.run(format!("CREATE USER IF NOT EXISTS '{user}'@'%' IDENTIFIED BY 'pw' REQUIRE SSL"));
    server.run(format!("GRANT ALL ON {}.* TO '{user}'@'%'", server.database));
    let trusting = SslOpts::default().with_danger_accept_invalid_certs(true).with_danger_skip_domain_validation(true);
    MySqlManager::new(server.tcp().user(Some(user)).pass(Some("pw")).ssl_opts(trusting))
}

fn pool(server: &Server, max_size: u32) -> Pool {
    server.builder(max_size).build(manager(server)).expect("a pool")
}

fn a_session_is_encrypted_and_put_back(server: &Server) {
    needs_tls(server);
    let pool = pool(server, 1);
    let mut conn = pool.get().unwrap();
    let cipher: Option<(String, String)> = conn.query_first("SHOW STATUS LIKE 'Ssl_cipher'").unwrap();
    assert!(cipher.is_some_and(|(_, cipher)| !cipher.is_empty()));
    let id = conn.connection_id();
    conn.query_drop("SET @mine = 'secret'; START TRANSACTION; UPDATE account SET money = 7").unwrap();
    drop(conn);
    settle(&pool);
    let mut conn = pool.get().unwrap();
    assert_eq!(conn.query_first("SELECT CONNECTION_ID(), @mine").unwrap(), Some((id, None::<String>)));
    assert_eq!(server.money(1), 0);
}

/// A server sends session tickets unasked. They arrive before its first reply and are read with it.
fn looking_finds_nothing_wrong_with_a_healthy_connection(server: &Server) {
    needs_tls(server);
    let (manager, pool) = (manager(server), pool(server, 4));
    let looks = |when: &str| {
        let mut conns: Vec<_> = (0..4).map(|_| pool.get().unwrap()).collect();
        for conn in &mut conns {
            assert!(!manager.has_broken(conn), "{when}");
            conn.query_drop("SELECT REPEAT('x', 100000); SELECT 1; DO 1").unwrap();
            conn.query_drop("no such statement").unwrap_err();
            assert!(!manager.has_broken(conn), "after an answer of many records");
        }
        drop(conns);
        settle(&pool);
    };
    looks("fresh");
    (0..10).for_each(|_| looks("after a reset"));
    // Late data arrives within this time.
    thread::sleep(Duration::from_millis(500));
    looks("after a rest");
    let stats = pool.stats();
    assert_eq!((stats.opened, stats.closed.total()), (4, 0), "{stats:?}");
}

fn a_killed_connection_is_noticed_by_looking(server: &Server) {
    needs_tls(server);
    let pool = pool(server, 1);
    let old = pool.get().unwrap().connection_id();
    settle(&pool);
    server.kill(old);
    pool.get().unwrap().query_drop("DO 1").expect("the user never notices");
    assert_eq!(pool.stats().closed.by(CloseReason::Broken), 1);
}

fn aborting_ends_a_statement_that_runs(server: &Server) {
    needs_tls(server);
    let manager = manager(server);
    let mut conn = manager.open().unwrap();
    let handle = manager.abort_handle(&conn).expect("a handle");
    let id = conn.connection_id();
    let ended = thread::spawn(move || {
        let ended = conn.query_drop("SELECT SLEEP(120)");
        assert!(conn.is_broken());
        ended
    });
    eventually("the statement runs", || server.runs(id, "SLEEP"));
    let begin = Instant::now();
    handle.abort();
    ended.join().unwrap().unwrap_err();
    assert!(begin.elapsed() < Duration::from_secs(60), "{:?}", begin.elapsed());
}

fn closing_cancels_what_a_holder_still_runs(server: &Server) {
    needs_tls(server);
    close_on_a_long_statement(server, || pool(server, 1));
}

/// MariaDB before 11.4 creates no certificate by itself, and current MySQL lacks the variable.
fn needs_tls(server: &Server) {
    if server.ask::<(String, String)>("SHOW VARIABLES LIKE 'have_ssl'").is_some_and(|(_, has)| has != "YES") {
        server.lacks("TLS");
    }
}

fn what_tls_cannot_do_with_these_settings_is_told_at_once(server: &Server) {
    needs_tls(server);
    let missing = SslOpts::default().with_root_cert_path(Some(PathBuf::from("no such file.pem")));
    for (what, opts) in
        [("a certificate that nobody vouches for", SslOpts::default()), ("a file that is not there", missing)]
    {
        let recorder = Recorder::new();
        let manager = MySqlManager::new(server.tcp().ssl_opts(opts));
        let outcome = server.builder(1).event_handler(recorder.clone()).build(manager);
        assert!(matches!(outcome, Err(BuildError::Connect(_))), "{what}: {outcome:?}");
        eventually("it is reported", || recorder.count("open failed") > 0);
        assert_eq!(recorder.count("open failed"), 1, "{what}: {:?}", recorder.events());
    }
}

cabrank_testing::tests! {
    on_each_server:
        what_tls_cannot_do_with_these_settings_is_told_at_once,
        a_session_is_encrypted_and_put_back,
        looking_finds_nothing_wrong_with_a_healthy_connection,
        a_killed_connection_is_noticed_by_looking,
        aborting_ends_a_statement_that_runs,
        closing_cancels_what_a_holder_still_runs,
}
