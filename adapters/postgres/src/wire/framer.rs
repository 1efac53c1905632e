//! Splits one direction of the protocol into messages.
//!
//! Interprets no content: the caller decides which tags matter, and how much of their bodies. Never keeps more of a body than the caller
//! asked for, and never allocates for bytes that have not arrived, because the peer chooses the length in a header.

/// A message whose last byte has arrived.
pub(super) struct Message<'a> {
    /// The type byte; [`STARTUP`] for the first message of a client, which has none.
    pub(super) tag: u8,
    /// The beginning of the body, as much as the caller asked for.
    pub(super) body: &'a [u8],
    /// Whether that is all of it.
    pub(super) whole: bool,
}

impl<'a> Message<'a> {
    /// The name that begins there and ends with a zero, and where it ends.
    pub(super) fn name_at(&self, begin: usize) -> Option<(&'a [u8], usize)> {
        let rest = self.body.get(begin..)?;
        let length = rest.iter().take(LONGEST_NAME + 1).position(|&byte| byte == 0)?;
        Some((&rest[..length], begin + length + 1))
    }

    /// The text that begins there, if all of it is here and a zero ends it. In `Parse` the parameters' types follow it.
    pub(super) fn text_at(&self, begin: usize) -> Option<&'a [u8]> {
        let rest = self.body.get(begin..)?;
        let length = rest.iter().position(|&byte| byte == 0)?;
        let ends = self.tag != b'Q' || length + 1 == rest.len();
        (self.whole && ends).then_some(&rest[..length])
    }
}

/// The tag of a client's first message. No real tag is zero.
pub(super) const STARTUP: u8 = 0;

/// An impossible length: from here on this direction cannot be read.
#[derive(Debug, PartialEq)]
pub(crate) struct Garbled;

pub(super) struct Framer {
    /// The received part of the header: four bytes for the startup message, else five.
    header: [u8; 5],
    have: usize,
    tagged: bool,
    /// The message whose header is complete.
    current: Option<Current>,
    /// The beginning of its body, if that came in pieces.
    kept: Vec<u8>,
}

#[derive(Clone, Copy)]
struct Current {
    length: usize,
    left: usize,
    keep: usize,
}

impl Framer {
    /// The server's messages.
    pub(super) fn of_server() -> Self {
        Self { header: [0; 5], have: 0, tagged: true, current: None, kept: Vec::new() }
    }

    /// The client's messages, from its startup message on.
    pub(super) fn of_client() -> Self {
        Self { tagged: false, ..Self::of_server() }
    }

    /// Takes the next bytes and shows each message that they complete. `keep` returns how much of a body to show.
    pub(super) fn feed(
        &mut self,
        mut bytes: &[u8],
        keep: impl Fn(u8) -> usize,
        mut show: impl FnMut(Message<'_>),
    ) -> Result<(), Garbled> {
        loop {
            let current = match self.current {
                Some(current) => current,
                None => {
                    let wanted = if self.tagged { 5 } else { 4 };
                    let taken = (wanted - self.have).min(bytes.len());
                    self.header[self.have..self.have + taken].copy_from_slice(&bytes[..taken]);
                    self.have += taken;
                    bytes = &bytes[taken..];
                    if self.have < wanted {
                        return Ok(());
                    }
                    let mut length = [0; 4];
                    length.copy_from_slice(&self.header[wanted - 4..wanted]);
                    // The length includes itself.
                    let length =
                        i32::from_be_bytes(length).checked_sub(4).and_then(|length| usize::try_from(length).ok());
                    let length = length.ok_or(Garbled)?;
                    Current { length, left: length, keep: keep(self.tag()) }
                }
            };
            let (part, rest) = bytes.split_at(current.left.min(bytes.len()));
            bytes = rest;
            let room = (current.keep - self.kept.len()).min(part.len());
            if part.len() < current.left {
                self.kept.extend_from_slice(&part[..room]);
                self.current = Some(Current { left: current.left - part.len(), ..current });
                return Ok(());
            }

            let (tag, whole) = (self.tag(), current.length <= current.keep);
            if current.left == current.length {
                // The usual case: it came in one piece, and is shown in place.
                show(Message { tag, body: &part[..room], whole });
            } else {
                self.kept.extend_from_slice(&part[..room]);
                show(Message { tag, body: &self.kept, whole });
                self.kept.clear();
                self.kept.shrink_to(KEPT_BETWEEN_MESSAGES);
            }
            (self.current, self.have, self.tagged) = (None, 0, true);
        }
    }

    fn tag(&self) -> u8 {
        if self.tagged { self.header[0] } else { STARTUP }
    }

    #[cfg(any(test, fuzzing))]
    pub(super) fn allocated(&self) -> usize {
        self.kept.capacity()
    }
}

const KEPT_BETWEEN_MESSAGES: usize = 256;

/// PostgreSQL's own limit, 63 bytes.
pub(super) const LONGEST_NAME: usize = 63;
