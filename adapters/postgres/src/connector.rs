//! The connector that the driver calls on the raw socket, which inserts our stream.
//!
//! The driver is always configured with `sslmode=require` and direct negotiation, whatever the user chose: it then sends no SSLRequest,
//! and hands the socket over at once. This connector applies the user's choice. It also erases the TLS library's types.

use crate::error::{BoxError, SettingsError};
use crate::stream::{Deadlines, Secured, Tapped, Transport};
use crate::tap::Tap;
use postgres::config::{SslMode, SslNegotiation};
use postgres::tls::{MakeTlsConnect, TlsConnect};
use postgres::{CancelToken, Error, NoTls, Socket};
use std::any::TypeId;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// The driver's connector. The streams of all clones report to the same tap.
#[derive(Clone)]
pub(crate) struct Connector {
    pub(crate) tls: Arc<dyn Tls>,
    pub(crate) mode: SslMode,
    pub(crate) negotiation: SslNegotiation,
    pub(crate) tap: Arc<Tap>,
    /// When the handshake and the rest of the log-in time out on their own.
    pub(crate) deadlines: Deadlines,
}

impl Connector {
    /// Asks the server to cancel what runs on a connection, over a second one made in the same way, whose tap is `side`. Waits until the
    /// server has closed that: by then the signal has been sent.
    pub(crate) fn cancel(&self, token: &CancelToken, side: Arc<Tap>, deadline: Option<Instant>) -> Result<(), Error> {
        side.socket.linger();
        let deadline = deadline.or_else(|| Instant::now().checked_add(LONGEST_CANCEL));
        token.cancel_query(Self { tap: side, deadlines: Deadlines { silent: None, end: deadline }, ..self.clone() })
    }
}

const LONGEST_CANCEL: Duration = Duration::from_secs(10);

impl MakeTlsConnect<Socket> for Connector {
    type Stream = Tapped;
    type TlsConnect = Handshake;
    type Error = BoxError;

    /// Called once for each attempt, after the socket has connected (for a cancellation: before).
    fn make_tls_connect(&mut self, host: &str) -> Result<Handshake, BoxError> {
        self.tap.restart();
        Ok(Handshake { connector: self.clone(), host: host.to_owned() })
    }
}

/// One attempt.
pub(crate) struct Handshake {
    connector: Connector,
    host: String,
}

impl TlsConnect<Socket> for Handshake {
    type Stream = Tapped;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Tapped, BoxError>> + Send>>;

    fn connect(self, socket: Socket) -> Self::Future {
        Box::pin(async move {
            let Self { connector, host } = self;
            let tap = Arc::clone(&connector.tap);
            let mut negotiation = pin!(negotiate(&connector, &host, socket));
            let abortable = poll_fn(|cx| {
                connector.tap.socket.check(cx)?;
                negotiation.as_mut().poll(cx)
            });
            let transport = within(connector.deadlines.end, abortable).await??;
            Ok(Tapped::new(transport, tap, connector.deadlines))
        })
    }
}

/// Like the driver: requests TLS, and accepts a refusal unless TLS is required.
async fn negotiate(connector: &Connector, host: &str, mut socket: Socket) -> Result<Transport, BoxError> {
    let tls = &connector.tls;
    match connector.mode {
        SslMode::Disable => return Ok(Transport::Plain(socket)),
        SslMode::Prefer if tls.is_none() => return Ok(Transport::Plain(socket)),
        SslMode::Prefer if connector.negotiation == SslNegotiation::Direct => {
            return Err(SettingsError("sslnegotiation=direct needs sslmode=require").into());
        }
        _ if tls.is_none() => {
            return Err(SettingsError("sslmode=require, but the manager has no TLS connector").into());
        }
        _ => {}
    }
    if connector.negotiation == SslNegotiation::Postgres {
        socket.write_all(&SSL_REQUEST).await?;
        // Exactly one byte: unencrypted data that follows must not be taken for encrypted data later.
        let mut answer = [0];
        within(connector.deadlines.silent, socket.read_exact(&mut answer)).await??;
        connector.tap.socket.hears();
        match (&answer, connector.mode) {
            (b"S", _) => {}
            (_, SslMode::Prefer) => return Ok(Transport::Plain(socket)),
            _ => return Err(SettingsError("sslmode=require, but the server does not support TLS").into()),
        }
    }
    Ok(Transport::Tls(tls.connect(host, socket).await?))
}

/// The result of `what`, unless it comes too late.
async fn within<T>(deadline: Option<Instant>, what: impl Future<Output = T>) -> io::Result<T> {
    match deadline {
        Some(deadline) => {
            tokio::time::timeout_at(deadline.into(), what).await.map_err(|_| io::ErrorKind::TimedOut.into())
        }
        None => Ok(what.await),
    }
}

/// Length 8, and the code of a TLS request.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// Any library's connector, with its types erased.
pub(crate) trait Tls: Send + Sync {
    fn is_none(&self) -> bool;
    fn connect(&self, host: &str, socket: Socket) -> TlsHandshake;
}

type TlsHandshake = Pin<Box<dyn Future<Output = Result<Box<dyn Secured>, BoxError>> + Send>>;

pub(crate) fn erase<T>(tls: T) -> Arc<dyn Tls>
where
    T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
    T::TlsConnect: Send,
    T::Stream: Send + 'static,
    <T::TlsConnect as TlsConnect<Socket>>::Future: Send + 'static,
{
    Arc::new(Erased(tls))
}

struct Erased<T>(T);

impl<T> Tls for Erased<T>
where
    T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
    T::TlsConnect: Send,
    T::Stream: Send + 'static,
    <T::TlsConnect as TlsConnect<Socket>>::Future: Send + 'static,
{
    /// By type, because only the driver can call its own method for this.
    fn is_none(&self) -> bool {
        TypeId::of::<T>() == TypeId::of::<NoTls>()
    }

    fn connect(&self, host: &str, socket: Socket) -> TlsHandshake {
        let handshake: Result<_, BoxError> =
            self.0.clone().make_tls_connect(host).map(|connector| connector.connect(socket)).map_err(Into::into);
        Box::pin(async move {
            match handshake {
                Ok(handshake) => match handshake.await {
                    Ok(stream) => Ok(Box::new(stream) as Box<dyn Secured>),
                    Err(error) => Err(error.into()),
                },
                Err(error) => Err(error),
            }
        })
    }
}
