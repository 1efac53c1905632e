//! The trial of an image: the server starts, accepts the right password, over TLS if it offers that, and refuses a wrong one.
//!
//! Uses the clients in the image, because the official image has them too.

use crate::kind::Kind;
use anyhow::{Result, bail};
use integration_tests::container::Container;
use integration_tests::launch::PASSWORD;
use integration_tests::running::PATIENCE;
use std::thread;
use std::time::{Duration, Instant};

/// Returns an error if the image does not behave like the official one.
pub(crate) fn run(kind: Kind, image: &str) -> Result<()> {
    // No server runs behind PgBouncer.
    let mut launch = kind.launch("127.0.0.1");
    launch.image = image.to_owned();
    let begun = Instant::now();
    let container = Container::start(&launch)?;
    let tried = attempt(kind, image, &container, begun);
    container.remove()?;
    println!("{:>10}: {}", kind.name(), tried?);
    Ok(())
}

fn attempt(kind: Kind, image: &str, container: &Container, begun: Instant) -> Result<String> {
    // By the container's own address: PostgreSQL trusts all clients on the loopback interface, as in the official image.
    let log_in = |password| container.script(login(kind), &[password, &container.inner_address()?]);
    let version = loop {
        match log_in(PASSWORD) {
            Ok(version) => break version,
            Err(_) if begun.elapsed() < PATIENCE && container.is_running()? => {
                thread::sleep(Duration::from_millis(100));
            }
            Err(refusal) => bail!("{image} is no good: after {:.0?} {refusal:#}\n{}", begun.elapsed(), container.log()),
        }
    };
    let ready = begun.elapsed();
    match log_in("wrong") {
        Ok(_) => bail!("{image} lets a wrong password in"),
        Err(refusal) if !refusals(kind).iter().any(|words| refusal.to_string().contains(words)) => {
            bail!("{image} did not refuse a wrong password but said: {refusal:#}")
        }
        Err(_) => {}
    }
    Ok(format!("{version}; ready after {:.1} s; refuses a wrong password", ready.as_secs_f64()))
}

/// A script that logs in with the password in its first argument, at the address in its second.
fn login(kind: Kind) -> &'static str {
    match kind {
        Kind::Postgres => "PGPASSWORD=$1 PGSSLMODE=require psql -h $2 -U postgres -Atc 'SELECT version()'",
        Kind::Mysql => "MYSQL_PWD=$1 mysql -h $2 --ssl-mode=REQUIRED -u root -Ne 'SELECT version()'",
        // Before 11.4 it has TLS only if it is given a certificate, so the script reports TLS instead of requiring it.
        Kind::Mariadb => {
            "MYSQL_PWD=$1 mariadb -h $2 --skip-ssl-verify-server-cert -u root \
             -Ne 'SELECT concat(version(), \", TLS \", @@have_ssl)'"
        }
        // Its console answers even if no server runs behind it.
        Kind::Pgbouncer => "PGPASSWORD=$1 psql -h 127.0.0.1 -U postgres -Atc 'SHOW VERSION' pgbouncer",
        Kind::Redis => "REDISCLI_AUTH=$1 redis-cli -h $2 info server | grep -o 'redis_version:[0-9.]*'",
    }
}

/// The message after a wrong password is one of these.
fn refusals(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Postgres | Kind::Pgbouncer => &["password authentication failed", "SASL authentication failed"],
        Kind::Mysql | Kind::Mariadb => &["Access denied"],
        Kind::Redis => &["WRONGPASS"],
    }
}
