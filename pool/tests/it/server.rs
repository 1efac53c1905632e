//! A database server that is not there, with a remote control: each call takes its next verdict from it.
//!
//! It keeps its own books: who is connected (opening and closing ones included, aborted ones not), which calls ran, how
//! many at a time, when, and in whose threads. The tests ask these books, not the pool's counters.

use crate::fake::{Fake, FakeError};
use cabrank::Fault;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// The calls that can be told how to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    /// The look-up of the server's name: the first step of a connect, which nobody can abort.
    LookUp,
    Connect,
    Check,
    Reset,
    Close,
    HasBroken,
    Session,
    Fault,
    AbortHandle,
    Cancel,
    Abort,
    OnOpen,
    Event,
    Destroy,
    Query,
    Begin,
    Commit,
    Rollback,
}

/// How a call ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Ok,
    Err(Fault),
    /// Takes this long, or until the connection is aborted.
    Slow(Duration),
    /// Until the connection is aborted (then it fails), or until it is released (then it succeeds).
    Never,
    /// Until it is released; an abort does not reach it, and a connect registers none.
    Stuck,
    Panic,
}

/// The server, held by the test. When it goes, whatever still blocks is released.
pub(crate) struct Server {
    world: Arc<World>,
}

impl Server {
    pub(crate) fn new() -> Self {
        crate::support::hush();
        Self { world: Arc::default() }
    }

    /// A manager for a server behind a socket.
    pub(crate) fn manager(&self) -> Fake<true> {
        Fake::new(&self.world)
    }

    /// A manager for an engine in this process.
    pub(crate) fn engine(&self) -> Fake<false> {
        Fake::new(&self.world)
    }

    pub(crate) fn world(&self) -> Arc<World> {
        Arc::clone(&self.world)
    }

    /// From now on all such calls end like this.
    pub(crate) fn order(&self, call: Call, verdict: Verdict) {
        self.world.lock().orders[call as usize].standing = verdict;
    }

    /// The next such call that nothing is ordered for ends like this.
    pub(crate) fn next(&self, call: Call, verdict: Verdict) {
        self.world.lock().orders[call as usize].next.push_back(verdict);
    }

    /// Those who are blocked in such a call now succeed.
    pub(crate) fn release(&self, call: Call) {
        self.world.lock().orders[call as usize].released += 1;
        self.world.changed.notify_all();
    }

    /// All is well from now on, for those who are blocked too.
    pub(crate) fn heal(&self) {
        for orders in &mut self.world.lock().orders {
            orders.standing = Verdict::Ok;
            orders.next.clear();
            orders.released += 1;
        }
        self.world.changed.notify_all();
    }

    /// All sessions of this moment are dead, and say so when asked.
    pub(crate) fn kill_sessions(&self) {
        self.world.lock().seats.iter_mut().for_each(|seat| seat.dead = true);
    }

    /// All sessions of this moment never answer again.
    pub(crate) fn silence_sessions(&self) {
        self.world.lock().seats.iter_mut().for_each(|seat| seat.silent = true);
    }

    /// Connections opened from now on offer no abort handle.
    pub(crate) fn without_abort_handles(&self) {
        self.order(Call::AbortHandle, Verdict::Err(Fault::Statement));
    }

    /// More sessions than this at a time break the rules.
    pub(crate) fn allow(&self, sessions: usize) {
        self.world.lock().allowed = sessions;
    }

    /// Sessions that are there now: opening and closing ones included, aborted ones not.
    pub(crate) fn live(&self) -> usize {
        self.world.lock().live
    }

    pub(crate) fn peak(&self) -> usize {
        self.world.lock().peak
    }

    /// How many such calls began.
    pub(crate) fn count(&self, call: Call) -> usize {
        self.world.lock().orders[call as usize].begun.len()
    }

    /// When they began.
    pub(crate) fn times(&self, call: Call) -> Vec<Instant> {
        self.world.lock().orders[call as usize].begun.clone()
    }

    /// How many such calls run now.
    pub(crate) fn now_in(&self, call: Call) -> usize {
        self.world.lock().orders[call as usize].now
    }

    /// How many such calls ran at the same time at most.
    pub(crate) fn peak_in(&self, call: Call) -> usize {
        self.world.lock().orders[call as usize].peak
    }

    pub(crate) fn forget_peaks(&self) {
        let mut state = self.world.lock();
        state.peak = state.live;
        state.orders.iter_mut().for_each(|orders| orders.peak = orders.now);
    }

    /// How many such calls ran in threads of a workers, and how many elsewhere.
    pub(crate) fn by_thread(&self, call: Call) -> (usize, usize) {
        let state = self.world.lock();
        let orders = &state.orders[call as usize];
        (orders.in_workers, orders.begun.len() - orders.in_workers)
    }

    /// What was done that a server would not stand.
    pub(crate) fn broken_rules(&self) -> Vec<String> {
        self.world.lock().broken_rules.clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.world.lock().over = true;
        self.world.changed.notify_all();
        if !std::thread::panicking() {
            assert_eq!(self.broken_rules(), Vec::<String>::new(), "rules broken at the server");
        }
    }
}

/// What the server knows; connections, abort handles and hooks reach it through this.
#[derive(Default)]
pub(crate) struct World {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    orders: [Orders; Call::Rollback as usize + 1],
    seats: Vec<Seat>,
    live: usize,
    peak: usize,
    /// Zero: any number.
    allowed: usize,
    broken_rules: Vec<String>,
    over: bool,
}

struct Orders {
    standing: Verdict,
    next: VecDeque<Verdict>,
    released: u64,
    begun: Vec<Instant>,
    in_workers: usize,
    now: usize,
    peak: usize,
}

impl Default for Orders {
    fn default() -> Self {
        let (next, begun) = (VecDeque::new(), Vec::new());
        Self { standing: Verdict::Ok, next, released: 0, begun, in_workers: 0, now: 0, peak: 0 }
    }
}

/// One session, as the server sees it.
#[derive(Default)]
struct Seat {
    live: bool,
    aborted: bool,
    cancelled: bool,
    closed: bool,
    dead: bool,
    silent: bool,
    busy: bool,
}

impl World {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poison| poison.into_inner())
    }

    /// A call by a hook or an event handler, on no session.
    pub(crate) fn hook(&self, call: Call) -> Result<(), FakeError> {
        let verdict = self.verdict(call);
        self.obey(call, verdict, None)
    }

    pub(crate) fn verdict(&self, call: Call) -> Verdict {
        let orders = &mut self.lock().orders[call as usize];
        orders.next.pop_front().unwrap_or(orders.standing)
    }

    pub(crate) fn on_session(&self, call: Call, id: usize) -> Result<(), FakeError> {
        let verdict = self.verdict(call);
        self.obey(call, verdict, Some(id))
    }

    pub(crate) fn obey(&self, call: Call, mut verdict: Verdict, session: Option<usize>) -> Result<(), FakeError> {
        let asks_the_server = matches!(call, Call::Check | Call::Reset | Call::Query | Call::Close);
        let mut state = self.lock();
        state.begin(call);
        if let Some(id) = session.filter(|_| asks_the_server) {
            state.claim(call, id);
            let seat = &state.seats[id];
            if seat.dead || seat.aborted {
                verdict = Verdict::Err(Fault::Fatal);
            } else if seat.silent {
                verdict = Verdict::Never;
            }
        }
        let released = state.orders[call as usize].released;
        let until = match verdict {
            Verdict::Slow(span) => Instant::now().checked_add(span),
            _ => None,
        };
        let outcome = loop {
            let ended = session.is_some_and(|id| state.seats[id].aborted || state.seats[id].cancelled);
            match verdict {
                Verdict::Ok | Verdict::Panic => break Ok(()),
                Verdict::Err(fault) => break Err(FakeError { call, fault }),
                _ if state.over || state.orders[call as usize].released != released => break Ok(()),
                Verdict::Slow(_) | Verdict::Never if ended => break Err(FakeError { call, fault: Fault::Fatal }),
                Verdict::Slow(_) if until.is_some_and(|until| until <= Instant::now()) => break Ok(()),
                Verdict::Slow(_) | Verdict::Never | Verdict::Stuck => {}
            }
            state = match until {
                Some(until) => {
                    let left = until.saturating_duration_since(Instant::now());
                    self.changed.wait_timeout(state, left).unwrap_or_else(|poison| poison.into_inner()).0
                }
                None => self.changed.wait(state).unwrap_or_else(|poison| poison.into_inner()),
            };
        };
        state.orders[call as usize].now -= 1;
        if let Some(id) = session.filter(|_| asks_the_server) {
            state.seats[id].busy = false;
        }
        drop(state);
        assert!(verdict != Verdict::Panic || std::thread::panicking(), "{ORDERED}: {call:?}");
        outcome
    }

    pub(crate) fn arrive(&self) -> usize {
        let mut state = self.lock();
        state.seats.push(Seat { live: true, ..Seat::default() });
        state.live += 1;
        state.peak = state.peak.max(state.live);
        if state.allowed > 0 && state.live > state.allowed {
            let text = format!("{} sessions where {} are allowed", state.live, state.allowed);
            state.broken_rules.push(text);
        }
        state.seats.len() - 1
    }

    pub(crate) fn leave(&self, id: usize) {
        let mut state = self.lock();
        let was_live = std::mem::take(&mut state.seats[id].live);
        state.live -= usize::from(was_live);
    }

    /// The server has ended the session in good order.
    pub(crate) fn closed(&self, id: usize) {
        self.lock().seats[id].closed = true;
    }

    /// The statement that runs on this session was cancelled.
    pub(crate) fn cancelled(&self, id: usize) {
        self.lock().seats[id].cancelled = true;
        self.changed.notify_all();
    }

    pub(crate) fn abort(&self, id: usize) {
        self.leave(id);
        self.lock().seats[id].aborted = true;
        self.changed.notify_all();
    }
}

impl State {
    fn begin(&mut self, call: Call) {
        let orders = &mut self.orders[call as usize];
        orders.begun.push(Instant::now());
        orders.in_workers += usize::from(std::thread::current().name() == Some("cabrank"));
        orders.now += 1;
        orders.peak = orders.peak.max(orders.now);
    }

    fn claim(&mut self, call: Call, id: usize) {
        let seat = &mut self.seats[id];
        if std::mem::replace(&mut seat.busy, true) {
            self.broken_rules.push(format!("{call:?} on session {id}, which is busy"));
        } else if seat.closed {
            self.broken_rules.push(format!("{call:?} on session {id}, which is closed"));
        }
    }
}

/// How the panics begin that were ordered; they are not printed.
pub(crate) const ORDERED: &str = "as ordered";
