//! Other failures as errors of the driver's type.
//!
//! The manager's error is `postgres::Error`, which the pool can find in the errors of closures that use the driver. The driver has no
//! public constructor for it, so this module makes the driver fail, over a stream that only fails.

use cabrank::Fault;
use postgres::{Error, NoTls};
use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::{fmt, io};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The driver's own error, if `error` is one; else a driver's error with `error` as its source.
pub(crate) fn driver_error(error: BoxError) -> Error {
    match error.downcast::<Error>() {
        Ok(error) => *error,
        Err(error) => provoke(io::Error::other(error)),
    }
}

/// Settings that contradict each other or the server's offer: a retry does not help.
#[derive(Debug)]
pub(crate) struct SettingsError(pub(crate) &'static str);

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for SettingsError {}

/// The server lacks the required role.
#[derive(Debug)]
pub(crate) struct RoleError(pub(crate) String);

impl fmt::Display for RoleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for RoleError {}

/// Several servers have failed: `text` names each with its cause, and `fault` is that of the decisive one.
#[derive(Debug)]
pub(crate) struct SeveralFailed {
    pub(crate) fault: Fault,
    pub(crate) text: String,
}

impl fmt::Display for SeveralFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for SeveralFailed {}

/// The root cause of an error: the driver's own text says only where it occurred.
pub(crate) fn root(error: &Error) -> String {
    let mut root: &dyn std::error::Error = error;
    while let Some(source) = root.source() {
        root = source;
    }
    root.to_string()
}

/// "error communicating with the server", with `cause` as its source.
pub(crate) fn provoke(cause: io::Error) -> Error {
    let mut config = tokio_postgres::Config::new();
    config.user("nobody");
    let attempt = pin!(config.connect_raw(Failing(Some(cause)), NoTls));
    // It waits only for the stream, which is always ready.
    match attempt.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Err(error)) => error,
        _ => Error::__private_api_timeout(),
    }
}

struct Failing(Option<io::Error>);

impl Failing {
    fn fail<T>(&mut self) -> Poll<io::Result<T>> {
        Poll::Ready(Err(self.0.take().unwrap_or_else(|| io::ErrorKind::BrokenPipe.into())))
    }
}

impl AsyncRead for Failing {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.fail()
    }
}

impl AsyncWrite for Failing {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        self.fail()
    }

    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.fail()
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.fail()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error as _;

    #[test]
    fn a_failure_of_ours_becomes_an_error_of_the_drivers() {
        let error = driver_error("the vault is locked".into());
        let cause = error.source().expect("a source").to_string();
        assert_eq!(
            (error.to_string().as_str(), cause.as_str()),
            ("error communicating with the server", "the vault is locked")
        );
    }

    #[test]
    fn an_error_of_the_drivers_stays_what_it_is() {
        let error = "port=many".parse::<postgres::Config>().expect_err("no number");
        assert_eq!(driver_error(Box::new(error)).to_string(), "invalid connection string");
    }
}
