//! Undocumented behaviour on which the adapters depend. Each test fails with a message of its own when a new version of a driver or a
//! server behaves differently, instead of an obscure failure in the tests above. They use the plain drivers, without a pool or an
//! adapter.

use cabrank_testing::eventually;
use cabrank_testing::proxy::{Framing, Proxy};
use integration_tests::{Case, Database, Engine, Needs, Server};
use mysql::prelude::Queryable;
use mysql::{Opts, OptsBuilder};
use postgres::config::{SslMode, SslNegotiation};
use postgres::error::SqlState;
use postgres::fallible_iterator::FallibleIterator;
use postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use postgres::{Client, Socket};
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::io;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    macro_rules! add {
        ($test:ident, $($variant:ident)+) => {
            $(cases.push(Case {
                engine: Engine::$variant,
                name: concat!("canaries::", stringify!($test)),
                needs: Needs::Server,
                run: || $test(Server::of(Engine::$variant).expect("it was there a moment ago")),
            });)+
        };
    }
    add!(the_connector_is_called_on_the_raw_socket, Postgres);
    add!(each_request_is_answered_by_one_ready_for_query, Postgres);
    add!(a_reset_leaves_the_drivers_statements, Postgres);
    add!(discard_all_breaks_the_driver, Postgres);
    add!(a_commit_of_an_aborted_transaction_says_ok, Postgres);
    add!(a_reset_clears_all_but_the_current_database, Mysql Mariadb);
    add!(a_quiet_line_means_a_live_session, Mysql Mariadb);
    add!(the_drivers_transaction_does_not_know_its_end, Mysql Mariadb);
    cases
}

/// With direct negotiation required, the driver sends nothing before our connector has the socket, so all bytes pass through us.
fn the_connector_is_called_on_the_raw_socket(server: &'static Server) {
    let database = Database::new(server).unwrap();
    let calls = Calls::default();
    let mut config: postgres::Config = database.url().as_str().parse().unwrap();
    config.ssl_mode(SslMode::Require).ssl_negotiation(SslNegotiation::Direct);
    let mut client = config.connect(calls.clone()).expect("the driver goes on over the stream that it was given");
    assert_eq!(calls.0.load(Ordering::SeqCst), 1, "the driver no longer calls the connector on the raw socket");
    assert_eq!(client.query_one("SELECT 7", &[]).unwrap().get::<_, i32>(0), 7);
    client.cancel_token().cancel_query(calls.clone()).expect("a cancellation goes by the same connector");
    assert_eq!(calls.0.load(Ordering::SeqCst), 2);
}

/// The tracking of sessions compares the counts of requests and answers.
fn each_request_is_answered_by_one_ready_for_query(server: &'static Server) {
    let database = Database::new(server).unwrap();
    let (host, port) = server.address();
    let proxy = Proxy::with_framing((host.as_str(), port), Framing::Postgres).unwrap();
    let mut client = Client::connect(database.url_through(&proxy).as_str(), postgres::NoTls).unwrap();
    client.batch_execute("CREATE TABLE x (i INT)").unwrap();
    let roads: [(&str, u64, fn(&mut Client)); 9] = [
        ("batch_execute", 0, |client| client.batch_execute("SELECT 1; SELECT 2").unwrap()),
        ("simple_query", 0, |client| drop(client.simple_query("SELECT 1").unwrap())),
        ("query", 0, |client| drop(client.query("SELECT 1", &[]).unwrap())),
        ("an error", 0, |client| drop(client.query("SELECT 1/0", &[]).unwrap_err())),
        ("rows that are not read", 0, |client| {
            let rows = client.query_raw("SELECT generate_series(1, 10000)", Vec::<i32>::new()).unwrap();
            drop(rows.take(1));
        }),
        ("a transaction", 0, |client| client.transaction().unwrap().commit().unwrap()),
        ("a transaction that is dropped", 0, |client| drop(client.transaction().unwrap())),
        ("copy_out", 0, |client| {
            let mut text = String::new();
            client.copy_out("COPY x TO STDOUT").unwrap().read_to_string(&mut text).unwrap();
        }),
        // The Sync that follows Execute is ignored while the server waits for data.
        ("copy_in", 1, |client| {
            let mut rows = client.copy_in("COPY x FROM STDIN").unwrap();
            rows.write_all(b"1\n").unwrap();
            rows.finish().unwrap();
        }),
    ];
    for (road, swallowed, travel) in roads {
        let before = proxy.counts();
        travel(&mut client);
        // Requests that the driver sends on its own, such as closing a statement, are answered before this one.
        client.simple_query("").unwrap();
        let after = proxy.counts();
        let of = |kinds: &[u8], to_server: bool| -> u64 {
            let count = |counts: &cabrank_testing::proxy::Counts| -> u64 {
                let traffic = if to_server { &counts.to_server } else { &counts.to_client };
                kinds.iter().filter_map(|kind| traffic.by_type.get(kind)).sum()
            };
            count(&after) - count(&before)
        };
        let (asked, answered) = (of(b"QSF", true), of(b"Z", false));
        assert_eq!(asked, answered + swallowed, "{road}: requests against ReadyForQuery");
        assert!(answered >= 2, "{road}: nothing was counted");
    }
}

/// The statements of the adapter's reset leave everything alone that the driver relies on.
fn a_reset_leaves_the_drivers_statements(server: &'static Server) {
    let database = Database::new(server).unwrap();
    let mut client = Client::connect(database.url().as_str(), postgres::NoTls).unwrap();
    client.batch_execute("CREATE TYPE mood AS ENUM ('good'); CREATE TYPE weather AS ENUM ('fine')").unwrap();
    client.query("SELECT 'good'::mood", &[]).unwrap();
    let statement = client.prepare("SELECT 7").unwrap();
    client
        .batch_execute(
            "BEGIN; ROLLBACK; CLOSE ALL; SET SESSION AUTHORIZATION DEFAULT; RESET ALL; UNLISTEN *;
             SELECT pg_advisory_unlock_all(); DISCARD SEQUENCES; DISCARD TEMP",
        )
        .unwrap();
    assert_eq!(client.query_one(&statement, &[]).unwrap().get::<_, i32>(0), 7, "statements survive");
    client.query("SELECT 'fine'::weather", &[]).expect("types are still found");
}

/// The reason why the adapter does not use it. If this test fails, a reset could be one short statement.
fn discard_all_breaks_the_driver(server: &'static Server) {
    let database = Database::new(server).unwrap();
    let mut client = Client::connect(database.url().as_str(), postgres::NoTls).unwrap();
    client.batch_execute("CREATE TYPE mood AS ENUM ('good'); CREATE TYPE weather AS ENUM ('fine')").unwrap();
    client.query("SELECT 'good'::mood", &[]).unwrap();
    client.batch_execute("DISCARD ALL").unwrap();
    let error = client.query("SELECT 'fine'::weather", &[]).expect_err("DISCARD ALL no longer breaks the driver");
    assert_eq!(error.code(), Some(&SqlState::INVALID_SQL_STATEMENT_NAME), "{error}");
}

/// The reason why the adapter puts a statement in front of COMMIT.
fn a_commit_of_an_aborted_transaction_says_ok(server: &'static Server) {
    let database = Database::new(server).unwrap();
    let mut client = Client::connect(database.url().as_str(), postgres::NoTls).unwrap();
    let mut transaction = client.transaction().unwrap();
    transaction.execute("SELECT 1/0", &[]).unwrap_err();
    transaction.commit().expect("the driver now reports that the server has rolled back");
}

/// COM_RESET_CONNECTION, and what the adapter must do in addition.
fn a_reset_clears_all_but_the_current_database(server: &'static Server) {
    let database = Database::new(server).unwrap();
    let mut conn = mysql::Conn::new(opts(&database)).unwrap();
    conn.query_drop("CREATE TABLE account (money INT) ENGINE=InnoDB").unwrap();
    for soil in [
        "SET @left_over = 7",
        "SET SESSION lock_wait_timeout = 7",
        "CREATE TEMPORARY TABLE left_over (x INT)",
        "PREPARE left_over FROM 'SELECT 1'",
        "DO GET_LOCK('left_over', 0)",
        "USE information_schema",
        "BEGIN",
    ] {
        conn.query_drop(soil).unwrap();
    }
    conn.query_drop(format!("INSERT INTO {}.account VALUES (7)", database.name())).unwrap();
    conn.reset().unwrap();
    let look = "SELECT @left_over IS NULL AND @@lock_wait_timeout <> 7 AND IS_FREE_LOCK('left_over')";
    assert_eq!(conn.query_first(look).unwrap(), Some(1), "a reset no longer clears variables, settings or locks");
    assert!(conn.query_drop("EXECUTE left_over").is_err(), "a reset no longer clears statements");
    let count = format!("SELECT count(*) FROM {}.account", database.name());
    assert_eq!(conn.query_first(count).unwrap(), Some(0), "a reset no longer rolls back");
    assert!(conn.query_drop(format!("SELECT * FROM {}.left_over", database.name())).is_err(), "temporary tables");
    let current: Option<String> = conn.query_first("SELECT database()").unwrap();
    assert_eq!(current.as_deref(), Some("information_schema"), "a reset now restores the database itself");
}

/// Between commands the server sends nothing, and its end can be seen on the descriptor without reading.
fn a_quiet_line_means_a_live_session(server: &'static Server) {
    let database = Database::new(server).unwrap();
    let mut admin = server.log_in().unwrap();
    for road in ["SELECT 1", "DO 1", "CREATE TEMPORARY TABLE x (i INT)", "BEGIN", "no SQL at all"] {
        let mut conn = mysql::Conn::new(opts(&database)).unwrap();
        let _ = conn.query_drop(road);
        assert_eq!(peek(&conn), Peek::Quiet, "{road}: the server has sent more");
        admin.kill(i64::from(conn.connection_id())).unwrap();
        eventually("the socket is not quiet", || peek(&conn) != Peek::Quiet);
    }
    let mut conn = mysql::Conn::new(opts(&database)).unwrap();
    conn.query_drop("SET wait_timeout = 1").unwrap();
    eventually("the socket is not quiet", || peek(&conn) != Peek::Quiet);
}

/// After a deadlock or a time-out the driver's own COMMIT succeeds, whatever became of the transaction. Therefore the adapter has its own
/// transaction type.
fn the_drivers_transaction_does_not_know_its_end(server: &'static Server) {
    let database = Database::new(server).unwrap();
    let mut conn = mysql::Conn::new(opts(&database)).unwrap();
    conn.query_drop("CREATE TABLE account (money INT) ENGINE=InnoDB").unwrap();
    let mut transaction = conn.start_transaction(mysql::TxOpts::default()).unwrap();
    transaction.query_drop("INSERT INTO account VALUES (7)").unwrap();
    transaction.query_drop("ROLLBACK").unwrap();
    transaction.commit().expect("the driver now notices that the transaction was over");
}

#[derive(Debug, PartialEq)]
enum Peek {
    Quiet,
    End,
    Bytes,
}

fn peek(conn: &mysql::Conn) -> Peek {
    #[allow(unsafe_code)] // The driver implements AsRawFd, but not AsFd.
    // SAFETY: the descriptor is that of the socket inside `conn`, which is open while it is borrowed, as it is until the end of
    // this function.
    let socket = unsafe { BorrowedFd::borrow_raw(conn.as_raw_fd()) };
    match recv(socket, &mut [0; 1], RecvFlags::PEEK | RecvFlags::DONTWAIT) {
        Ok((0, _)) => Peek::End,
        Ok(_) => Peek::Bytes,
        Err(Errno::AGAIN) => Peek::Quiet,
        Err(error) => panic!("{error}"),
    }
}

fn opts(database: &Database) -> OptsBuilder {
    OptsBuilder::from_opts(Opts::from_url(database.url().as_str()).expect("a URL")).prefer_socket(false)
}

/// A connector that passes the stream on unchanged, and counts.
#[derive(Clone, Default)]
struct Calls(Arc<AtomicUsize>);

impl MakeTlsConnect<Socket> for Calls {
    type Stream = Plain;
    type TlsConnect = Self;
    type Error = Infallible;

    fn make_tls_connect(&mut self, _: &str) -> Result<Self, Infallible> {
        Ok(self.clone())
    }
}

impl TlsConnect<Socket> for Calls {
    type Stream = Plain;
    type Error = Infallible;
    type Future = Ready<Result<Plain, Infallible>>;

    fn connect(self, socket: Socket) -> Self::Future {
        self.0.fetch_add(1, Ordering::SeqCst);
        ready(Ok(Plain(socket)))
    }
}

struct Plain(Socket);

impl TlsStream for Plain {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl AsyncRead for Plain {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Plain {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
