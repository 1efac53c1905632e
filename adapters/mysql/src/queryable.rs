//! Queries: the driver's trait `Queryable` for connections and transactions, watching what becomes of each command.
//!
//! The driver drops rows that nobody asked for, and with them the errors met while they are read; here they are read to
//! the end, so that an error of the line is always seen. Only `query_iter` and `exec_iter` give the driver's own rows
//! away.

use crate::connection::Connection;
use crate::fault::fault;
use crate::health::Health;
use crate::transaction::Transaction;
use cabrank::Fault;
use mysql::prelude::{AsStatement, FromRow, Protocol, Queryable};
use mysql::{Binary, Conn, FromRowError, Params, QueryResult, Result, Row, Statement, Text, from_row, from_row_opt};
use std::result::Result as StdResult;

/// One implementation for both types, which differ in nothing but the way to the driver.
macro_rules! queryable {
    ($type:ty) => {
        impl Queryable for $type {
            fn query_iter<Q: AsRef<str>>(&mut self, query: Q) -> Result<QueryResult<'_, '_, '_, Text>> {
                let (driver, health) = self.enter()?;
                health.hand_out_rows();
                driver.query_iter(query).inspect_err(|error| health.met(error))
            }

            fn exec_iter<S: AsStatement, P: Into<Params>>(
                &mut self,
                statement: S,
                params: P,
            ) -> Result<QueryResult<'_, '_, '_, Binary>> {
                let (driver, health) = self.enter()?;
                health.hand_out_rows();
                driver.exec_iter(statement, params).inspect_err(|error| health.met(error))
            }

            fn prep<Q: AsRef<str>>(&mut self, query: Q) -> Result<Statement> {
                let (driver, health) = self.enter()?;
                health.saw(driver.prep(query))
            }

            fn close(&mut self, statement: Statement) -> Result<()> {
                let (driver, health) = self.enter()?;
                health.saw(driver.close(statement))
            }

            fn exec_batch<S, P, I>(&mut self, statement: S, params: I) -> Result<()>
            where
                S: AsStatement,
                P: Into<Params>,
                I: IntoIterator<Item = P>,
            {
                let (driver, health) = self.enter()?;
                // The driver drops what the single executions answer.
                health.hand_out_rows();
                health.saw(driver.exec_batch(statement, params))
            }

            fn query_first<T: FromRow, Q: AsRef<str>>(&mut self, query: Q) -> Result<Option<T>> {
                let (driver, health) = self.enter()?;
                read(health, driver.query_iter(query), |rows| first(rows, from_row))
            }

            fn query_first_opt<T: FromRow, Q: AsRef<str>>(
                &mut self,
                query: Q,
            ) -> Result<Option<StdResult<T, FromRowError>>> {
                let (driver, health) = self.enter()?;
                read(health, driver.query_iter(query), |rows| first(rows, from_row_opt))
            }

            fn query_fold<T, F, Q, U>(&mut self, query: Q, init: U, mut next: F) -> Result<U>
            where
                Q: AsRef<str>,
                T: FromRow,
                F: FnMut(U, T) -> U,
            {
                let (driver, health) = self.enter()?;
                read(health, driver.query_iter(query), |rows| fold(rows, init, |acc, row| next(acc, from_row(row))))
            }

            fn query_fold_opt<T, F, Q, U>(&mut self, query: Q, init: U, mut next: F) -> Result<U>
            where
                Q: AsRef<str>,
                T: FromRow,
                F: FnMut(U, StdResult<T, FromRowError>) -> U,
            {
                let (driver, health) = self.enter()?;
                read(health, driver.query_iter(query), |rows| fold(rows, init, |acc, row| next(acc, from_row_opt(row))))
            }

            fn query_drop<Q: AsRef<str>>(&mut self, query: Q) -> Result<()> {
                let (driver, health) = self.enter()?;
                read(health, driver.query_iter(query), |_| Ok(()))
            }

            fn exec_first<T, S, P>(&mut self, statement: S, params: P) -> Result<Option<T>>
            where
                S: AsStatement,
                P: Into<Params>,
                T: FromRow,
            {
                let (driver, health) = self.enter()?;
                read(health, driver.exec_iter(statement, params), |rows| first(rows, from_row))
            }

            fn exec_first_opt<T, S, P>(&mut self, statement: S, params: P) -> Result<Option<StdResult<T, FromRowError>>>
            where
                S: AsStatement,
                P: Into<Params>,
                T: FromRow,
            {
                let (driver, health) = self.enter()?;
                read(health, driver.exec_iter(statement, params), |rows| first(rows, from_row_opt))
            }

            fn exec_fold<T, S, P, U, F>(&mut self, statement: S, params: P, init: U, mut next: F) -> Result<U>
            where
                S: AsStatement,
                P: Into<Params>,
                T: FromRow,
                F: FnMut(U, T) -> U,
            {
                let (driver, health) = self.enter()?;
                let rows = driver.exec_iter(statement, params);
                read(health, rows, |rows| fold(rows, init, |acc, row| next(acc, from_row(row))))
            }

            fn exec_fold_opt<T, S, P, U, F>(&mut self, statement: S, params: P, init: U, mut next: F) -> Result<U>
            where
                S: AsStatement,
                P: Into<Params>,
                T: FromRow,
                F: FnMut(U, StdResult<T, FromRowError>) -> U,
            {
                let (driver, health) = self.enter()?;
                let rows = driver.exec_iter(statement, params);
                read(health, rows, |rows| fold(rows, init, |acc, row| next(acc, from_row_opt(row))))
            }

            fn exec_drop<S: AsStatement, P: Into<Params>>(&mut self, statement: S, params: P) -> Result<()> {
                let (driver, health) = self.enter()?;
                read(health, driver.exec_iter(statement, params), |_| Ok(()))
            }
        }
    };
}

// All others of the trait's methods are made of these by the driver.
queryable!(Connection);
queryable!(Transaction<'_>);

impl Connection {
    /// The way to the driver, if a command may go out.
    fn enter(&mut self) -> Result<(&mut Conn, &mut Health)> {
        self.health.enter()?;
        Ok((&mut self.driver, &mut self.health))
    }
}

impl Transaction<'_> {
    fn enter(&mut self) -> Result<(&mut Conn, &mut Health)> {
        self.conn.enter()
    }
}

type Rows<'c, 't, 'tc, P> = QueryResult<'c, 't, 'tc, P>;

/// Takes what is wanted of an answer and reads the rest of it.
fn read<'c, 't, 'tc, P: Protocol, T>(
    health: &mut Health,
    answer: Result<Rows<'c, 't, 'tc, P>>,
    take: impl FnOnce(&mut Rows<'c, 't, 'tc, P>) -> Result<T>,
) -> Result<T> {
    let taken = answer.and_then(|mut rows| {
        let taken = take(&mut rows)?;
        read_to_end(&mut rows)?;
        Ok(taken)
    });
    health.saw(taken)
}

fn first<P: Protocol, T>(rows: &mut Rows<'_, '_, '_, P>, convert: impl FnOnce(Row) -> T) -> Result<Option<T>> {
    rows.next().map(|row| row.map(convert)).transpose()
}

fn fold<P: Protocol, U>(rows: &mut Rows<'_, '_, '_, P>, init: U, mut next: impl FnMut(U, Row) -> U) -> Result<U> {
    rows.try_fold(init, |acc, row| row.map(|row| next(acc, row)))
}

/// Errors of the server in what nobody asked for are passed over, as the driver does.
fn read_to_end<P: Protocol>(rows: &mut Rows<'_, '_, '_, P>) -> Result<()> {
    while let Some(set) = rows.iter() {
        for row in set {
            match row {
                Err(error) if fault(&error) == Fault::Fatal => return Err(error),
                _ => {}
            }
        }
    }
    Ok(())
}
