//! Tests of the suite's fixtures, with the plain drivers: if these were wrong, no test above them could be right.

use cabrank_testing::proxy::{Framing, Proxy};
use cabrank_testing::{NetworkFault, eventually};
use integration_tests::pgbouncer::PgBouncer;
use integration_tests::{Admin, Case, Census, Database, Engine, Needs, Server};
use std::thread;
use std::time::{Duration, Instant};

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    macro_rules! add {
        ($needs:ident, $test:ident, $($variant:ident)+) => {
            $(cases.push(Case {
                engine: Engine::$variant,
                name: concat!("fixtures::", stringify!($test)),
                needs: Needs::$needs,
                run: || $test(Server::of(Engine::$variant).expect("it was there a moment ago")),
            });)+
        };
    }
    add!(Server, each_test_has_a_database_of_its_own, Postgres Mysql Mariadb);
    add!(Server, a_wrong_password_is_refused, Postgres Mysql Mariadb);
    add!(Server, sessions_are_counted_at_the_server, Postgres Mysql Mariadb);
    add!(Server, a_census_counts_those_who_are_there_together, Postgres Mysql Mariadb);
    add!(Server, the_server_offers_tls, Postgres Mysql Mariadb);
    add!(Server, a_driver_works_through_the_proxy, Postgres Mysql Mariadb);
    add!(Server, messages_are_counted_at_the_proxy, Postgres Mysql Mariadb);
    add!(Server, pgbouncer_passes_queries_on, Postgres);
    add!(Control, a_restart_keeps_port_and_data, Postgres Mysql Mariadb);
    add!(Control, a_crash_keeps_port_and_data, Postgres Mysql Mariadb);
    add!(Control, a_paused_server_is_silent, Postgres Mysql Mariadb);
    cases
}

fn each_test_has_a_database_of_its_own(server: &'static Server) {
    let (one, other) = (database(server), database(server));
    assert_ne!(one.name(), other.name());
    assert!(one.name().starts_with("cabrank_test_"));
    let mut admin = Admin::log_in(server.engine(), &one.url()).unwrap();
    admin.execute("CREATE TABLE here (x INT)").unwrap();
    assert_eq!(admin.number("SELECT count(*) FROM here").unwrap(), 0);
    assert!(other.log_in().unwrap().number("SELECT count(*) FROM here").is_err());
    let (name, url) = (one.name().to_owned(), one.url());
    assert!(Admin::log_in(server.engine(), &url).is_ok());
    drop(admin);
    drop(one);
    assert!(Admin::log_in(server.engine(), &url).is_err(), "the user is gone");
    assert!(server.log_in().unwrap().execute(&format!("CREATE DATABASE {name}")).is_ok(), "so is the database");
    server.log_in().unwrap().execute(&format!("DROP DATABASE {name}")).unwrap();
}

fn a_wrong_password_is_refused(server: &'static Server) {
    let mut url = server.url().clone();
    url.set_password(Some("wrong")).unwrap();
    assert!(Admin::log_in(server.engine(), &url).is_err());
}

fn sessions_are_counted_at_the_server(server: &'static Server) {
    let database = database(server);
    assert_eq!(database.sessions().unwrap().len(), 0);
    let mut logins = [0, 1].map(|_| Admin::log_in(server.engine(), &database.url()).unwrap());
    let _ours = database.log_in().unwrap();
    let sessions = database.sessions().unwrap();
    assert_eq!(sessions.len(), 2);
    let mut admin = server.log_in().unwrap();
    sessions.into_iter().for_each(|session| admin.kill(session).unwrap());
    eventually("no session is left", || database.sessions().unwrap().is_empty());
    assert!(logins.iter_mut().all(|login| login.number("SELECT 1").is_err()));
}

/// Forty consecutive sessions count as one; three at once count as three, and remain the peak.
fn a_census_counts_those_who_are_there_together(server: &'static Server) {
    let database = database(server);
    let census = Census::of(server, database.name());
    let log_in = || Admin::log_in(server.engine(), &database.url()).unwrap();
    for _ in 0..40 {
        drop(log_in());
        eventually("no session is left", || database.sessions().unwrap().is_empty());
    }
    assert!(census.seen().peak <= 1, "{:?}", census.seen());
    let three = [(); 3].map(|()| log_in());
    eventually("all three are seen", || census.seen().peak == 3);
    drop(three);
    eventually("no session is left", || database.sessions().unwrap().is_empty());
    assert_eq!(census.seen().peak, 3);
}

fn the_server_offers_tls(server: &'static Server) {
    let mut admin = server.log_in().unwrap();
    let sql = match server.engine() {
        Engine::Postgres => "SELECT current_setting('ssl')",
        Engine::Mysql => "SHOW GLOBAL STATUS LIKE 'Ssl_server_not_after'",
        _ => "SELECT @@have_ssl",
    };
    let rows = admin.rows(sql).unwrap();
    let said = rows[0].last().unwrap();
    if server.engine() == Engine::Mariadb && said == "DISABLED" {
        integration_tests::skip("before 11.4 MariaDB does not create a certificate itself");
    }
    assert!(["on", "YES"].contains(&said.as_str()) || said.contains("GMT"), "{said}");
}

fn a_driver_works_through_the_proxy(server: &'static Server) {
    let database = database(server);
    let proxy = database.proxy().unwrap();
    let mut admin = Admin::log_in(server.engine(), &database.url_through(&proxy)).unwrap();
    assert_eq!(admin.number("SELECT 7").unwrap(), 7);
    assert_eq!((proxy.counts().open, proxy.counts().attempts.len()), (1, 1));
    proxy.set(NetworkFault::StallBoth);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| admin.number("SELECT 8"));
        thread::sleep(Duration::from_millis(100));
        assert!(!waiting.is_finished());
        proxy.set(NetworkFault::None);
        assert_eq!(waiting.join().unwrap().unwrap(), 8);
    });
    proxy.reset();
    assert!(admin.number("SELECT 9").is_err());
    eventually("no session is left", || database.sessions().unwrap().is_empty());
    proxy.set(NetworkFault::Refuse);
    assert!(Admin::log_in(server.engine(), &database.url_through(&proxy)).is_err());
}

fn messages_are_counted_at_the_proxy(server: &'static Server) {
    let (database, postgres) = (database(server), server.engine() == Engine::Postgres);
    let (host, port) = server.address();
    let framing = if postgres { Framing::Postgres } else { Framing::Mysql };
    let proxy = Proxy::with_framing((host.as_str(), port), framing).unwrap();
    let mut admin = Admin::log_in(server.engine(), &database.url_through(&proxy)).unwrap();
    let before = proxy.counts();
    for _ in 0..10 {
        admin.number("SELECT 1").unwrap();
    }
    let after = proxy.counts();
    assert_eq!(after.to_server.messages - before.to_server.messages, 10);
    // A simple query, and MySQL's COM_QUERY.
    let query = if postgres { b'Q' } else { 3 };
    let of_type = |counts: &cabrank_testing::proxy::Counts| counts.to_server.by_type.get(&query).copied().unwrap_or(0);
    assert_eq!(of_type(&after) - of_type(&before), 10);
    if postgres {
        assert_eq!(after.to_client.by_type[&b'Z'] - before.to_client.by_type[&b'Z'], 10);
    }
}

fn pgbouncer_passes_queries_on(server: &'static Server) {
    if server.container().is_none() {
        integration_tests::skip("PgBouncer's container cannot reach a server that the environment names");
    }
    let (database, begun) = (database(server), Instant::now());
    let bouncer = PgBouncer::start(&database, 100).unwrap();
    println!("pgbouncer: accepted a login after {:.1} s", begun.elapsed().as_secs_f64());
    let mut admin = Admin::log_in(Engine::Postgres, &bouncer.url(&database)).unwrap();
    assert_eq!(admin.rows("SELECT current_database()").unwrap()[0][0], database.name());
    drop(admin);
}

fn a_restart_keeps_port_and_data(server: &'static Server) {
    keeps_port_and_data(server, "restart", || server.restart());
}

fn a_crash_keeps_port_and_data(server: &'static Server) {
    keeps_port_and_data(server, "crash", || server.crash());
}

fn keeps_port_and_data(server: &'static Server, what: &str, act: impl FnOnce() -> anyhow::Result<()>) {
    let database = database(server);
    let mut admin = database.log_in().unwrap();
    admin.execute("CREATE TABLE kept (x INT)").unwrap();
    admin.execute("INSERT INTO kept VALUES (1)").unwrap();
    let (address, begun) = (server.address(), Instant::now());
    act().unwrap();
    println!("{}: {what} in {:.1} s", server.engine(), begun.elapsed().as_secs_f64());
    assert!(admin.number("SELECT 1").is_err(), "the old session is gone");
    assert_eq!(server.address(), address);
    assert_eq!(database.log_in().unwrap().number("SELECT count(*) FROM kept").unwrap(), 1);
}

fn a_paused_server_is_silent(server: &'static Server) {
    let mut admin = server.log_in().unwrap();
    server.pause().unwrap();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| admin.number("SELECT 7"));
        thread::sleep(Duration::from_millis(300));
        assert!(!waiting.is_finished());
        let begun = Instant::now();
        server.unpause().unwrap();
        println!("{}: accepted a login {:.2} s after a pause", server.engine(), begun.elapsed().as_secs_f64());
        assert_eq!(waiting.join().unwrap().unwrap(), 7, "the session lives on");
    });
}

fn database(server: &'static Server) -> Database {
    Database::new(server).expect("a server that accepts logins")
}
