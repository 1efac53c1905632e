//! The remote control of the fake server. Its records and orders are in `world`.

use super::call::{Call, FakeError, Outcome};
use super::manager::{FakeConnection, FakeManager};
use super::world::World;
use crate::recorder::Recorder;
use crate::{leaks, panics};
use cabrank::{Fault, Manager, Pool, SetUp};
use std::sync::Arc;
use std::time::Instant;

/// A fake database server with its remote control. See the [module](super).
///
/// The test keeps it. Dropping it releases all blocked calls, and panics if a rule was broken that a real server enforces: two calls at
/// once on one session, a call on a closed session, or more sessions than [allowed](Self::allow).
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
    /// A healthy server. From now on ordered panics are [not printed](crate::panics).
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

    /// A handle through which hooks and event handlers obey the orders, too.
    pub fn orders(&self) -> Orders {
        Orders(Arc::clone(&self.world))
    }

    /// For [`Builder::on_open`](cabrank::Builder::on_open): ends as ordered for [`Call::OnOpen`], and counts its runs.
    pub fn set_up(&self) -> impl Fn(&mut FakeConnection, &SetUp<'_>) -> Result<(), FakeError> + Send + Sync + 'static {
        let orders = self.orders();
        move |conn, _| {
            orders.obey(Call::OnOpen)?;
            conn.set_ups += 1;
            Ok(())
        }
    }

    /// A recorder of events. For each event it takes as long as ordered for [`Call::Event`], or panics.
    pub fn recorder(&self) -> Arc<Recorder> {
        let orders = self.orders();
        Arc::new(Recorder::then(move || _ = orders.obey(Call::Event)))
    }

    /// From now on all such calls end like this.
    pub fn order(&self, call: Call, outcome: Outcome) {
        self.world.lock().book(call).standing = outcome;
    }

    /// The next such call without an order ends like this.
    pub fn next(&self, call: Call, outcome: Outcome) {
        self.world.lock().book(call).next.push_back(outcome);
    }

    /// The calls of this kind that are blocked now succeed.
    pub fn release(&self, call: Call) {
        self.world.lock().book(call).released += 1;
        self.world.changed.notify_all();
    }

    /// From now on all is well, also for calls that are blocked.
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

    /// All present sessions die; their next call fails.
    pub fn kill_sessions(&self) {
        self.world.lock().seats.iter_mut().for_each(|seat| seat.dead = true);
    }

    /// All present sessions stop answering, until the server is [healed](Self::heal).
    pub fn silence_sessions(&self) {
        self.world.lock().seats.iter_mut().for_each(|seat| seat.silent = true);
    }

    /// Sets the manager's remark on the server: [`Manager::remark`].
    pub fn remark(&self, remark: Option<&str>) {
        self.world.lock().remark = remark.map(str::to_owned);
    }

    /// The same for one session, given by its [`FakeConnection::id`], as if it had its own server.
    pub fn remark_on(&self, session: usize, remark: Option<&str>) {
        self.world.lock().seats[session].remark = remark.map(str::to_owned);
    }

    /// Connections opened from now on offer no abort handle.
    pub fn without_abort_handles(&self) {
        self.order(Call::AbortHandle, Outcome::Err(Fault::Statement));
    }

    /// From now on the abort handles cancel, but abort nothing.
    pub fn without_aborts(&self) {
        self.order(Call::CanAbort, Outcome::Err(Fault::Statement));
    }

    /// More simultaneous sessions than this break a rule.
    pub fn allow(&self, sessions: usize) {
        self.world.lock().allowed = sessions;
    }

    /// The present sessions, including those being opened or closed, without aborted ones.
    pub fn live(&self) -> usize {
        self.world.lock().live
    }

    /// The most sessions so far at one time.
    pub fn peak(&self) -> usize {
        self.world.lock().peak
    }

    /// The number of such calls so far.
    pub fn count(&self, call: Call) -> usize {
        self.world.lock().book(call).begun.len()
    }

    /// The times at which such calls began.
    pub fn times(&self, call: Call) -> Vec<Instant> {
        self.world.lock().book(call).begun.clone()
    }

    /// The number of such calls under way.
    pub fn now_in(&self, call: Call) -> usize {
        self.world.lock().book(call).now
    }

    /// The most such calls under way at one time.
    pub fn peak_in(&self, call: Call) -> usize {
        self.world.lock().book(call).peak
    }

    /// Starts to count peaks anew.
    pub fn forget_peaks(&self) {
        let mut state = self.world.lock();
        state.peak = state.live;
        state.books().for_each(|book| book.peak = book.now);
    }

    /// The number of such calls in the workers of a pool with the default name, and elsewhere.
    pub fn by_thread(&self, call: Call) -> (usize, usize) {
        let mut state = self.world.lock();
        let book = state.book(call);
        (book.in_workers, book.begun.len() - book.in_workers)
    }

    /// The rules of a real server that were broken.
    pub fn broken_rules(&self) -> Vec<String> {
        self.world.lock().broken_rules.clone()
    }

    /// [`assert_no_leaks`](crate::assert_no_leaks); also asserts that the server has as many sessions as the pool holds, and that all
    /// answer.
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

    /// [`assert_closes_clean`](crate::assert_closes_clean); also asserts that no session is left at the server.
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
    /// Ends as ordered for such calls.
    ///
    /// # Errors
    ///
    /// As ordered.
    pub fn obey(&self, call: Call) -> Result<(), FakeError> {
        self.0.hook(call)
    }

    /// Like [`FakeServer::next`].
    pub fn next(&self, call: Call, outcome: Outcome) {
        self.0.lock().book(call).next.push_back(outcome);
    }

    /// Like [`FakeServer::count`].
    pub fn count(&self, call: Call) -> usize {
        self.0.lock().book(call).begun.len()
    }
}
