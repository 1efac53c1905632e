//! Opening: wrong settings are reported at once, a full server is tolerated, and the options reach the server.

use crate::server::{PATIENCE, Server, on_each_server};
use cabrank_mysql::cabrank::{BuildError, Cause, GetError, SessionPolicy};
use cabrank_mysql::mysql::prelude::Queryable;
use cabrank_mysql::mysql::{Error, Opts};
use cabrank_mysql::{Connection, MySqlManager, Pool};
use cabrank_testing::{NetworkFault, Way, eventually};
use std::collections::HashMap;
use std::io;
use std::io::Write;
use std::net::{TcpListener, ToSocketAddrs};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

/// The server's code for refusing a connection, which must arrive at once.
fn refusal(manager: MySqlManager) -> u16 {
    let begin = Instant::now();
    let error = Pool::builder().build(manager).unwrap_err();
    // A temporary error would be retried for ten seconds.
    assert!(begin.elapsed() < Duration::from_secs(8), "{:?}", begin.elapsed());
    match error {
        BuildError::Connect(Cause::Driver(error)) => match error.as_ref() {
            Error::MySqlError(error) => error.code,
            error => panic!("not the server's: {error}"),
        },
        error => panic!("{error:?}"),
    }
}

fn a_wrong_password_is_said_at_once(server: &Server) {
    assert_eq!(refusal(MySqlManager::new(server.opts().pass(Some("wrong")))), 1045);
}

fn a_wrong_database_is_said_at_once(server: &Server) {
    assert_eq!(refusal(MySqlManager::new(server.opts().db_name(Some("no_such_database")))), 1049);
}

fn a_server_that_is_not_there_is_waited_for(server: &Server) {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let manager = MySqlManager::new(server.tcp().tcp_port(nobody));
    let pool = Pool::builder().max_size(1).build_lazy(manager).unwrap();
    let error = pool.get_timeout(Duration::from_secs(1)).unwrap_err();
    assert!(error.is_timeout() && format!("{error:?}").contains("refused"), "{error:?}");
}

fn a_user_who_may_open_two_serves_eight_threads(server: &Server) {
    let is_mariadb = server.ask::<String>("SELECT VERSION()").is_some_and(|version| version.contains("MariaDB"));
    if is_mariadb && server.ask("SELECT @@GLOBAL.max_user_connections") == Some(0) {
        server.lacks("limits for accounts: MariaDB heeds them only if it is started with one for all");
    }
    let user = format!("u{}", server.database.trim_start_matches("cabrank_test"));
    server.run(format!("CREATE USER '{user}'@'%' IDENTIFIED BY 'pw' WITH MAX_USER_CONNECTIONS 2"));
    server.run(format!("GRANT ALL ON {}.* TO '{user}'@'%'", server.database));
    // Without resets, because MariaDB no longer counts a session for its account once it was reset.
    let builder = server.builder(5).session_policy(SessionPolicy::Never);
    let pool = builder.build(MySqlManager::new(server.opts().user(Some(&user)).pass(Some("pw")))).unwrap();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..10 {
                    pool.get().expect("served by the two").query_drop("DO SLEEP(0.005)").unwrap();
                }
            });
        }
    });
    assert_eq!(pool.stats().open, 2);
    pool.close_within(PATIENCE);
    server.run(format!("DROP USER '{user}'@'%'"));
}

fn a_password_that_changes_is_asked_for_again(server: &Server) {
    let user = format!("u{}", server.database.trim_start_matches("cabrank_test"));
    server.run(format!("CREATE USER '{user}'@'%' IDENTIFIED BY 'first'"));
    server.run(format!("GRANT ALL ON {}.* TO '{user}'@'%'", server.database));
    let asked = Arc::new(AtomicU32::new(0));
    let manager = MySqlManager::with_config({
        let (asked, opts, user) = (Arc::clone(&asked), server.opts(), user.clone());
        move || {
            let password = if asked.fetch_add(1, Ordering::Relaxed) == 0 { "first" } else { "second" };
            Ok(opts.clone().user(Some(&user)).pass(Some(password)).into())
        }
    });
    let pool = server.builder(2).build(manager).unwrap();
    let held = pool.get().unwrap();
    server.run(format!("ALTER USER '{user}'@'%' IDENTIFIED BY 'second'"));
    drop((pool.get().expect("with the second password"), held));
    assert_eq!(asked.load(Ordering::Relaxed), 2);
    pool.close_within(PATIENCE);
    server.run(format!("DROP USER '{user}'@'%'"));
}

fn an_init_that_cannot_work_is_said_at_once(server: &Server) {
    for init in ["SELEC 1", "SET no_such_variable = 1", "SET NAMES nonsense", "SELECT * FROM nowhere", "CALL nothing()"]
    {
        let asked = Arc::new(AtomicU32::new(0));
        let opts = Opts::from(server.opts().init(vec!["SET @a = 1", init]));
        let manager = MySqlManager::with_config({
            let asked = Arc::clone(&asked);
            move || {
                asked.fetch_add(1, Ordering::Relaxed);
                Ok(opts.clone())
            }
        });
        let error = Pool::builder().connect_timeout(PATIENCE).build(manager).expect_err(init);
        assert!(
            matches!(&error, BuildError::Connect(Cause::Driver(cause)) if cause.to_string().contains(init)),
            "{error:?}"
        );
        assert_eq!(asked.load(Ordering::Relaxed), 1, "{init}");
    }
}

/// A port that answers every log-in with this code instead of a greeting.
fn refusing(code: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let message = b"not now";
    let mut packet = vec![u8::try_from(3 + message.len()).unwrap(), 0, 0, 0, 0xff];
    packet.extend(code.to_le_bytes());
    packet.extend(message);
    thread::spawn(move || {
        let (mut client, _) = listener.accept()?;
        client.write_all(&packet)?;
        // Until the client has read it and closed.
        io::copy(&mut client, &mut io::sink())
    });
    port
}

/// Refuses the first log-in with this code, and forwards later ones to the server. Also returns the count of attempts.
fn refused_once(server: &Server, code: u16) -> (MySqlManager, Arc<AtomicU32>) {
    let (tried, opts, port) = (Arc::new(AtomicU32::new(0)), Opts::from(server.opts()), refusing(code));
    let refused = Opts::from(server.tcp().ip_or_hostname(Some("127.0.0.1")).tcp_port(port));
    let manager = MySqlManager::with_config({
        let tried = Arc::clone(&tried);
        move || Ok(if tried.fetch_add(1, Ordering::Relaxed) == 0 { refused.clone() } else { opts.clone() })
    });
    (manager, tried)
}

fn a_refusal_that_may_pass_is_tried_again(server: &Server) {
    // No thread, no memory, disk full, offline, not available, and codes of a proxy and of a later version.
    for code in [1135, 1037, 1041, 1021, 3032, 3168, 9001, 60_000] {
        let (manager, tried) = refused_once(server, code);
        let pool = Pool::builder().max_size(1).build_lazy(manager).unwrap();
        pool.get_timeout(PATIENCE).unwrap_or_else(|error| panic!("{code}: {error:?}")).query_drop("DO 1").unwrap();
        assert_eq!((tried.load(Ordering::Relaxed), pool.stats().open_failures), (2, 1), "{code}");
    }
}

fn a_refusal_that_comes_again_is_said_at_once(server: &Server) {
    // A handshake or a character set that the server does not accept, a locked account.
    for code in [1043, 1115, 1273, 1275, 3118] {
        let (manager, tried) = refused_once(server, code);
        let pool = Pool::builder().max_size(1).build_lazy(manager).unwrap();
        let error = pool.get_timeout(PATIENCE).expect_err("refused");
        assert!(!error.is_timeout() && format!("{error:?}").contains("not now"), "{code}: {error:?}");
        assert_eq!(tried.load(Ordering::Relaxed), 1, "{code}");
    }
}

fn settings_that_hang_are_given_up_on(server: &Server) {
    let (stop, opts) = (Arc::new(Barrier::new(2)), Opts::from(server.opts()));
    let first = AtomicU32::new(0);
    let manager = MySqlManager::with_config({
        let stop = Arc::clone(&stop);
        move || {
            if first.fetch_add(1, Ordering::Relaxed) == 0 {
                stop.wait();
            }
            Ok(opts.clone())
        }
    });
    let pool = Pool::builder().max_size(1).connect_timeout(Duration::from_secs(1)).build_lazy(manager).unwrap();
    pool.get_timeout(PATIENCE).expect("the second answer is used").query_drop("DO 1").unwrap();
    assert_eq!(pool.stats().abandoned, 1);
    stop.wait();
}

fn a_name_is_looked_up_and_all_its_addresses_are_tried(server: &Server) {
    let port = server.opts.get_tcp_port();
    let found = ("localhost", port).to_socket_addrs().expect("the name of every machine");
    let manager = MySqlManager::new(server.opts().ip_or_hostname(Some("localhost")));
    let mut conn = manager.open().unwrap_or_else(|error| panic!("{error} with {:?}", Vec::from_iter(found)));
    conn.query_drop("DO 1").unwrap();
}

fn a_name_that_nobody_knows_is_said(server: &Server) {
    let manager = MySqlManager::new(server.tcp().ip_or_hostname(Some("no-such-host.invalid")));
    let pool = Pool::builder().max_size(1).build_lazy(manager).unwrap();
    let error = pool.get_timeout(Duration::from_millis(800)).unwrap_err();
    assert!(matches!(error, GetError::Timeout(_)), "{error}");
    assert!(format!("{error:?}").contains("no-such-host.invalid"), "{error:?}");
}

fn the_server_is_told_whose_connections_these_are(server: &Server) {
    if server.ask("SELECT @@performance_schema") == Some(false) {
        server.lacks("a performance schema that is on");
    }
    let name = |conn: &mut Connection| -> Option<String> {
        let sql = "SELECT attr_value FROM performance_schema.session_connect_attrs
                   WHERE attr_name = 'program_name' AND processlist_id = CONNECTION_ID()";
        conn.query_first(sql).unwrap()
    };
    let in_pool = |manager: MySqlManager| {
        let pool = server.builder(1).name("invoices").build(manager).unwrap();
        // Also after a reset.
        [(); 2].map(|()| name(&mut pool.get().unwrap()))
    };
    let twice = |name: &str| [(); 2].map(|()| Some(name.to_owned()));
    let attributes =
        |of: &[(&str, &str)]| of.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    let named = || server.opts().connect_attrs(Some(attributes(&[("program_name", "mine")])));
    let other = server.opts().connect_attrs(Some(attributes(&[("team", "red")])));
    assert_eq!(in_pool(server.manager()), twice("invoices"), "the pool's name");
    assert_eq!(in_pool(MySqlManager::new(other)), twice("invoices"), "beside other attributes");
    assert_eq!(in_pool(MySqlManager::new(named())), twice("mine"), "the options have their own");
    assert_eq!(in_pool(MySqlManager::new(named()).program_name("orders")), twice("orders"));
    let none = server.opts().connect_attrs(None::<HashMap<String, String>>);
    assert_eq!(in_pool(MySqlManager::new(none)), [None, None], "the options want none");
    let alone = name(&mut server.manager().open().unwrap()).expect("the driver's own");
    assert!(alone.contains("it"), "{alone}");
    assert_eq!(name(&mut server.manager().program_name("orders").open().unwrap()).as_deref(), Some("orders"));
}

fn a_server_that_talks_nonsense_is_an_error_and_no_panic(server: &Server) {
    if server.opts.get_socket().is_some() {
        server.lacks("an address to stand before");
    }
    let proxy = server.proxy();
    proxy.set(NetworkFault::Garble(Way::ToClient, b"utf8mb4", b"utf8mb\xff"));
    let error = MySqlManager::new(server.through(&proxy)).open().unwrap_err();
    assert!(error.to_string().contains("character sets"), "{error}");
}

fn one_connection_is_one_session(server: &Server) {
    let pool = server.builder(3).min_idle(3).build(server.manager()).unwrap();
    eventually("three are open", || pool.stats().idle == 3);
    assert_eq!(server.sessions(), 3);
}

#[cfg(not(any(feature = "native-tls", feature = "rustls-tls", feature = "rustls-tls-ring")))]
fn tls_without_the_feature_is_an_error_and_no_panic(server: &Server) {
    let manager = MySqlManager::new(server.opts().ssl_opts(cabrank_mysql::mysql::SslOpts::default()));
    let error = Pool::builder().build(manager).unwrap_err();
    assert!(format!("{error:?}").contains("rustls-tls"), "{error:?}");
}

cabrank_testing::tests! {
    on_each_server:
        a_wrong_password_is_said_at_once,
        a_wrong_database_is_said_at_once,
        a_server_that_is_not_there_is_waited_for,
        a_user_who_may_open_two_serves_eight_threads,
        a_password_that_changes_is_asked_for_again,
        an_init_that_cannot_work_is_said_at_once,
        a_refusal_that_may_pass_is_tried_again,
        a_refusal_that_comes_again_is_said_at_once,
        settings_that_hang_are_given_up_on,
        a_name_is_looked_up_and_all_its_addresses_are_tried,
        a_name_that_nobody_knows_is_said,
        the_server_is_told_whose_connections_these_are,
        a_server_that_talks_nonsense_is_an_error_and_no_panic,
        one_connection_is_one_session,
        #[cfg(not(any(feature = "native-tls", feature = "rustls-tls", feature = "rustls-tls-ring")))]
        tls_without_the_feature_is_an_error_and_no_panic,
}
