//! Cancel tokens end with the loan in which they were created, over each transport.

#[cfg(unix)]
use crate::fixture::builder;
use crate::fixture::{PATIENCE, Server, on_server};
#[cfg(unix)]
use crate::unix::Behind;
use cabrank_postgres::cabrank::{CloseReason, TransactionError};
use cabrank_postgres::postgres::Error;
use cabrank_postgres::postgres::error::SqlState;
use cabrank_postgres::{CancelToken, Pool, Transaction};
use std::thread;

fn a_token_of_a_transaction_ends_with_its_loan(server: Server) {
    cancels_within_the_loan_alone(&server, &server.pool(1));
}

#[cfg(unix)]
fn a_token_of_a_transaction_over_a_unix_socket_ends_with_its_loan(server: Server) {
    let behind = Behind::of(&server, "tokens", builder());
    cancels_within_the_loan_alone(&server, &behind.pool);
}

fn cancels_within_the_loan_alone(server: &Server, pool: &Pool) {
    for nested in [false, true] {
        let taken = pool.transaction().run(|tx| token(tx, nested)).expect("a token");
        let mut next = pool.get().expect("a connection");
        let pid = next.query_one(PID, &[]).expect("a row").get(0);
        thread::scope(|scope| {
            let late = scope.spawn(|| {
                server.wait_for_query(pid, "pg_sleep");
                taken.cancel_query(PATIENCE)
            });
            next.batch_execute("SELECT pg_sleep(1)").expect("nobody cancels it");
            late.join().expect("no panic").expect("nothing is sent");
        });
        drop(next);

        let outcome = thread::scope(|scope| {
            pool.transaction().run(|tx| -> Result<(), Error> {
                let (pid, token) = (tx.query_one(PID, &[])?.get(0), token(tx, nested)?);
                scope.spawn(move || {
                    server.wait_for_query(pid, "pg_sleep");
                    token.cancel_query(PATIENCE).expect("no error");
                });
                tx.batch_execute("SELECT pg_sleep(600)")
            })
        });
        let Err(TransactionError::User(error)) = outcome else { panic!("no cancellation: {outcome:?}") };
        assert_eq!(error.code(), Some(&SqlState::QUERY_CANCELED), "{error:?}");
    }
    drop(pool.get().expect("a connection"));
    assert_eq!(pool.stats().closed.by(CloseReason::BeyondReset), 2, "what was cancelled is not lent again");
}

fn token(tx: &mut Transaction<'_>, nested: bool) -> Result<CancelToken, Error> {
    if nested { tx.nested(|tx| Ok(tx.cancel_token())) } else { Ok(tx.cancel_token()) }
}

const PID: &str = "SELECT pg_backend_pid()";

cabrank_testing::tests! {
    on_server:
        a_token_of_a_transaction_ends_with_its_loan,
        #[cfg(unix)]
        a_token_of_a_transaction_over_a_unix_socket_ends_with_its_loan,
}
