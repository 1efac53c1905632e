//! Credentials that expire: a function returns the current token before each connect, and a rotation fails no query.
//!
//! Run it with `cargo run --bin expiring_credentials`, or `cargo run --bin expiring_credentials -- --url URL` as a user that may create
//! users. The tokens and the steps are here. Each engine's file sets the token on the server and passes it to the driver.

mod mysql;
mod postgres;
mod sqlite;

use anyhow::Result;
use cabrank::{CloseReason, Manager, Pool, PooledConnection};
use std::hash::{BuildHasher, RandomState};
use std::process::ExitCode;
use std::sync::{Arc, Barrier, Mutex, PoisonError};
use std::thread;

fn main() -> ExitCode {
    examples::run(sqlite::run, postgres::run, mysql::run)
}

/// The source of the tokens. Stands for a secrets manager, a cloud's token service, or a file that another program updates.
#[derive(Clone, Default)]
pub(crate) struct Vault(Arc<Mutex<Vec<Token>>>);

struct Token {
    text: String,
    given: u32,
}

impl Vault {
    /// Returns the valid token. Waits while a rotation is under way.
    pub(crate) fn token(&self) -> String {
        let mut tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.last_mut().map_or_else(String::new, |token| {
            token.given += 1;
            token.text.clone()
        })
    }

    /// Creates a new token and sets it on the server.
    pub(crate) fn rotate(&self, tell_server: impl FnOnce(&str) -> Result<()>) -> Result<String> {
        let mut tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text = format!("{:016x}", RandomState::new().hash_one(tokens.len()));
        tell_server(&text)?;
        tokens.push(Token { text: text.clone(), given: 0 });
        Ok(text)
    }

    /// The number of connections that each token was given to.
    fn given(&self) -> Vec<u32> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().map(|token| token.given).collect()
    }
}

/// Two threads work on two connections while the token changes, and no query fails.
pub(crate) fn story<M: Manager>(
    pool: &Pool<M>,
    vault: &Vault,
    query: impl Fn(&mut PooledConnection<M>) -> Result<(), M::Error> + Sync,
    tell_server: impl FnOnce(&str) -> Result<()>,
) -> Result<()> {
    drop([pool.get()?, pool.get()?]);
    println!("connections opened with each token, the oldest first: {:?}", vault.given());

    let half_done = Barrier::new(3);
    let work = || {
        let ask = |_: &u32| pool.run(&query).inspect_err(|error| println!("failed: {error:#?}")).is_ok();
        let before = (0..100).filter(ask).count();
        half_done.wait();
        before + (0..100).filter(ask).count()
    };
    let answered: usize = thread::scope(|scope| -> Result<usize> {
        let workers = [scope.spawn(work), scope.spawn(work)];
        half_done.wait();
        vault.rotate(tell_server)?;
        // The old connections would continue to work. The pool closes each as soon as it is not in use, and opens new ones.
        pool.evict_all();
        Ok(workers.into_iter().map(|worker| worker.join().expect("workers do not panic")).sum())
    })?;
    println!("queries answered while the token changed: {answered} of 400");

    drop([pool.get()?, pool.get()?]);
    println!("connections opened with each token, the oldest first: {:?}", vault.given());
    println!("old connections closed, as evicted: {}", pool.stats().closed.by(CloseReason::Evicted));
    Ok(())
}
