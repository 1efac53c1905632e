//! What the messages say of the session: is it busy, in a transaction, changed?
//!
//! Owns the verdict. Knows what a message means; where messages begin and end is `framer.rs`, what a text of SQL may do is
//! `sql.rs`. Anything not understood makes the session unknown, never clean.

use super::framer::{Framer, Garbled, LONGEST_NAME, Message, STARTUP};
use super::harmless::is_harmless_tag;
use super::sql;
use super::sql::Effect;
use cabrank::SessionState;
use std::collections::{HashMap, VecDeque};

/// Reads both directions of one connection, from the client's startup message on.
pub(crate) struct Tracker {
    client: Framer,
    server: Framer,
    /// What the server has not answered with `ReadyForQuery` yet, oldest first.
    waiting: VecDeque<Request>,
    /// The next `Sync` written will not be answered: the server is in `COPY IN` and passes over it.
    swallowed: bool,
    /// A COPY is under way.
    copying: bool,
    /// Requests and answers no longer match.
    confused: bool,
    /// A direction cannot be read any more.
    garbled: bool,
    /// Something other than `Close` was written since the last `Sync`.
    asked: bool,
    /// The status in the last `ReadyForQuery`.
    status: u8,
    /// What has been done to the session since it was taken for clean.
    effect: Effect,
    /// Prepared statements by name: what running them does. One whose name is missing may do anything.
    statements: HashMap<Box<[u8]>, Effect>,
    pid: Option<i32>,
    end: Option<End>,
}

/// Why a connection cannot be used any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The server said goodbye, with this SQLSTATE.
    Fatal([u8; 5]),
    /// A COPY that the driver did not begin, and cannot end.
    StrayCopy,
    /// The server has forgotten statements that the driver goes on using.
    Forgotten,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Request {
    Startup,
    /// A simple query or a function call.
    Simple,
    /// The end of what was asked since the last one.
    Sync,
    /// A `Sync` with nothing but `Close` before it, as the driver sends for each statement it lets go of, often when its
    /// holder has the last answer already. Whatever the server says to it, the session stays as it was.
    Closing,
}

impl Tracker {
    pub(crate) fn new() -> Self {
        Self {
            client: Framer::of_client(),
            server: Framer::of_server(),
            waiting: VecDeque::new(),
            swallowed: false,
            asked: false,
            copying: false,
            confused: false,
            garbled: false,
            status: 0,
            effect: Effect::None,
            statements: HashMap::new(),
            pid: None,
            end: None,
        }
    }

    /// These bytes have been written to the server.
    pub(crate) fn wrote(&mut self, bytes: &[u8]) {
        if !self.garbled {
            let mut client = std::mem::replace(&mut self.client, Framer::of_client());
            let read = client.feed(bytes, of_client_to_keep, |message| self.request(&message));
            self.client = client;
            self.garbled |= read == Err(Garbled);
        }
    }

    /// These bytes have come from the server.
    pub(crate) fn read(&mut self, bytes: &[u8]) {
        if !self.garbled {
            let mut server = std::mem::replace(&mut self.server, Framer::of_server());
            let read = server.feed(bytes, of_server_to_keep, |message| self.answer(&message));
            self.server = server;
            self.garbled |= read == Err(Garbled);
        }
    }

    /// What is known of the session. With `transaction_only` nothing but the transaction counts.
    pub(crate) fn session(&self, transaction_only: bool) -> SessionState {
        let answered = self.waiting.iter().all(|request| *request == Request::Closing);
        let settled = answered && !self.copying && !self.swallowed;
        if self.garbled || self.confused || !settled || self.end.is_some() {
            return SessionState::Unknown;
        }
        match self.status {
            b'I' if transaction_only || self.effect < Effect::Session => SessionState::Clean,
            b'T' | b'E' => SessionState::InTransaction,
            _ => SessionState::Unknown,
        }
    }

    /// The session as it is now is clean.
    pub(crate) fn start_tracking(&mut self) {
        self.effect = Effect::None;
        self.statements.remove(&b""[..]);
    }

    /// The driver has just had the answer to its last request, so all others have been answered too.
    pub(crate) fn all_answered(&mut self) {
        self.waiting.clear();
        (self.confused, self.copying, self.swallowed) = (false, false, false);
    }

    /// What has been done to the session, which may well be undone later.
    pub(crate) fn effect(&self) -> Effect {
        self.effect
    }

    /// The driver's statements are not what they were.
    pub(crate) fn forgotten(&mut self) {
        self.end = self.end.or(Some(End::Forgotten));
    }

    pub(crate) fn end(&self) -> Option<End> {
        self.end
    }

    pub(crate) fn pid(&self) -> Option<i32> {
        self.pid
    }

    fn request(&mut self, message: &Message<'_>) {
        let closes = match message.tag {
            STARTUP => return self.expect(Request::Startup),
            b'Q' => {
                self.does(message.text_at(0).map_or(Effect::Session, sql::effect));
                return self.expect(Request::Simple);
            }
            // A function call, which the driver never makes.
            b'F' => {
                self.does(Effect::Session);
                return self.expect(Request::Simple);
            }
            b'S' => {
                let asked = std::mem::take(&mut self.asked);
                if !std::mem::take(&mut self.swallowed) {
                    self.expect(if asked { Request::Sync } else { Request::Closing });
                }
                return;
            }
            b'P' => {
                self.parse(message);
                false
            }
            b'B' => {
                let name = message.name_at(0).and_then(|(_, at)| message.name_at(at));
                let effect = name.and_then(|(name, _)| self.statements.get(name));
                self.does(effect.copied().unwrap_or(Effect::Session));
                false
            }
            b'C' => {
                if let (Some(b'S'), Some((name, _))) = (message.body.first(), message.name_at(1)) {
                    self.statements.remove(name);
                }
                true
            }
            _ => false,
        };
        self.asked |= !closes;
    }

    /// The verdict stays with the name until it is closed. A second `Parse` of a name can only make it worse, for the
    /// server may pass over it and keep the first.
    fn parse(&mut self, message: &Message<'_>) {
        let Some((name, text)) = message.name_at(0) else {
            // A name too long to keep: a `Bind` of it finds none.
            return;
        };
        let effect = message.text_at(text).map_or(Effect::Session, sql::effect);
        if let Some(verdict) = self.statements.get_mut(name) {
            *verdict = effect.max(*verdict);
        } else if self.statements.len() < MOST_STATEMENTS {
            self.statements.insert(name.into(), effect);
        }
    }

    fn does(&mut self, effect: Effect) {
        self.effect = self.effect.max(effect);
    }

    fn expect(&mut self, request: Request) {
        if self.waiting.len() < MOST_WAITING {
            self.waiting.push_back(request);
        } else {
            self.confused = true;
        }
    }

    fn answer(&mut self, message: &Message<'_>) {
        match message.tag {
            b'Z' => {
                self.confused |= self.waiting.pop_front().is_none();
                self.copying = false;
                self.status = message.body.first().copied().unwrap_or(0);
                if self.status == b'I' && self.effect == Effect::Transaction {
                    self.effect = Effect::None;
                }
            }
            b'C' => {
                let tag = message.body.split(|&byte| byte == 0).next().unwrap_or_default();
                if !(message.body.contains(&0) && is_harmless_tag(tag)) {
                    self.does(Effect::Session);
                }
                if tag == b"DISCARD ALL" || tag == b"DEALLOCATE ALL" {
                    self.forgotten();
                }
            }
            // CopyInResponse, CopyBothResponse.
            b'G' | b'W' => {
                self.copying = true;
                match self.waiting.front() {
                    Some(Request::Sync | Request::Closing) => drop(self.waiting.pop_front()),
                    Some(Request::Simple) => self.end = self.end.or(Some(End::StrayCopy)),
                    Some(Request::Startup) => self.confused = true,
                    None => self.swallowed = true,
                }
            }
            // ParameterStatus: some setting is not what it was.
            b'S' => self.does(Effect::Session),
            b'K' => self.pid = message.body.first_chunk().map(|pid| i32::from_be_bytes(*pid)),
            b'E' => match told(message.body) {
                Some((code, true)) => self.end = Some(End::Fatal(code)),
                // No such prepared statement: one of the driver's, for all that is known.
                Some((code, false)) if &code == b"26000" => self.forgotten(),
                _ => {}
            },
            _ => {}
        }
    }

    #[cfg(test)]
    pub(super) fn allocated(&self) -> usize {
        self.client.allocated() + self.server.allocated()
    }
}

/// The SQLSTATE of an error, and whether the server ends the session after it. The fields that tell come first, in this
/// order: severity in the server's language, severity in English, code.
fn told(body: &[u8]) -> Option<([u8; 5], bool)> {
    let field = |kind: u8| {
        let mut fields = body.split(|&byte| byte == 0);
        fields.find_map(|field| field.strip_prefix(&[kind]))
    };
    let severity = field(b'V').or_else(|| field(b'S'))?;
    let code = field(b'C').and_then(|code| code.try_into().ok())?;
    Some((code, severity == b"FATAL" || severity == b"PANIC"))
}

fn of_client_to_keep(tag: u8) -> usize {
    match tag {
        b'Q' | b'P' => LONGEST_TEXT,
        b'B' | b'C' => 2 * (LONGEST_NAME + 1),
        _ => 0,
    }
}

fn of_server_to_keep(tag: u8) -> usize {
    match tag {
        b'Z' => 1,
        b'K' => 4,
        b'C' => 64,
        b'E' => 128,
        _ => 0,
    }
}

/// Longer texts cost a reset, which is little beside running them.
const LONGEST_TEXT: usize = 16 * 1024;

/// More than this and what comes on top is taken for harmful.
const MOST_STATEMENTS: usize = 10_000;

const MOST_WAITING: usize = 10_000;
