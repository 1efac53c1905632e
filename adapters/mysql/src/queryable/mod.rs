//! Queries: the driver's trait `Queryable` for connections and transactions, with tracking of commands and outcomes.
//!
//! The driver drops unread rows, and with them any errors in them; here they are read to the end, so an error is always seen and
//! returned. Only `query_iter` and `exec_iter` hand out the driver's own rows.

mod prepare;

use crate::connection::Connection;
use crate::error::{from_elsewhere, size_of_execution, size_of_text, told};
use crate::questions::MARIADB;
use crate::transaction::Transaction;
use mysql::prelude::{AsStatement, FromRow, Protocol, Queryable};
use mysql::{Binary, FromRowError, Params, QueryResult, Result, Row, Statement, Text, from_row, from_row_opt};
use prepare::{close_surplus, prepare};
use std::borrow::Cow;
use std::result::Result as StdResult;

/// One implementation for both types, which differ only in how they reach the connection.
macro_rules! queryable {
    ($type:ty) => {
        impl Queryable for $type {
            fn query_iter<Q: AsRef<str>>(&mut self, query: Q) -> Result<QueryResult<'_, '_, '_, Text>> {
                let conn = self.connection();
                conn.ready()?;
                conn.text(query.as_ref());
                let Connection { driver, health, baseline, .. } = conn;
                let size = size_of_text(query.as_ref());
                health.hand_out_rows();
                let rows = driver.query_iter(query).map_err(|error| told(error, size, baseline.largest_packet));
                rows.inspect_err(|error| health.met(error))
            }

            fn exec_iter<S: AsStatement, P: Into<Params>>(
                &mut self,
                statement: S,
                params: P,
            ) -> Result<QueryResult<'_, '_, '_, Binary>> {
                let conn = self.connection();
                let statement = known(conn, &statement)?;
                conn.health.hand_out_rows();
                let (params, Connection { driver, statements, health, baseline, .. }) = (params.into(), conn);
                let size = size_of_execution(&params);
                let rows =
                    driver.exec_iter(&*statement, params).map_err(|error| told(error, size, baseline.largest_packet));
                rows.inspect_err(|error| {
                    statements.met(statement.id(), error);
                    health.met(error);
                })
            }

            fn prep<Q: AsRef<str>>(&mut self, query: Q) -> Result<Statement> {
                let conn = self.connection();
                let statement = prepare(conn, query.as_ref())?;
                conn.statements.hold(statement.id());
                Ok(statement)
            }

            fn close(&mut self, statement: Statement) -> Result<()> {
                let conn = self.connection();
                conn.ready()?;
                is_ours(conn, &statement)?;
                conn.statements.forget(statement.id());
                let closed = conn.driver.close(statement);
                conn.health.saw(closed)
            }

            fn exec_batch<S, P, I>(&mut self, statement: S, params: I) -> Result<()>
            where
                S: AsStatement,
                P: Into<Params>,
                I: IntoIterator<Item = P>,
            {
                let conn = self.connection();
                let statement = known(conn, &statement)?;
                let id = statement.id();
                // The driver drops the answers to the single executions. It therefore gets them only if it may send them as one, and only
                // their errors matter: to MariaDB.
                if statement.columns().is_empty() && conn.driver.server_version().0 >= MARIADB {
                    conn.health.hand_out_rows();
                    let done = conn.driver.exec_batch(&*statement, params);
                    return executed(conn, id, done);
                }
                conn.tracker.done();
                // It is not closed after the first execution.
                conn.statements.hold(id);
                let done = params.into_iter().try_for_each(|params| exec_of(conn, &*statement, params, |_| Ok(())));
                conn.statements.let_go(id);
                close_surplus(conn);
                done
            }

            fn query_first<T: FromRow, Q: AsRef<str>>(&mut self, query: Q) -> Result<Option<T>> {
                Ok(query_of(self.connection(), query, first)?.map(from_row))
            }

            fn query_first_opt<T: FromRow, Q: AsRef<str>>(
                &mut self,
                query: Q,
            ) -> Result<Option<StdResult<T, FromRowError>>> {
                Ok(query_of(self.connection(), query, first)?.map(from_row_opt))
            }

            fn query_fold<T, F, Q, U>(&mut self, query: Q, init: U, mut next: F) -> Result<U>
            where
                Q: AsRef<str>,
                T: FromRow,
                F: FnMut(U, T) -> U,
            {
                query_of(self.connection(), query, |rows| fold(rows, init, |acc, row| next(acc, from_row(row))))
            }

            fn query_fold_opt<T, F, Q, U>(&mut self, query: Q, init: U, mut next: F) -> Result<U>
            where
                Q: AsRef<str>,
                T: FromRow,
                F: FnMut(U, StdResult<T, FromRowError>) -> U,
            {
                query_of(self.connection(), query, |rows| fold(rows, init, |acc, row| next(acc, from_row_opt(row))))
            }

            fn query_drop<Q: AsRef<str>>(&mut self, query: Q) -> Result<()> {
                query_of(self.connection(), query, |_| Ok(()))
            }

            fn exec_first<T, S, P>(&mut self, statement: S, params: P) -> Result<Option<T>>
            where
                S: AsStatement,
                P: Into<Params>,
                T: FromRow,
            {
                Ok(exec_of(self.connection(), statement, params, first)?.map(from_row))
            }

            fn exec_first_opt<T, S, P>(&mut self, statement: S, params: P) -> Result<Option<StdResult<T, FromRowError>>>
            where
                S: AsStatement,
                P: Into<Params>,
                T: FromRow,
            {
                Ok(exec_of(self.connection(), statement, params, first)?.map(from_row_opt))
            }

            fn exec_fold<T, S, P, U, F>(&mut self, statement: S, params: P, init: U, mut next: F) -> Result<U>
            where
                S: AsStatement,
                P: Into<Params>,
                T: FromRow,
                F: FnMut(U, T) -> U,
            {
                let take = |rows: &mut Rows<'_, '_, '_, Binary>| fold(rows, init, |acc, row| next(acc, from_row(row)));
                exec_of(self.connection(), statement, params, take)
            }

            fn exec_fold_opt<T, S, P, U, F>(&mut self, statement: S, params: P, init: U, mut next: F) -> Result<U>
            where
                S: AsStatement,
                P: Into<Params>,
                T: FromRow,
                F: FnMut(U, StdResult<T, FromRowError>) -> U,
            {
                let take =
                    |rows: &mut Rows<'_, '_, '_, Binary>| fold(rows, init, |acc, row| next(acc, from_row_opt(row)));
                exec_of(self.connection(), statement, params, take)
            }

            fn exec_drop<S: AsStatement, P: Into<Params>>(&mut self, statement: S, params: P) -> Result<()> {
                exec_of(self.connection(), statement, params, |_| Ok(()))
            }
        }
    };
}

// The driver derives all other methods of the trait from these.
queryable!(Connection);
queryable!(Transaction<'_>);

impl Connection {
    fn connection(&mut self) -> &mut Self {
        self
    }
}

impl Transaction<'_> {
    fn connection(&mut self) -> &mut Connection {
        self.conn
    }
}

/// Runs a text, takes the requested part of the answer, and reads the rest.
fn query_of<T>(
    conn: &mut Connection,
    query: impl AsRef<str>,
    take: impl FnOnce(&mut Rows<'_, '_, '_, Text>) -> Result<T>,
) -> Result<T> {
    conn.ready()?;
    conn.text(query.as_ref());
    let (size, largest) = (size_of_text(query.as_ref()), conn.baseline.largest_packet);
    let taken = conn.driver.query_iter(query).map_err(|error| told(error, size, largest));
    let taken = taken.and_then(|rows| read(rows, take));
    conn.saw(taken)
}

/// The same for a statement, which is prepared now if it is not yet.
fn exec_of<T>(
    conn: &mut Connection,
    statement: impl AsStatement,
    params: impl Into<Params>,
    take: impl FnOnce(&mut Rows<'_, '_, '_, Binary>) -> Result<T>,
) -> Result<T> {
    let statement = known(conn, &statement)?;
    let params = params.into();
    let (size, largest) = (size_of_execution(&params), conn.baseline.largest_packet);
    let taken = conn.driver.exec_iter(&*statement, params).map_err(|error| told(error, size, largest));
    let taken = taken.and_then(|rows| read(rows, take));
    executed(conn, statement.id(), taken)
}

/// The statement, prepared by our own `prep`, which sees its text.
fn known<'s>(conn: &mut Connection, statement: &'s impl AsStatement) -> Result<Cow<'s, Statement>> {
    let statement = statement.as_statement(conn)?;
    conn.ready()?;
    is_ours(conn, &statement)?;
    conn.tracker.executed(conn.statements.executed(statement.id()));
    if let Cow::Owned(statement) = &statement {
        // Prepared from a text, for this execution.
        conn.statements.let_go(statement.id());
    }
    Ok(statement)
}

/// Numbers are local to a session: a foreign statement's number means another statement here.
fn is_ours(conn: &Connection, statement: &Statement) -> Result<()> {
    if statement.connection_id() == conn.driver.connection_id() { Ok(()) } else { Err(from_elsewhere()) }
}

/// Records the outcome of an execution.
fn executed<T>(conn: &mut Connection, statement: u32, outcome: Result<T>) -> Result<T> {
    let outcome = outcome.inspect_err(|error| conn.statements.met(statement, error));
    let outcome = conn.saw(outcome);
    close_surplus(conn);
    outcome
}

type Rows<'c, 't, 'tc, P> = QueryResult<'c, 't, 'tc, P>;

fn read<'c, 't, 'tc, P: Protocol, T>(
    mut rows: Rows<'c, 't, 'tc, P>,
    take: impl FnOnce(&mut Rows<'c, 't, 'tc, P>) -> Result<T>,
) -> Result<T> {
    let taken = take(&mut rows)?;
    read_to_end(&mut rows)?;
    Ok(taken)
}

/// Converted later, after all is read, because a failed conversion may panic.
fn first<P: Protocol>(rows: &mut Rows<'_, '_, '_, P>) -> Result<Option<Row>> {
    rows.next().transpose()
}

fn fold<P: Protocol, U>(rows: &mut Rows<'_, '_, '_, P>, init: U, mut next: impl FnMut(U, Row) -> U) -> Result<U> {
    rows.try_fold(init, |acc, row| row.map(|row| next(acc, row)))
}

/// Includes unrequested rows, because an error in them may have ended the transaction.
fn read_to_end<P: Protocol>(rows: &mut Rows<'_, '_, '_, P>) -> Result<()> {
    while let Some(mut set) = rows.iter() {
        set.try_for_each(|row| row.map(drop))?;
    }
    Ok(())
}
