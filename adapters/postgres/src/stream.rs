//! The stream that the driver talks over: the real one, read along and abortable.
//!
//! Owns what happens at each poll. Who made the real one is `connector.rs`.

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
    /// When it fails by itself; `None` where the pool sees to that.
    until: Option<Pin<Box<Sleep>>>,
}

/// When a log-in fails by itself; `None` where a [`Limit`](cabrank::Limit) sees to that.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Deadlines {
    /// If the server has said nothing by then.
    pub(crate) silent: Option<Instant>,
    /// However much it has said.
    pub(crate) end: Option<Instant>,
}

impl Deadlines {
    /// The one that holds for a server that was heard, or was not.
    fn at(self, heard: bool) -> Option<Instant> {
        if heard { self.end } else { self.silent.or(self.end) }
    }
}

/// What lies below: the socket itself, or TLS over it.
pub(crate) enum Transport {
    Plain(Socket),
    Tls(Box<dyn Secured>),
}

/// Any connector's stream.
pub(crate) trait Secured: TlsStream + Unpin + Send {}

impl<S: TlsStream + Unpin + Send> Secured for S {}

impl Tapped {
    /// To be called inside of the driver's runtime.
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

    /// The driver takes its leave without waiting for an answer. In a closing that lingers this waits until the server has
    /// closed its end, and so has ended the session.
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
                // A reset is an end, too: the server need not read our goodbye to the last byte.
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
