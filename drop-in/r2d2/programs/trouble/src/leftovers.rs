//! State that a holder leaves behind, and hooks and holders that panic.

use crate::application::{Pool, ask, pool, settings, yes};
use crate::server::Server;
use crate::{Failure, Measured};
use diesel::connection::{AnsiTransactionManager, SimpleConnection, TransactionManager};
use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::r2d2::{ConnectionManager, CustomizeConnection};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::{panic, thread};

/// One of Diesel's own transactions is left open.
pub(crate) fn transaction_left(server: &Server) -> Result<Measured, Failure> {
    left(server, AnsiTransactionManager::begin_transaction)
}

/// A transaction begun by plain SQL, which Diesel does not see, is left open.
pub(crate) fn raw_transaction_left(server: &Server) -> Result<Measured, Failure> {
    left(server, |conn| conn.batch_execute("BEGIN"))
}

fn left(server: &Server, begin: fn(&mut PgConnection) -> QueryResult<()>) -> Result<Measured, Failure> {
    let pool = pool(&server.url(), 1, Duration::from_secs(5))?;
    begin(&mut *pool.get()?)?;
    let conn = &mut *pool.get()?;
    // Outside of a transaction this setting ends with its statement.
    conn.batch_execute("SET LOCAL application_name = 'still in a transaction'")?;
    let name: String =
        diesel::select(diesel::dsl::sql::<diesel::sql_types::Text>("current_setting('application_name')"))
            .get_result(conn)?;
    Ok(vec![("the_next_is_in_it", yes(name == "still in a transaction"))])
}

/// A thread panics while it holds the only connection, within a transaction.
pub(crate) fn panic_in_a_loan(server: &Server) -> Result<Measured, Failure> {
    let pool = pool(&server.url(), 1, Duration::from_secs(2))?;
    without_a_word(|| {
        let its_pool = pool.clone();
        let holder = thread::spawn(move || {
            let conn = &mut its_pool.get().expect("it is served");
            AnsiTransactionManager::begin_transaction(&mut **conn).expect("it begins");
            panic!("in the midst of a transaction");
        });
        drop(holder.join());
    });
    Ok(vec![("served_afterwards", serves(&pool))])
}

/// A customizer panics at the first connection. Does the pool's only slot survive it?
pub(crate) fn panic_in_a_customizer(server: &Server) -> Result<Measured, Failure> {
    #[derive(Debug)]
    struct PanicsOnce(AtomicBool);
    impl CustomizeConnection<PgConnection, diesel::r2d2::Error> for PanicsOnce {
        fn on_acquire(&self, _: &mut PgConnection) -> Result<(), diesel::r2d2::Error> {
            assert!(self.0.swap(true, Ordering::Relaxed), "once");
            Ok(())
        }
    }
    let customizer = Box::new(PanicsOnce(AtomicBool::new(false)));
    let builder = settings(1, Duration::from_secs(2)).connection_customizer(customizer);
    let pool = builder.build(ConnectionManager::new(server.url()))?;
    Ok(vec![("served_afterwards", without_a_word(|| serves(&pool)))])
}

fn serves(pool: &Pool) -> f64 {
    yes(pool.get().is_ok_and(|mut conn| ask(&mut conn).is_ok()))
}

/// Panics are part of the measurement, and their messages would only clutter the output.
fn without_a_word<T>(work: impl FnOnce() -> T) -> T {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let outcome = work();
    panic::set_hook(hook);
    outcome
}
