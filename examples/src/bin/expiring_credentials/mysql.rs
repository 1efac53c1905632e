//! A user of MySQL or MariaDB whose password changes.

use crate::{Vault, story};
use anyhow::Result;
use cabrank_mysql::mysql::prelude::Queryable;
use cabrank_mysql::mysql::{Conn, Opts, OptsBuilder};
use cabrank_mysql::{MySqlManager, Pool};
use std::time::Duration;

pub(crate) fn run(url: &str) -> Result<()> {
    let opts = OptsBuilder::from_opts(Opts::from_url(url)?).prefer_socket(false);
    let mut admin = Conn::new(opts.clone())?;
    let user = format!("cabrank_example_{}", std::process::id());
    let vault = Vault::default();
    let first = vault.rotate(|token| Ok(admin.query_drop(format!("CREATE USER {user} IDENTIFIED BY '{token}'"))?))?;
    let outcome = as_user(&user, opts, &vault, &first, &mut admin);
    admin.query_drop(format!("DROP USER {user}"))?;
    outcome
}

fn as_user(user: &str, opts: OptsBuilder, vault: &Vault, first: &str, admin: &mut Conn) -> Result<()> {
    // The user has no rights, and so no database.
    let opts = opts.user(Some(user)).db_name(None::<String>);
    let log_in = {
        let (opts, vault) = (opts.clone(), vault.clone());
        // Runs before each connect, in a worker of the pool. If it fails, the attempt to connect fails.
        move || Ok(opts.clone().pass(Some(vault.token())).into())
    };
    let pool = Pool::builder()
        .max_size(2)
        // If nothing calls `evict_all` after a rotation, limit the lifetime of connections to that of a token.
        .max_lifetime(Duration::from_secs(15 * 60))
        .from_env("DB_POOL_")?
        .build(MySqlManager::with_config(log_in))?;

    let tell_server = |token: &str| Ok(admin.query_drop(format!("ALTER USER {user} IDENTIFIED BY '{token}'"))?);
    story(&pool, vault, |conn| conn.query_drop("SELECT CURRENT_USER()"), tell_server)?;
    println!("the pool is closed: {}", pool.close_within(Duration::from_secs(5)));

    match Conn::new(opts.pass(Some(first))) {
        Ok(_) => println!("the first token is still accepted: this server requires no password"),
        Err(error) => println!("the first token is refused: {error}"),
    }
    Ok(())
}
