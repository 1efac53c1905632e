//! The server's messages.

use super::framer::{Framer, Garbled, Message};

/// One message, in as much detail as the session's state depends on.
#[derive(Debug, PartialEq)]
pub(crate) enum Answer<'a> {
    /// All requests have been answered. With the transaction's status, zero if there was none.
    ReadyForQuery(u8),
    /// `whole` unless the tag is too long to keep.
    CommandComplete {
        tag: &'a [u8],
        whole: bool,
    },
    /// A statement has been prepared.
    ParseComplete,
    /// A prepared statement fits its parameters, and the schema.
    BindComplete,
    /// The server waits for the data of a COPY.
    CopyIn,
    /// A setting has changed, or is reported at the beginning. Only the beginning of a long value.
    ParameterStatus {
        name: &'a [u8],
        value: &'a [u8],
    },
    Notification,
    /// With the process id.
    BackendKeyData(Option<i32>),
    /// `fatal`: the server ends the session.
    Error {
        code: [u8; 5],
        fatal: bool,
    },
    Other,
}

/// Reads the server's messages.
pub(crate) struct Answers(Framer);

impl Answers {
    pub(crate) fn new() -> Self {
        Self(Framer::of_server())
    }

    /// Takes the next bytes and shows each message that they complete.
    pub(crate) fn feed(&mut self, bytes: &[u8], mut show: impl FnMut(Answer<'_>)) -> Result<(), Garbled> {
        self.0.feed(bytes, to_keep, |message| show(Answer::of(&message)))
    }

    #[cfg(any(test, fuzzing))]
    pub(crate) fn allocated(&self) -> usize {
        self.0.allocated()
    }
}

impl<'a> Answer<'a> {
    fn of(message: &Message<'a>) -> Self {
        let body = message.body;
        match message.tag {
            b'Z' => Self::ReadyForQuery(body.first().copied().unwrap_or(0)),
            b'C' => Self::CommandComplete {
                tag: body.split(|&byte| byte == 0).next().unwrap_or_default(),
                whole: body.contains(&0),
            },
            b'1' => Self::ParseComplete,
            b'2' => Self::BindComplete,
            // CopyInResponse, CopyBothResponse.
            b'G' | b'W' => Self::CopyIn,
            b'S' => parameter(body),
            b'A' => Self::Notification,
            b'K' => Self::BackendKeyData(body.first_chunk().map(|pid| i32::from_be_bytes(*pid))),
            b'E' => error(body).unwrap_or(Self::Other),
            _ => Self::Other,
        }
    }
}

fn parameter(body: &[u8]) -> Answer<'_> {
    let mut texts = body.split(|&byte| byte == 0);
    let (name, value) = (texts.next().unwrap_or_default(), texts.next().unwrap_or_default());
    Answer::ParameterStatus { name, value }
}

/// The relevant fields come first, in this order: severity in the server's language, severity in English, SQLSTATE.
fn error(body: &[u8]) -> Option<Answer<'static>> {
    let field = |kind: u8| {
        let mut fields = body.split(|&byte| byte == 0);
        fields.find_map(|field| field.strip_prefix(&[kind]))
    };
    let severity = field(b'V').or_else(|| field(b'S'))?;
    let code = field(b'C').and_then(|code| code.try_into().ok())?;
    Some(Answer::Error { code, fatal: severity == b"FATAL" || severity == b"PANIC" })
}

fn to_keep(tag: u8) -> usize {
    match tag {
        b'Z' => 1,
        b'K' => 4,
        b'C' | b'S' => 64,
        b'E' => 128,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(tag: u8, body: &[u8]) -> String {
        let length = (body.len() as u32 + 4).to_be_bytes();
        let mut shown = String::new();
        let message = [&[tag][..], &length, body].concat();
        Answers::new().feed(&message, |answer| shown = format!("{answer:?}")).expect("a message");
        shown
    }

    fn show(answer: &Answer<'_>) -> String {
        format!("{answer:?}")
    }

    #[test]
    fn what_decides_on_a_session_is_found() {
        assert_eq!(shown(b'Z', b"T"), show(&Answer::ReadyForQuery(b'T')));
        let complete = |tag, whole| show(&Answer::CommandComplete { tag, whole });
        assert_eq!(shown(b'C', b"INSERT 0 1\0"), complete(b"INSERT 0 1", true));
        assert_eq!(shown(b'C', &[b'X'; 200]), complete(&[b'X'; 64], false));
        assert_eq!(shown(b'K', &[0, 0, 1, 1, 7, 7, 7, 7]), show(&Answer::BackendKeyData(Some(257))));
        let parameter = Answer::ParameterStatus { name: b"in_hot_standby", value: b"off" };
        assert_eq!(shown(b'S', b"in_hot_standby\0off\0"), show(&parameter));
        assert_eq!(shown(b'D', b"whatever"), show(&Answer::Other));
    }

    #[test]
    fn an_error_is_known_by_its_code_and_its_severity_in_english() {
        let error = |code, fatal| show(&Answer::Error { code, fatal });
        assert_eq!(shown(b'E', b"SERROR\0VERROR\0C22012\0Mno\0\0"), error(*b"22012", false));
        assert_eq!(shown(b'E', b"SSCHWERWIEGEND\0VFATAL\0C57P01\0Mweg\0\0"), error(*b"57P01", true));
        assert_eq!(shown(b'E', b"SPANIC\0CXX000\0\0"), error(*b"XX000", true), "a server that has no English one");
        assert_eq!(shown(b'E', b"SERROR\0C1\0\0"), show(&Answer::Other));
    }
}
