//! What the messages say of the session: is it busy, in a transaction, changed?
//!
//! Owns the verdict: what each message means for the session. What a message says is `wire`, what a text of SQL may do is
//! `sql`. Anything not understood makes the session unknown, never clean.

use crate::sql::{Effect, effect, is_harmless_tag};
use crate::wire::{Answer, Answers, Request, Requests};
use cabrank::SessionState;
use prepared::Prepared;
use std::collections::VecDeque;

pub(crate) use standing::Standing;

mod prepared;
#[cfg(test)]
mod proptests;
mod standing;
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
    /// What was written since the last `Sync`.
    asked: Asked,
    /// What is answered now has come to its end, and only `ReadyForQuery` is due.
    over: bool,
    /// The statement that was bound last fits the schema.
    bound: bool,
    /// A statement did not fit the schema, or was gone.
    stale: bool,
    /// The status in the last `ReadyForQuery`.
    status: u8,
    /// What has been done to the session since it was taken for clean.
    effect: Effect,
    /// The server has forgotten statements that the driver goes on using.
    forgotten: bool,
    prepared: Prepared,
    /// What the server has said of itself.
    standing: Standing,
    /// It has refused a write, because the transaction is read-only, since the session was taken for clean.
    refused_write: bool,
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
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pending {
    Startup,
    /// A simple query or a function call.
    Simple,
    /// The end of what was asked since the last one.
    Sync,
    /// The same, where a statement that was prepared before is run.
    Run,
    /// A `Sync` with nothing but `Close` before it, as the driver sends for each statement it lets go of, often when its
    /// holder has the last answer already. Whatever the server says to it, the session stays as it was.
    Closing,
}

/// What was asked since the last `Sync`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Asked {
    /// Nothing, or that statements be closed.
    #[default]
    Nothing,
    /// A statement that was prepared before is run.
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

    /// What is known of the session. With `transaction_only` nothing but the transaction counts.
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

    /// Does something run at the server, or send what nobody reads? An error ends it though `ReadyForQuery` is still due; not so a COPY,
    /// which the client has to end, too.
    pub(crate) fn is_busy(&self) -> bool {
        self.waiting.iter().skip(usize::from(self.over)).any(|pending| *pending != Pending::Closing) || self.copying
    }

    /// The session as it is now is clean.
    pub(crate) fn start_tracking(&mut self) {
        (self.effect, self.refused_write) = (Effect::None, false);
        self.prepared.close(b"");
    }

    /// The driver has just had the answer to its last request, so all others have been answered too.
    pub(crate) fn all_answered(&mut self) {
        self.waiting.clear();
        self.prepared.passed_over();
        (self.confused, self.copying, self.swallowed) = (false, false, false);
    }

    /// What has been done to the session, which may well be undone later.
    pub(crate) fn effect(&self) -> Effect {
        self.effect
    }

    /// Has something been done to the session that no reset undoes? With `transaction_only` another has the session next.
    pub(crate) fn is_lasting(&self, transaction_only: bool) -> bool {
        self.forgotten || !transaction_only && self.effect == Effect::Lasting
    }

    /// Has a statement turned out stale since this was last asked?
    pub(crate) fn takes_stale(&mut self) -> bool {
        std::mem::take(&mut self.stale)
    }

    /// How many statements the server must have under names that the driver gave.
    pub(crate) fn prepared(&self) -> usize {
        self.prepared.count()
    }

    pub(crate) fn standing(&self) -> Standing {
        self.standing
    }

    /// Has the server refused a write in this session? The holder may have asked for a read-only transaction.
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
            // What a notification says is for the one who holds the connection when it comes.
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
        // No such prepared statement: one of the driver's, for all that is known.
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

/// Can this be what a schema that has changed has to say to a statement that is to be bound? Rights do not count: the statement
/// is as good as a new one.
fn is_of_schema(code: &[u8; 5]) -> bool {
    code == b"0A000" || code == b"XX000" || code.starts_with(b"42") && code != b"42501"
}

const MOST_WAITING: usize = 10_000;
