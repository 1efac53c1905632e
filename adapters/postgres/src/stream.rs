//! The stream below the driver: the real one, tracked and abortable.
//!
//! Owns the work of each poll. `connector.rs` makes the real stream.

use crate::tap::Tap;
use postgres::Socket;
use postgres::tls::{ChannelBinding, TlsStream};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

pub(crate) struct Tapped {
    transport: Transport,
    tap: Arc<Tap>,
    deadlines: Deadlines,
    /// When it times out on its own; `None` if the pool enforces the limit.
    until: Option<Pin<Box<Sleep>>>,
}

/// When a log-in times out on its own; `None` if a [`Limit`](cabrank::Limit) bounds it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Deadlines {
    /// If the server has sent nothing by then.
    pub(crate) silent: Option<Instant>,
    /// Whatever it has sent.
    pub(crate) end: Option<Instant>,
}

impl Deadlines {
    /// The deadline that applies, by whether the server has sent anything.
    fn at(self, heard: bool) -> Option<Instant> {
        if heard { self.end } else { self.silent.or(self.end) }
    }
}

/// The lower layer: the socket itself, or TLS over it.
pub(crate) enum Transport {
    Plain(Socket),
    Tls(Box<dyn Secured>),
}

/// Any connector's stream.
pub(crate) trait Secured: TlsStream + Unpin + Send {}

impl<S: TlsStream + Unpin + Send> Secured for S {}

impl Tapped {
    /// Call this inside of the driver's runtime.
    pub(crate) fn new(transport: Transport, tap: Arc<Tap>, deadlines: Deadlines) -> Self {
        let mut stream = Self { transport, tap, deadlines, until: None };
        stream.set_deadline();
        stream
    }

    fn set_deadline(&mut self) {
        let deadline = self.deadlines.at(self.tap.socket.heard_at().is_some());
        self.until = deadline.map(|deadline| Box::pin(tokio::time::sleep_until(deadline.into())));
    }

    fn check(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        self.tap.socket.check(cx)?;
        if self.until.is_some() && self.tap.socket.is_logged_in() {
            self.until = None;
        }
        match &mut self.until {
            Some(until) => match until.as_mut().poll(cx) {
                Poll::Ready(()) => Err(io::ErrorKind::TimedOut.into()),
                Poll::Pending => Ok(()),
            },
            None => Ok(()),
        }
    }

    fn read_untapped(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Plain(socket) => Pin::new(socket).poll_read(cx, buf),
            Transport::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncRead for Tapped {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.check(cx)?;
        let before = buf.filled().len();
        let read = self.read_untapped(cx, buf);
        self.tap.socket.set_held_up(read.is_ready());
        let outcome = ready!(read);
        let came = &buf.filled()[before..];
        match &outcome {
            Ok(()) if !came.is_empty() => {
                self.tap.read(came);
                if self.tap.socket.heard_at().is_none() {
                    self.tap.socket.hears();
                    self.set_deadline();
                }
            }
            Ok(()) if buf.remaining() == 0 => {}
            _ => self.tap.socket.end(),
        }
        Poll::Ready(outcome)
    }
}

impl AsyncWrite for Tapped {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.check(cx)?;
        let outcome = ready!(match &mut self.transport {
            Transport::Plain(socket) => Pin::new(socket).poll_write(cx, bytes),
            Transport::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        });
        match &outcome {
            Ok(written) => self.tap.tracker().wrote(&bytes[..*written]),
            Err(_) => self.tap.socket.end(),
        }
        Poll::Ready(outcome)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check(cx)?;
        match &mut self.transport {
            Transport::Plain(socket) => Pin::new(socket).poll_flush(cx),
            Transport::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    /// The driver says goodbye without waiting for an answer. In a lingering close this waits until the server has closed its end, and so
    /// has ended the session.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check(cx)?;
        let shut = ready!(match &mut self.transport {
            Transport::Plain(socket) => Pin::new(socket).poll_shutdown(cx),
            Transport::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        });
        if !self.tap.socket.lingers() || shut.is_err() {
            return Poll::Ready(shut);
        }
        loop {
            let mut scrap = [0; 512];
            let mut buf = ReadBuf::new(&mut scrap);
            match ready!(self.read_untapped(cx, &mut buf)) {
                Ok(()) if !buf.filled().is_empty() => {}
                // A reset also ends it: the server need not read our goodbye to the last byte.
                _ => return Poll::Ready(Ok(())),
            }
        }
    }
}

impl TlsStream for Tapped {
    fn channel_binding(&self) -> ChannelBinding {
        match &self.transport {
            Transport::Plain(_) => ChannelBinding::none(),
            Transport::Tls(stream) => stream.channel_binding(),
        }
    }
}
