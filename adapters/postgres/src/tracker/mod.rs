//! What the messages say of the session: is it busy, in a transaction, changed?
//!
//! Owns the verdict: what each message means for the session. What a message says is `wire`, what a text of SQL may do is
//! `sql`. Anything not understood makes the session unknown, never clean.

use crate::sql;
use crate::sql::{Effect, is_harmless_tag};
use crate::wire::{Answer, Answers, Request, Requests};
use cabrank::SessionState;
use std::collections::{HashMap, VecDeque};

#[cfg(test)]
mod proptests;
#[cfg(test)]
mod tests;

/// Reads both directions of one connection, from the client's startup message on.
pub(crate) struct Tracker {
    client: Requests,
    server: Answers,
    /// What the server has not answered with `ReadyForQuery` yet, oldest first.
    waiting: VecDeque<Pending>,
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
enum Pending {
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
            client: Requests::new(),
            server: Answers::new(),
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
            let mut client = std::mem::replace(&mut self.client, Requests::new());
            let read = client.feed(bytes, |request| self.request(&request));
            self.client = client;
            self.garbled |= read.is_err();
        }
    }

    /// These bytes have come from the server.
    pub(crate) fn read(&mut self, bytes: &[u8]) {
        if !self.garbled {
            let mut server = std::mem::replace(&mut self.server, Answers::new());
            let read = server.feed(bytes, |answer| self.answer(&answer));
            self.server = server;
            self.garbled |= read.is_err();
        }
    }

    /// What is known of the session. With `transaction_only` nothing but the transaction counts.
    pub(crate) fn session(&self, transaction_only: bool) -> SessionState {
        let answered = self.waiting.iter().all(|pending| *pending == Pending::Closing);
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

    fn request(&mut self, request: &Request<'_>) {
        let closes = match *request {
            Request::Startup => return self.expect(Pending::Startup),
            Request::Query(text) => {
                self.does(text.map_or(Effect::Session, sql::effect));
                return self.expect(Pending::Simple);
            }
            Request::FunctionCall => {
                self.does(Effect::Session);
                return self.expect(Pending::Simple);
            }
            Request::Sync => {
                let asked = std::mem::take(&mut self.asked);
                if !std::mem::take(&mut self.swallowed) {
                    self.expect(if asked { Pending::Sync } else { Pending::Closing });
                }
                return;
            }
            Request::Parse { name, text } => {
                // A name too long to keep: a `Bind` of it finds none.
                if let Some(name) = name {
                    self.parse(name, text);
                }
                false
            }
            Request::Bind(name) => {
                let effect = name.and_then(|name| self.statements.get(name));
                self.does(effect.copied().unwrap_or(Effect::Session));
                false
            }
            Request::Close(name) => {
                if let Some(name) = name {
                    self.statements.remove(name);
                }
                true
            }
            Request::Other => false,
        };
        self.asked |= !closes;
    }

    /// The verdict stays with the name until it is closed. A second `Parse` of a name can only make it worse, for the
    /// server may pass over it and keep the first.
    fn parse(&mut self, name: &[u8], text: Option<&[u8]>) {
        let effect = text.map_or(Effect::Session, sql::effect);
        if let Some(verdict) = self.statements.get_mut(name) {
            *verdict = effect.max(*verdict);
        } else if self.statements.len() < MOST_STATEMENTS {
            self.statements.insert(name.into(), effect);
        }
    }

    fn does(&mut self, effect: Effect) {
        self.effect = self.effect.max(effect);
    }

    fn expect(&mut self, pending: Pending) {
        if self.waiting.len() < MOST_WAITING {
            self.waiting.push_back(pending);
        } else {
            self.confused = true;
        }
    }

    fn answer(&mut self, answer: &Answer<'_>) {
        match *answer {
            Answer::ReadyForQuery(status) => {
                self.confused |= self.waiting.pop_front().is_none();
                self.copying = false;
                self.status = status;
                if self.status == b'I' && self.effect == Effect::Transaction {
                    self.effect = Effect::None;
                }
            }
            Answer::CommandComplete { tag, whole } => {
                if !(whole && is_harmless_tag(tag)) {
                    self.does(Effect::Session);
                }
                if tag == b"DISCARD ALL" || tag == b"DEALLOCATE ALL" {
                    self.forgotten();
                }
            }
            Answer::CopyIn => {
                self.copying = true;
                match self.waiting.front() {
                    Some(Pending::Sync | Pending::Closing) => drop(self.waiting.pop_front()),
                    Some(Pending::Simple) => self.end = self.end.or(Some(End::StrayCopy)),
                    Some(Pending::Startup) => self.confused = true,
                    None => self.swallowed = true,
                }
            }
            Answer::ParameterStatus => self.does(Effect::Session),
            Answer::BackendKeyData(pid) => self.pid = pid,
            Answer::Error { code, fatal: true } => self.end = Some(End::Fatal(code)),
            // No such prepared statement: one of the driver's, for all that is known.
            Answer::Error { code, .. } if &code == b"26000" => self.forgotten(),
            Answer::Error { .. } | Answer::Other => {}
        }
    }

    #[cfg(test)]
    pub(super) fn allocated(&self) -> usize {
        self.client.allocated() + self.server.allocated()
    }
}

/// More than this and what comes on top is taken for harmful.
const MOST_STATEMENTS: usize = 10_000;

const MOST_WAITING: usize = 10_000;
