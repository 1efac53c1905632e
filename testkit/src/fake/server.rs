//! The remote control of the server that is not there. What it tells and asks lies in `world`.

use super::call::{Call, FakeError, Outcome};
use super::manager::{FakeConnection, FakeManager};
use super::world::World;
use crate::recorder::Recorder;
use crate::{leaks, panics};
use cabrank::{Fault, Manager, Pool, SetUp};
use std::sync::Arc;
use std::time::Instant;

/// A database server that is not there, with a remote control. See the [module](super).
///
/// Held by the test. Dropping it releases whatever still blocks, and panics if something was done that a server would not stand: two
/// calls at once on one session, a call on one that is closed, or more sessions than [allowed](Self::allow).
#[derive(Debug)]
pub struct FakeServer {
    world: Arc<World>,
}

impl Default for FakeServer {
    fn default() -> Self {
        Self::new()
    }
}

impl FakeServer {
    /// A server where all is well. From now on ordered panics are [not printed](crate::panics).
    pub fn new() -> Self {
        panics::hush();
        Self { world: Arc::default() }
    }

    /// A manager for a server behind a socket.
    pub fn manager(&self) -> FakeManager {
        FakeManager::new(&self.world)
    }

    /// A manager for an engine in this process.
    pub fn engine(&self) -> FakeManager<false> {
        FakeManager::new(&self.world)
    }

    /// A handle by which hooks and event handlers obey the server, too.
    pub fn orders(&self) -> Orders {
        Orders(Arc::clone(&self.world))
    }

    /// For [`Builder::on_open`](cabrank::Builder::on_open): ends as ordered for [`Call::OnOpen`], and counts how often it ran.
    pub fn set_up(&self) -> impl Fn(&mut FakeConnection, &SetUp<'_>) -> Result<(), FakeError> + Send + Sync + 'static {
        let orders = self.orders();
        move |conn, _| {
            orders.obey(Call::OnOpen)?;
            conn.set_ups += 1;
            Ok(())
        }
    }

    /// A recorder of events that takes as long for each, or panics, as is ordered for [`Call::Event`].
    pub fn recorder(&self) -> Arc<Recorder> {
        let orders = self.orders();
        Arc::new(Recorder::then(move || _ = orders.obey(Call::Event)))
    }

    /// From now on all such calls end like this.
    pub fn order(&self, call: Call, outcome: Outcome) {
        self.world.lock().book(call).standing = outcome;
    }

    /// The next such call that nothing is ordered for ends like this.
    pub fn next(&self, call: Call, outcome: Outcome) {
        self.world.lock().book(call).next.push_back(outcome);
    }

    /// Those who are blocked in such a call now succeed.
    pub fn release(&self, call: Call) {
        self.world.lock().book(call).released += 1;
        self.world.changed.notify_all();
    }

    /// All is well from now on, for those who are blocked too.
    pub fn heal(&self) {
        let mut state = self.world.lock();
        for book in state.books() {
            book.standing = Outcome::Ok;
            book.next.clear();
            book.released += 1;
        }
        state.seats.iter_mut().for_each(|seat| seat.silent = false);
        drop(state);
        self.world.changed.notify_all();
    }

    /// All sessions of this moment are dead, and say so when asked.
    pub fn kill_sessions(&self) {
        self.world.lock().seats.iter_mut().for_each(|seat| seat.dead = true);
    }

    /// All sessions of this moment answer no more, until the server is [healed](Self::heal).
    pub fn silence_sessions(&self) {
        self.world.lock().seats.iter_mut().for_each(|seat| seat.silent = true);
    }

    /// What the manager has to say of the server from now on: [`Manager::remark`].
    pub fn remark(&self, remark: Option<&str>) {
        self.world.lock().remark = remark.map(str::to_owned);
    }

    /// The same of one session, whose number is [`FakeConnection::id`], as if it had a server of its own.
    pub fn remark_on(&self, session: usize, remark: Option<&str>) {
        self.world.lock().seats[session].remark = remark.map(str::to_owned);
    }

    /// Connections opened from now on offer no abort handle.
    pub fn without_abort_handles(&self) {
        self.order(Call::AbortHandle, Outcome::Err(Fault::Statement));
    }

    /// The abort handles cancel, and abort nothing.
    pub fn without_aborts(&self) {
        self.order(Call::CanAbort, Outcome::Err(Fault::Statement));
    }

    /// More sessions than this at a time break the rules.
    pub fn allow(&self, sessions: usize) {
        self.world.lock().allowed = sessions;
    }

    /// Sessions that are there now: opening and closing ones included, aborted ones not.
    pub fn live(&self) -> usize {
        self.world.lock().live
    }

    /// The most that were there at one time.
    pub fn peak(&self) -> usize {
        self.world.lock().peak
    }

    /// How many such calls began.
    pub fn count(&self, call: Call) -> usize {
        self.world.lock().book(call).begun.len()
    }

    /// When they began.
    pub fn times(&self, call: Call) -> Vec<Instant> {
        self.world.lock().book(call).begun.clone()
    }

    /// How many such calls run now.
    pub fn now_in(&self, call: Call) -> usize {
        self.world.lock().book(call).now
    }

    /// How many such calls ran at the same time at most.
    pub fn peak_in(&self, call: Call) -> usize {
        self.world.lock().book(call).peak
    }

    /// Counts peaks anew from now on.
    pub fn forget_peaks(&self) {
        let mut state = self.world.lock();
        state.peak = state.live;
        state.books().for_each(|book| book.peak = book.now);
    }

    /// How many such calls ran in the workers of a pool that has the default name, and how many elsewhere.
    pub fn by_thread(&self, call: Call) -> (usize, usize) {
        let mut state = self.world.lock();
        let book = state.book(call);
        (book.in_workers, book.begun.len() - book.in_workers)
    }

    /// What was done that a server would not stand.
    pub fn broken_rules(&self) -> Vec<String> {
        self.world.lock().broken_rules.clone()
    }

    /// [`assert_no_leaks`](crate::assert_no_leaks), and the server has as many sessions as the pool holds, which all answer.
    ///
    /// # Panics
    ///
    /// If not.
    #[track_caller]
    pub fn assert_no_leaks<M: Manager<Connection = FakeConnection>>(&self, pool: &Pool<M>) {
        leaks::assert_no_leaks_and(pool, |held| {
            held.iter_mut().for_each(|conn| conn.query().expect("a fresh connection works"));
            assert_eq!(self.live(), held.len(), "sessions at the server");
        });
    }

    /// [`assert_closes_clean`](crate::assert_closes_clean), and no session is left at the server.
    ///
    /// # Panics
    ///
    /// If not.
    #[track_caller]
    pub fn assert_closes_clean<M: Manager<Connection = FakeConnection>>(&self, pool: &Pool<M>) {
        leaks::assert_closes_clean(pool);
        assert_eq!(self.live(), 0, "sessions at the server");
    }
}

impl Drop for FakeServer {
    fn drop(&mut self) {
        self.world.lock().over = true;
        self.world.changed.notify_all();
        if !std::thread::panicking() {
            assert_eq!(self.broken_rules(), Vec::<String>::new(), "rules broken at the server");
        }
    }
}

/// The orders of a [`FakeServer`], for hooks and event handlers.
#[derive(Debug, Clone)]
pub struct Orders(Arc<World>);

impl Orders {
    /// Ends as is ordered for such calls.
    ///
    /// # Errors
    ///
    /// As ordered.
    pub fn obey(&self, call: Call) -> Result<(), FakeError> {
        self.0.hook(call)
    }

    /// As [`FakeServer::next`].
    pub fn next(&self, call: Call, outcome: Outcome) {
        self.0.lock().book(call).next.push_back(outcome);
    }

    /// As [`FakeServer::count`].
    pub fn count(&self, call: Call) -> usize {
        self.0.lock().book(call).begun.len()
    }
}
