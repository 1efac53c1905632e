//! The client's messages, from its startup message on.

use super::framer::{Framer, Garbled, LONGEST_NAME, Message, STARTUP};

/// One message, in as much detail as the session's state depends on. A name or text is `None` if it is too long to keep or malformed.
#[derive(Debug, PartialEq)]
pub(crate) enum Request<'a> {
    Startup,
    /// A simple query.
    Query(Option<&'a [u8]>),
    /// The driver never sends one.
    FunctionCall,
    /// Prepares `text` under a name, which may be empty.
    Parse {
        name: Option<&'a [u8]>,
        text: Option<&'a [u8]>,
    },
    /// Gives a prepared statement its parameters, for the execution that follows.
    Bind(Option<&'a [u8]>),
    /// Closes a prepared statement; `None` also for a portal.
    Close(Option<&'a [u8]>),
    Sync,
    Other,
}

/// Reads the client's messages.
pub(crate) struct Requests(Framer);

impl Requests {
    pub(crate) fn new() -> Self {
        Self(Framer::of_client())
    }

    /// Takes the next bytes and shows each message that they complete.
    pub(crate) fn feed(&mut self, bytes: &[u8], mut show: impl FnMut(Request<'_>)) -> Result<(), Garbled> {
        self.0.feed(bytes, to_keep, |message| show(Request::of(&message)))
    }

    #[cfg(any(test, fuzzing))]
    pub(crate) fn allocated(&self) -> usize {
        self.0.allocated()
    }
}

impl<'a> Request<'a> {
    fn of(message: &Message<'a>) -> Self {
        match message.tag {
            STARTUP => Self::Startup,
            b'Q' => Self::Query(message.text_at(0)),
            b'F' => Self::FunctionCall,
            b'P' => match message.name_at(0) {
                Some((name, end)) => Self::Parse { name: Some(name), text: message.text_at(end) },
                None => Self::Parse { name: None, text: None },
            },
            b'B' => {
                let portal = message.name_at(0);
                Self::Bind(portal.and_then(|(_, end)| message.name_at(end)).map(|(name, _)| name))
            }
            b'C' => match (message.body.first(), message.name_at(1)) {
                (Some(b'S'), Some((name, _))) => Self::Close(Some(name)),
                _ => Self::Close(None),
            },
            b'S' => Self::Sync,
            _ => Self::Other,
        }
    }
}

fn to_keep(tag: u8) -> usize {
    match tag {
        b'Q' | b'P' => LONGEST_TEXT,
        b'B' | b'C' => 2 * (LONGEST_NAME + 1),
        _ => 0,
    }
}

/// Longer texts cost a reset, which is cheap beside their execution.
const LONGEST_TEXT: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(tag: u8, body: &[u8]) -> String {
        let length = (body.len() as u32 + 4).to_be_bytes();
        let mut requests = Requests::new();
        requests.feed(&[0, 0, 0, 8, 0, 3, 0, 0], |request| assert_eq!(request, Request::Startup)).expect("a startup");
        let mut shown = String::new();
        let fed = requests.feed(&[&[tag][..], &length, body].concat(), |request| shown = format!("{request:?}"));
        fed.expect("a message");
        shown
    }

    fn show(request: &Request<'_>) -> String {
        format!("{request:?}")
    }

    #[test]
    fn names_and_texts_are_found_where_they_stand() {
        assert_eq!(shown(b'Q', b"SELECT 1\0"), show(&Request::Query(Some(b"SELECT 1"))));
        let parse = Request::Parse { name: Some(b"s1"), text: Some(b"SELECT $1") };
        assert_eq!(shown(b'P', b"s1\0SELECT $1\0\0\x01\0\0\0\x17"), show(&parse));
        assert_eq!(shown(b'B', b"portal\0s1\0\0\0\0\0\0\0"), show(&Request::Bind(Some(b"s1"))));
        assert_eq!(shown(b'C', b"Ss1\0"), show(&Request::Close(Some(b"s1"))));
        assert_eq!(shown(b'C', b"Pportal\0"), show(&Request::Close(None)));
        assert_eq!(shown(b'S', b""), show(&Request::Sync));
        assert_eq!(shown(b'E', b"\0\0\0\0\0"), show(&Request::Other));
    }

    #[test]
    fn what_is_too_long_or_not_ended_is_not_shown() {
        assert_eq!(shown(b'Q', &[b'x'; 20_000]), show(&Request::Query(None)));
        assert_eq!(shown(b'Q', b"SELECT 1\0; SELECT 2\0"), show(&Request::Query(None)), "two ends");
        assert_eq!(shown(b'Q', b"SELECT 1"), show(&Request::Query(None)), "none");
        assert_eq!(shown(b'B', &[b'x'; 64]), show(&Request::Bind(None)));
    }
}
