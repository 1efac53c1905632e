//! Credentials that expire: the pool asks for them before each connect, so that a new one is used as soon as there is one.
//! Here the tokens and the story; how each engine is told of a token is in its file.

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

/// Where tokens come from. Stands for a secrets manager, a cloud's token service, a file that somebody keeps fresh.
#[derive(Clone, Default)]
pub(crate) struct Vault(Arc<Mutex<Vec<Token>>>);

struct Token {
    text: String,
    given: u32,
}

impl Vault {
    /// The token that is valid now. While one is replaced by the next, this waits.
    pub(crate) fn token(&self) -> String {
        let mut tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.last_mut().map_or_else(String::new, |token| {
            token.given += 1;
            token.text.clone()
        })
    }

    /// Makes a new token, and has the server take it from now on.
    pub(crate) fn rotate(&self, tell_server: impl FnOnce(&str) -> Result<()>) -> Result<String> {
        let mut tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text = format!("{:016x}", RandomState::new().hash_one(tokens.len()));
        tell_server(&text)?;
        tokens.push(Token { text: text.clone(), given: 0 });
        Ok(text)
    }

    /// To how many connections each was given.
    fn given(&self) -> Vec<u32> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().map(|token| token.given).collect()
    }
}

/// Two threads work on two connections while the token changes, and notice nothing.
pub(crate) fn story<M: Manager>(
    pool: &Pool<M>,
    vault: &Vault,
    query: impl Fn(&mut PooledConnection<M>) -> Result<(), M::Error> + Sync,
    tell_server: impl FnOnce(&str) -> Result<()>,
) -> Result<()> {
    drop([pool.get()?, pool.get()?]);
    println!("connections opened with each token: {:?}", vault.given());

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
        // The old connections would go on working. Each is closed once nobody uses it, and a new one takes its place.
        pool.evict_all();
        Ok(workers.into_iter().map(|worker| worker.join().expect("workers do not panic")).sum())
    })?;
    println!("queries answered while the token changed: {answered} of 400");

    drop([pool.get()?, pool.get()?]);
    println!("connections opened with each token: {:?}", vault.given());
    println!("closed because they were evicted: {}", pool.stats().closed.by(CloseReason::Evicted));
    Ok(())
}
