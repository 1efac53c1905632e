//! The cost of a loan on the wire, counted at a proxy that understands the protocol: the borrower's own requests, and the extra that the
//! adapter's README documents.

use crate::mysql::{Kin, MariaDb, MySql};
use crate::postgres::Postgres;
use crate::subject::{Error, Guard, Remote, Subject, SubjectPool};
use cabrank_mysql::mysql;
use cabrank_mysql::mysql::prelude::Queryable;
use cabrank_testing::proxy::{Framing, Proxy};
use integration_tests::{Case, Needs, figure};

pub(crate) fn cases() -> Vec<Case> {
    let case = |engine, name, run| Case { engine, name, needs: Needs::Server, run };
    vec![
        case(Postgres::ENGINE, "wire::a_plain_loan_costs_no_message", a_plain_loan_costs_no_message),
        case(Postgres::ENGINE, "wire::a_soiled_session_costs_one_message", a_soiled_session_costs_one_message),
        case(
            Postgres::ENGINE,
            "wire::a_copy_costs_no_message_on_the_next_loan",
            a_copy_costs_no_message_on_the_next_loan,
        ),
        case(MySql::ENGINE, "wire::a_plain_loan_costs_no_command", a_plain_loan_costs_no_command::<false>),
        case(MariaDb::ENGINE, "wire::a_plain_loan_costs_no_command", a_plain_loan_costs_no_command::<true>),
        case(MySql::ENGINE, "wire::a_soiled_session_costs_two_commands", a_soiled_session_costs_two_commands::<MySql>),
        case(
            MariaDb::ENGINE,
            "wire::a_soiled_session_costs_two_commands",
            a_soiled_session_costs_two_commands::<MariaDb>,
        ),
    ]
}

const LOANS: u64 = 50;

/// SELECT, INSERT, UPDATE, DELETE and transactions, in all of the driver's ways, cost exactly as much as on a connection without a pool.
fn a_plain_loan_costs_no_message() {
    let (subject, proxy, pool) = tapped::<Postgres>(Framing::Postgres);
    let url = subject.database().url_through(&proxy);
    subject.watch().inspect(|watch| watch.allow(1));
    let mut own = postgres::Client::connect(url.as_str(), postgres::NoTls).unwrap();
    let by_hand = messages(&proxy, || (0..LOANS).for_each(|_| plain_work(&mut own).unwrap()));
    // The first loan opens nothing, because the pool was built with a connection.
    let pooled = messages(&proxy, || (0..LOANS).for_each(|_| plain_work(pool.get().unwrap().client()).unwrap()));
    assert!(by_hand >= LOANS * 10, "{by_hand}");
    assert_eq!(pooled, by_hand);
    let transactions = |through: &dyn Fn()| messages(&proxy, || (0..LOANS).for_each(|_| through()));
    let earned = transactions(&|| {
        let earned: Result<u64, _> = pool
            .transaction()
            .run(|tx| -> Result<_, Error<Postgres>> { tx.execute("UPDATE account SET money = money + 1", &[]) });
        earned.unwrap();
    });
    let stats = pool.stats();
    assert_eq!((stats.resets_done, stats.resets_skipped), (0, 2 * LOANS));
    figure(format!("{LOANS} loans: {pooled} messages, by hand {by_hand}; {LOANS} transactions: {earned}, 0 resets"));
}

/// The driver's ways: simple, extended, prepared, with rows and without, in a transaction.
fn plain_work(client: &mut postgres::Client) -> Result<(), postgres::Error> {
    client.batch_execute("INSERT INTO account VALUES (3, 0)")?;
    client.execute("UPDATE account SET money = $1 WHERE id = 3", &[&7_i64])?;
    client.query("SELECT money FROM account", &[])?;
    client.simple_query("SELECT money FROM account")?;
    let statement = client.prepare("SELECT money FROM account WHERE id = $1")?;
    client.query_one(&statement, &[&3])?;
    let mut transaction = client.transaction()?;
    transaction.execute("DELETE FROM account WHERE id = 3", &[])?;
    transaction.commit()
}

/// A reset is one simple query.
fn a_soiled_session_costs_one_message() {
    let (_subject, proxy, pool) = tapped::<Postgres>(Framing::Postgres);
    let loan = |sql: &str| {
        let cost = messages(&proxy, || {
            Postgres::execute(&mut pool.get().unwrap(), sql).unwrap();
            // The reset is over when the next borrower has the connection.
            drop(pool.get().unwrap());
        });
        cost - 1
    };
    assert_eq!(loan("SELECT 1"), 0);
    assert_eq!(loan("SET statement_timeout = 7000"), 1);
    assert_eq!(loan("SELECT 1"), 0);
    assert_eq!(pool.stats().resets_done, 1);
}

/// In both directions: the count of answers and the session are unaffected.
fn a_copy_costs_no_message_on_the_next_loan() {
    use std::io::{Read, Write};
    let (_subject, proxy, pool) = tapped::<Postgres>(Framing::Postgres);
    let copies: [fn(&mut Guard<Postgres>); 2] = [
        |conn| {
            let mut rows = conn.copy_in("COPY account FROM STDIN").unwrap();
            rows.write_all(b"3\t0\n4\t0\n").unwrap();
            assert_eq!(rows.finish().unwrap(), 2);
        },
        |conn| {
            let mut text = String::new();
            conn.copy_out("COPY account TO STDOUT").unwrap().read_to_string(&mut text).unwrap();
            assert!(text.contains("3\t0\n4\t0\n"), "{text}");
        },
    ];
    for copy in copies {
        let mut conn = pool.get().unwrap();
        copy(&mut conn);
        // After the requests that the driver sends on its own about the statement that it has prepared for the copy.
        Postgres::execute(&mut conn, "SELECT 1").unwrap();
        drop(conn);
        let next = messages(&proxy, || Postgres::execute(&mut pool.get().unwrap(), "SELECT 1").unwrap());
        assert_eq!(next, 1);
    }
    assert_eq!(pool.stats().resets_done, 0);
}

/// Statements prepared in one loan still exist in the next.
fn a_plain_loan_costs_no_command<const MARIADB: bool>() {
    let (_subject, proxy, pool) = tapped::<Kin<MARIADB>>(Framing::Mysql);
    let loans = |work: fn(&mut Guard<Kin<MARIADB>>) -> mysql::Result<()>| {
        messages(&proxy, || (0..LOANS).for_each(|_| work(&mut pool.get().unwrap()).unwrap()))
    };
    let queries = loans(|conn| {
        conn.query_drop("INSERT INTO account VALUES (3, 0)")?;
        assert_eq!(conn.query_first("SELECT count(*) FROM account WHERE id = 3")?, Some(1));
        conn.query_drop("DELETE FROM account WHERE id = 3")
    });
    assert_eq!(queries, 3 * LOANS);
    let prepared = loans(|conn| {
        assert_eq!(conn.exec_first("SELECT money FROM account WHERE id = ?", (1,))?, Some(0));
        Ok(())
    });
    assert_eq!(prepared, 1 + LOANS, "prepared once, then executed");
    let transactions = loans(|conn| {
        let mut transaction = conn.start_transaction(mysql::TxOpts::default())?;
        transaction.exec_drop("UPDATE account SET money = 0 WHERE id = ?", (1,))?;
        transaction.commit()
    });
    assert_eq!(transactions, 1 + 3 * LOANS);
    let stats = pool.stats();
    assert_eq!((stats.resets_done, stats.resets_skipped), (0, 3 * LOANS));
    figure(format!("{LOANS} loans of three plain statements: {queries} commands, 0 resets"));
}

/// COM_RESET_CONNECTION, and the query whether an answer has slipped.
fn a_soiled_session_costs_two_commands<S: Remote>() {
    let (_subject, proxy, pool) = tapped::<S>(Framing::Mysql);
    let loan = |sql: &str| {
        let cost = messages(&proxy, || {
            S::execute(&mut pool.get().unwrap(), sql).unwrap();
            // The reset is over when the next borrower has the connection.
            drop(pool.get().unwrap());
        });
        cost - 1
    };
    assert_eq!(loan("UPDATE account SET money = 0"), 0);
    assert_eq!(loan("SET @left_over = 7"), 2);
    assert_eq!(loan("UPDATE account SET money = 0"), 0);
    assert_eq!((pool.stats().resets_done, pool.stats().opened), (1, 1));
}

/// A pool of one connection, with a proxy that counts everything.
fn tapped<S: Remote>(framing: Framing) -> (S, Proxy, SubjectPool<S>) {
    let subject = S::new();
    let (host, port) = subject.database().server().address();
    let proxy = Proxy::with_framing((host.as_str(), port), framing).unwrap();
    let url = subject.database().url_through(&proxy);
    let pool = subject.pool_by(url, |builder| builder.max_size(1).check_after(std::time::Duration::MAX));
    (subject, proxy, pool)
}

/// The number of messages to the server during `act`.
fn messages(proxy: &Proxy, act: impl FnOnce()) -> u64 {
    let before = proxy.counts().to_server.messages;
    act();
    proxy.counts().to_server.messages - before
}
