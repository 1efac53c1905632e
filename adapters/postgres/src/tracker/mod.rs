//! The session's state, derived from the messages: busy, in a transaction, changed.
//!
//! Owns the meaning of each message for the session. `wire` reads messages, and `sql` determines the effect of a text. Anything not
//! understood makes the session unknown, never clean.

use crate::sql::{Effect, effect, is_harmless_tag};
use crate::wire::{Answer, Answers, Request, Requests};
use cabrank::SessionState;
use prepared::Prepared;
use std::collections::VecDeque;

pub(crate) use standing::Standing;

mod prepared;
mod standing;
#[cfg(test)]
mod proptests;
#[cfg(test)]
mod tests;

/// Reads both directions of one connection, from the client's startup message on.
pub(crate) struct Tracker {
    client: Requests,
    server: Answers,
    /// Requests without an answering `ReadyForQuery`, oldest first.
    waiting: VecDeque<Pending>,
    /// The next `Sync` written will not be answered: the server is in `COPY IN` and ignores it.
    swallowed: bool,
    /// A COPY is under way.
    copying: bool,
    /// Requests and answers no longer match.
    confused: bool,
    /// A direction can no longer be read.
    garbled: bool,
    /// The requests since the last `Sync`.
    asked: Asked,
    /// The current answer has ended, and only `ReadyForQuery` is due.
    over: bool,
    /// The last bound statement fits the schema.
    bound: bool,
    /// A statement did not fit the schema, or was gone.
    stale: bool,
    /// The status in the last `ReadyForQuery`.
    status: u8,
    /// The changes to the session since it was last clean.
    effect: Effect,
    /// The server has dropped statements that the driver still uses.
    forgotten: bool,
    prepared: Prepared,
    /// The server's reports on itself.
    standing: Standing,
    /// It has refused a write, because the transaction is read-only, since the session was last clean.
    refused_write: bool,
    pid: Option<i32>,
    end: Option<End>,
}

/// Why a connection is no longer usable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The server ended the session, with this SQLSTATE.
    Fatal([u8; 5]),
    /// A COPY that the driver did not begin, and cannot end.
    StrayCopy,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pending {
    Startup,
    /// A simple query or a function call.
    Simple,
    /// The end of the requests since the last one.
    Sync,
    /// The same, with the execution of a statement that was prepared before.
    Run,
    /// A `Sync` with only `Close` before it, as the driver sends for each statement that it drops, often when its holder has the last
    /// answer already. Whatever the server answers, the session is unchanged.
    Closing,
}

/// The requests since the last `Sync`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Asked {
    /// None, or only to close statements.
    #[default]
    Nothing,
    /// The execution of a statement that was prepared before.
    Run,
    Anything,
}

impl Tracker {
    pub(crate) fn new() -> Self {
        Self {
            client: Requests::new(),
            server: Answers::new(),
            waiting: VecDeque::new(),
            swallowed: false,
            asked: Asked::Nothing,
            over: false,
            bound: false,
            stale: false,
            copying: false,
            confused: false,
            garbled: false,
            status: 0,
            effect: Effect::None,
            forgotten: false,
            prepared: Prepared::default(),
            standing: Standing::default(),
            refused_write: false,
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

    /// The known state of the session. With `transaction_only` only the transaction counts.
    pub(crate) fn session(&self, transaction_only: bool) -> SessionState {
        let answered = self.waiting.iter().all(|pending| *pending == Pending::Closing);
        let settled = answered && !self.copying && !self.swallowed;
        if self.garbled || self.confused || !settled || self.end.is_some() {
            return SessionState::Unknown;
        }
        match self.status {
            b'T' | b'E' => SessionState::InTransaction,
            _ if self.is_lasting(transaction_only) => SessionState::BeyondReset,
            b'I' if transaction_only || self.effect < Effect::Session => SessionState::Clean,
            _ => SessionState::Unknown,
        }
    }

    /// Whether something runs at the server, or sends unread data. An error ends it even if `ReadyForQuery` is still due, but not a
    /// COPY, which the client must end too.
    pub(crate) fn is_busy(&self) -> bool {
        self.waiting.iter().skip(usize::from(self.over)).any(|pending| *pending != Pending::Closing) || self.copying
    }

    /// The session's present state is clean.
    pub(crate) fn start_tracking(&mut self) {
        (self.effect, self.refused_write) = (Effect::None, false);
        self.prepared.close(b"");
    }

    /// The driver has just had the answer to its last request, which implies answers to all others.
    pub(crate) fn all_answered(&mut self) {
        self.waiting.clear();
        self.prepared.passed_over();
        (self.confused, self.copying, self.swallowed) = (false, false, false);
    }

    /// The changes to the session, which may be undone later.
    pub(crate) fn effect(&self) -> Effect {
        self.effect
    }

    /// Whether the session has been changed in a way that no reset undoes. With `transaction_only` another client has the session next.
    pub(crate) fn is_lasting(&self, transaction_only: bool) -> bool {
        self.forgotten || !transaction_only && self.effect == Effect::Lasting
    }

    /// Whether a statement has turned out stale since the last call.
    pub(crate) fn takes_stale(&mut self) -> bool {
        std::mem::take(&mut self.stale)
    }

    /// The number of statements that the server must have under the driver's names.
    pub(crate) fn prepared(&self) -> usize {
        self.prepared.count()
    }

    pub(crate) fn standing(&self) -> Standing {
        self.standing
    }

    /// Whether the server has refused a write in this session. The holder may have requested a read-only transaction.
    pub(crate) fn refused_write(&self) -> bool {
        self.refused_write
    }

    pub(crate) fn end(&self) -> Option<End> {
        self.end
    }

    pub(crate) fn pid(&self) -> Option<i32> {
        self.pid
    }

    fn request(&mut self, request: &Request<'_>) {
        let asked = match *request {
            Request::Startup => return self.expect(Pending::Startup),
            Request::Query(text) => {
                self.does(text.map_or(Effect::Session, effect));
                return self.expect(Pending::Simple);
            }
            Request::FunctionCall => {
                self.does(Effect::Session);
                return self.expect(Pending::Simple);
            }
            Request::Sync => {
                let asked = std::mem::take(&mut self.asked);
                if !std::mem::take(&mut self.swallowed) {
                    self.expect(match asked {
                        Asked::Nothing => Pending::Closing,
                        Asked::Run => Pending::Run,
                        Asked::Anything => Pending::Sync,
                    });
                }
                return;
            }
            Request::Parse { name, text } => {
                self.prepared.parse(name, text);
                Asked::Anything
            }
            Request::Bind(name) => {
                self.does(self.prepared.effect(name));
                if self.asked == Asked::Nothing { Asked::Run } else { self.asked }
            }
            Request::Close(name) => {
                if let Some(name) = name {
                    self.prepared.close(name);
                }
                self.asked
            }
            Request::Other if self.asked == Asked::Run => Asked::Run,
            Request::Other => Asked::Anything,
        };
        self.asked = asked;
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
                (self.copying, self.bound, self.over) = (false, false, false);
                self.status = status;
                if self.status == b'I' && self.effect == Effect::Transaction {
                    self.effect = Effect::None;
                }
            }
            Answer::CommandComplete { tag, whole } => {
                self.over = self.waiting.front() != Some(&Pending::Simple);
                if !(whole && is_harmless_tag(tag)) {
                    self.does(Effect::Session);
                }
                if tag == b"LOAD" {
                    self.does(Effect::Lasting);
                }
                if tag == b"DISCARD ALL" || tag == b"DEALLOCATE ALL" {
                    self.forgotten = true;
                }
            }
            Answer::CopyIn => {
                self.copying = true;
                match self.waiting.front() {
                    Some(Pending::Sync | Pending::Run | Pending::Closing) => drop(self.waiting.pop_front()),
                    Some(Pending::Simple) => self.end = self.end.or(Some(End::StrayCopy)),
                    Some(Pending::Startup) => self.confused = true,
                    None => self.swallowed = true,
                }
            }
            Answer::ParseComplete => self.prepared.parsed(),
            Answer::BindComplete => self.bound = true,
            Answer::ParameterStatus { name, value } => {
                self.standing.hear(name, value);
                self.does(Effect::Session);
            }
            // A notification is for the holder at its arrival.
            Answer::Notification => self.does(Effect::Session),
            Answer::BackendKeyData(pid) => self.pid = pid,
            Answer::Error { code, fatal: true } => self.end = Some(End::Fatal(code)),
            Answer::Error { code, .. } => self.error(&code),
            Answer::Other => {}
        }
    }

    fn error(&mut self, code: &[u8; 5]) {
        self.prepared.passed_over();
        self.over = true;
        self.refused_write |= code == b"25006";
        // No such prepared statement: presumably one of the driver's.
        if code == b"26000" {
            self.forgotten = true;
        }
        let run = self.waiting.front() == Some(&Pending::Run) && !self.bound;
        self.stale |= code == b"26000" || run && is_of_schema(code);
    }

    #[cfg(any(test, fuzzing))]
    pub(crate) fn allocated(&self) -> usize {
        self.client.allocated() + self.server.allocated()
    }
}

/// Whether a schema change can cause this error for a statement that is being bound. Missing rights do not count: the statement is as
/// good as a new one.
fn is_of_schema(code: &[u8; 5]) -> bool {
    code == b"0A000" || code == b"XX000" || code.starts_with(b"42") && code != b"42501"
}

const MOST_WAITING: usize = 10_000;
