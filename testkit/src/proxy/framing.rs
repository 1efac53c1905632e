//! Finds where messages begin and end in a stream of bytes. Reads headers only, in pieces of any size.
//!
//! A stream that changes to TLS is opaque from then on: later counts mean nothing.

use super::Way;

/// The protocol whose messages are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Framing {
    /// Unknown: each arriving piece counts as one message.
    #[default]
    Raw,
    /// A type byte and a length; the client's first message has no type.
    Postgres,
    /// A length and a number; the client's message with number 0 begins with a command.
    Mysql,
}

/// A client's message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// Its type, if it has one: PostgreSQL's type byte, or MySQL's command byte.
    pub kind: Option<u8>,
    /// The rest, without the header and the command byte.
    pub body: Vec<u8>,
}

/// What a [`Scanner`] finds.
pub(super) enum Step<'a> {
    /// A message, with its type if it has one.
    Begin(Option<u8>),
    /// The next part of its body.
    Body(&'a [u8]),
    /// Its end.
    End,
}

/// Reads one direction of one connection.
#[derive(Debug)]
pub(super) struct Scanner {
    framing: Framing,
    way: Way,
    /// The part of the header that has arrived.
    header: Vec<u8>,
    /// The rest of the message's length.
    body: u64,
    /// PostgreSQL's client sends no types until its start-up message has passed, and the server may answer a request for encryption with
    /// a single byte.
    starting: bool,
}

impl Scanner {
    pub(super) fn new(framing: Framing, way: Way) -> Self {
        Self { framing, way, header: Vec::with_capacity(8), body: 0, starting: true }
    }

    /// Calls `each` for everything found in `bytes`.
    pub(super) fn scan(&mut self, mut bytes: &[u8], mut each: impl FnMut(Step<'_>)) {
        if self.framing == Framing::Raw && !bytes.is_empty() {
            return [Step::Begin(None), Step::Body(bytes), Step::End].into_iter().for_each(each);
        }
        while let Some((byte, rest)) = bytes.split_first() {
            if self.body > 0 {
                let here = usize::try_from(self.body).unwrap_or(usize::MAX).min(bytes.len());
                let (body, next) = bytes.split_at(here);
                self.body -= here as u64;
                bytes = next;
                each(Step::Body(body));
            } else {
                self.header.push(*byte);
                bytes = rest;
                let Some((kind, body)) = self.message() else { continue };
                self.header.clear();
                self.body = body;
                each(Step::Begin(kind));
            }
            if self.body == 0 {
                each(Step::End);
            }
        }
    }

    /// The message's type and the rest of its length, once its header is complete.
    fn message(&mut self) -> Option<(Option<u8>, u64)> {
        match (self.framing, self.way) {
            (Framing::Raw, _) => None,
            (Framing::Postgres, Way::ToServer) if self.starting => {
                let [a, b, c, d, e, f, g, h] = *self.header else { return None };
                // Requests for encryption come before the start-up message.
                let code = u32::from_be_bytes([e, f, g, h]);
                self.starting = ENCRYPTION.contains(&code);
                Some((None, u64::from(u32::from_be_bytes([a, b, c, d])).saturating_sub(8)))
            }
            (Framing::Postgres, Way::ToClient) if self.starting && self.header.len() == 1 => {
                // `N` alone refuses encryption; as a type it would be a notice, which a server never sends first.
                self.starting = self.header[0] == b'N' || self.header[0] == b'S';
                self.starting.then_some((None, 0))
            }
            (Framing::Postgres, _) => {
                let [kind, a, b, c, d] = *self.header else { return None };
                Some((Some(kind), u64::from(u32::from_be_bytes([a, b, c, d])).saturating_sub(4)))
            }
            (Framing::Mysql, way) => {
                let [a, b, c, number, ref first @ ..] = *self.header else { return None };
                let length = u64::from(u32::from_le_bytes([a, b, c, 0]));
                match first {
                    // The command is the body's first byte.
                    [] if way == Way::ToServer && number == 0 && length > 0 => None,
                    [] => Some((None, length)),
                    [command, ..] => Some((Some(*command), length - 1)),
                }
            }
        }
    }
}

/// The codes of SSLRequest and GSSENCRequest.
const ENCRYPTION: [u32; 2] = [80_877_103, 80_877_104];

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(framing: Framing, way: Way, bytes: &[u8]) -> Vec<Option<u8>> {
        messages(framing, way, bytes).into_iter().map(|message| message.kind).collect()
    }

    /// The messages that have ended. One that has only its header so far is included without its body.
    fn messages(framing: Framing, way: Way, bytes: &[u8]) -> Vec<Message> {
        let read = |pieces: &mut dyn Iterator<Item = &[u8]>| {
            let (mut found, mut ended) = (Vec::<Message>::new(), 0);
            let mut scanner = Scanner::new(framing, way);
            pieces.for_each(|piece| {
                scanner.scan(piece, |step| match step {
                    Step::Begin(kind) => found.push(Message { kind, body: Vec::new() }),
                    Step::Body(part) => found.last_mut().expect("one has begun").body.extend(part),
                    Step::End => ended += 1,
                })
            });
            assert!(found.len() - ended <= 1, "each ends before the next begins");
            found
        };
        let all_at_once = read(&mut std::iter::once(bytes));
        assert_eq!(read(&mut bytes.chunks(1)), all_at_once, "in pieces as at once");
        all_at_once
    }

    #[test]
    fn a_message_is_kept_without_its_header() {
        let text = Message { kind: Some(b'Q'), body: b"x\0".to_vec() };
        let end = Message { kind: Some(b'X'), body: Vec::new() };
        let bytes = b"\0\0\0\x0a\0\x03\0\0u\0Q\0\0\0\x06x\0X\0\0\0\x04";
        assert_eq!(messages(Framing::Postgres, Way::ToServer, bytes)[1..], [text, end]);
        let query = Message { kind: Some(3), body: b"xy".to_vec() };
        assert_eq!(messages(Framing::Mysql, Way::ToServer, &[3, 0, 0, 0, 3, b'x', b'y']), [query]);
    }

    #[test]
    fn postgres_clients_begin_without_types() {
        let mut bytes = Vec::new();
        bytes.extend([0, 0, 0, 8, 4, 210, 22, 47]); // SSLRequest
        bytes.extend([0, 0, 0, 10, 0, 3, 0, 0, b'u', 0]); // StartupMessage
        bytes.extend(b"Q\0\0\0\x06x\0");
        bytes.extend(b"X\0\0\0\x04");
        assert_eq!(scan(Framing::Postgres, Way::ToServer, &bytes), [None, None, Some(b'Q'), Some(b'X')]);
    }

    #[test]
    fn postgres_servers_may_refuse_encryption_first() {
        let kinds = scan(Framing::Postgres, Way::ToClient, b"NR\0\0\0\x08\0\0\0\0Z\0\0\0\x05I");
        assert_eq!(kinds, [None, Some(b'R'), Some(b'Z')]);
        assert_eq!(scan(Framing::Postgres, Way::ToClient, b"R\0\0\0\x08\0\0\0\0"), [Some(b'R')]);
    }

    #[test]
    fn mysql_commands_are_told_from_other_packets() {
        let bytes = [&[2, 0, 0, 1, 9, 9][..], &[1, 0, 0, 0, 14], &[3, 0, 0, 0, 3, b'x', b'y'], &[0, 0, 0, 2]].concat();
        assert_eq!(scan(Framing::Mysql, Way::ToServer, &bytes), [None, Some(14), Some(3), None]);
        assert_eq!(scan(Framing::Mysql, Way::ToClient, &[1, 0, 0, 0, 7]), [None]);
    }
}
