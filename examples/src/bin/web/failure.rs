//! The answers to requests that fail: refused, busy with a time to retry, unavailable, or an internal error without details. The log has
//! the error with its sources, by `Debug`.

use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};
use cabrank::{GetError, RunError, TransactionError};
use std::error::Error;

pub(crate) enum Failure {
    /// There is no such account, or its balance is too low.
    Refused,
    /// No connection was available in time: all are lent, or the server is down. Nothing was done.
    Busy(String),
    /// No connection can be opened until the cause is fixed, such as a wrong password. A retry does not help.
    Unavailable(String),
    /// Any other error, whose details concern the operators and not the client.
    Broken(String),
}

impl<D: Error + 'static> From<GetError<D>> for Failure {
    fn from(error: GetError<D>) -> Self {
        match error {
            GetError::Timeout(_) | GetError::Overloaded(_) | GetError::Closed => Self::Busy(format!("{error:?}")),
            GetError::Connect(_) => Self::Unavailable(format!("{error:?}")),
            other => Self::Broken(format!("{other:?}")),
        }
    }
}

impl<D: Error + 'static, E> From<RunError<D, E>> for Failure {
    fn from(error: RunError<D, E>) -> Self {
        match error {
            RunError::Get(error) => error.into(),
            // The runtime, and so the service, is shutting down.
            RunError::NotRun => Self::Busy(error.to_string()),
            other => Self::Broken(format!("{other:?}")),
        }
    }
}

impl<D: Error + 'static, E> From<TransactionError<D, E>> for Failure {
    fn from(error: TransactionError<D, E>) -> Self {
        match error {
            TransactionError::Get(error) => error.into(),
            TransactionError::NotRun => Self::Busy(error.to_string()),
            other => Self::Broken(format!("{other:?}")),
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        match self {
            Self::Refused => (StatusCode::CONFLICT, "no such account, or its balance is too low").into_response(),
            Self::Busy(why) => {
                eprintln!("busy: {why}");
                (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "1")], "busy").into_response()
            }
            Self::Unavailable(why) => {
                eprintln!("unavailable: {why}");
                (StatusCode::SERVICE_UNAVAILABLE, "the database is unavailable").into_response()
            }
            Self::Broken(why) => {
                eprintln!("failed: {why}");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cabrank_sqlite::{Pool, SqliteManager};

    #[test]
    fn what_no_retry_can_help_does_not_ask_for_one() {
        let directory = tempfile::tempdir().unwrap();
        let pool = Pool::builder().build_lazy(SqliteManager::file(directory.path().join("missing/shop.db"))).unwrap();
        let answer = Failure::from(pool.get().unwrap_err()).into_response();
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(!answer.headers().contains_key(RETRY_AFTER));
        pool.close();
        let answer = Failure::from(pool.get().unwrap_err()).into_response();
        assert_eq!(answer.headers()[RETRY_AFTER], "1");
    }
}
