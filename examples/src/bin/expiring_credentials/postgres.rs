//! A role of PostgreSQL whose password changes.

use crate::{Vault, story};
use anyhow::Result;
use cabrank_postgres::postgres::{Client, Config, NoTls};
use cabrank_postgres::{Pool, PostgresManager};
use std::convert::Infallible;
use std::time::Duration;

pub(crate) fn run(url: &str) -> Result<()> {
    let config: Config = url.parse()?;
    let mut admin = config.connect(NoTls)?;
    let role = format!("cabrank_example_{}", std::process::id());
    let vault = Vault::default();
    let first =
        vault.rotate(|token| Ok(admin.batch_execute(&format!("CREATE ROLE {role} LOGIN PASSWORD '{token}'"))?))?;
    let outcome = as_role(&role, &config, &vault, &first, &mut admin);
    admin.batch_execute(&format!("DROP ROLE {role}"))?;
    outcome
}

fn as_role(role: &str, config: &Config, vault: &Vault, first: &str, admin: &mut Client) -> Result<()> {
    let log_in = {
        let (role, config, vault) = (role.to_owned(), config.clone(), vault.clone());
        // Runs before each connect, in a worker of the pool. If it fails, the attempt to connect fails.
        move || Ok::<_, Infallible>(config.clone().user(&role).password(vault.token()).to_owned())
    };
    let pool = Pool::builder()
        .max_size(2)
        // If nothing calls `evict_all` after a rotation, limit the lifetime of connections to that of a token.
        .max_lifetime(Duration::from_secs(15 * 60))
        .from_env("DB_POOL_")?
        .build(PostgresManager::with_config(log_in, NoTls))?;

    let tell_server = |token: &str| Ok(admin.batch_execute(&format!("ALTER ROLE {role} PASSWORD '{token}'"))?);
    story(&pool, vault, |conn| conn.batch_execute("SELECT current_user"), tell_server)?;
    println!("the pool is closed: {}", pool.close_within(Duration::from_secs(5)));

    match config.clone().user(role).password(first).connect(NoTls) {
        Ok(_) => println!("the first token is still accepted: this server requires no password"),
        Err(error) => println!("the first token is refused: {:#}", anyhow::Error::new(error)),
    }
    Ok(())
}
