//! A set of workers: which thread gets a job, and when a thread is started.
//!
//! `life.rs` has a worker's life, `timetable.rs` the alarms, and `accounts.rs` what is kept for each pool.

use crate::contain::contained;
use crate::sync;
use crate::sync::{AtomicBool, Condvar, JoinHandle, Mutex, MutexGuard, Ordering};
use crate::workers::accounts::Account;
use crate::workers::seat::{Order, Seat};
use crate::workers::timetable::{Alarm, Ring, Timer};
use crate::workers::{CURRENT, NONE};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// A set of workers, and one timer. Its threads are started on demand, and end after a while without work.
#[derive(Clone)]
pub(crate) struct WorkerSet(pub(super) Arc<Set>);

/// One job for one pool.
pub(super) struct Task {
    pub(super) pool: usize,
    /// No request waits for it, and it may take long.
    is_background: bool,
    work: Box<dyn FnOnce() + Send>,
}

pub(super) struct Set {
    /// How long a worker rests before it ends.
    pub(super) rest: Duration,
    pub(super) state: Mutex<SetState>,
    /// The timer has something new to look at.
    pub(super) timetable: Condvar,
    /// A call or a thread has ended, and a thread waits for that.
    pub(super) ended: Condvar,
    /// Whether there is work for which no thread could be spawned.
    pub(super) starved: AtomicBool,
    /// For tests: no thread can be started.
    #[cfg(all(test, not(loom)))]
    pub(super) is_full: AtomicBool,
    /// In a model, whose own threads play the workers and the timer: there is something for them to do.
    #[cfg(loom)]
    pub(super) stage: Condvar,
}

#[derive(Default)]
pub(super) struct SetState {
    /// Jobs for which no thread was found yet. Those for which a request may wait come first.
    pub(super) jobs: VecDeque<Task>,
    /// Workers without a job. The last to come to rest is called first.
    pub(super) resting: Vec<Arc<Seat>>,
    pub(super) alarms: BTreeMap<Alarm, (usize, Ring)>,
    pub(super) timer: Timer,
    pub(super) accounts: HashMap<usize, Account>,
    /// How many pools are open. If none is, no thread rests.
    pub(super) open: usize,
    /// All threads, the timer included, by number.
    pub(super) threads: HashMap<u64, Option<JoinHandle<()>>>,
    /// How many of them are in a job.
    pub(super) busy: usize,
    /// Threads that have done their last work since the last pool was closed.
    pub(super) over: Vec<JoinHandle<()>>,
    /// How many threads wait for the end of calls and threads.
    pub(super) joining: usize,
    pub(super) serial: u64,
}

impl WorkerSet {
    /// `rest` is how long a thread stays without work.
    pub(crate) fn new(rest: Duration) -> Self {
        Self(Arc::new(Set {
            rest,
            state: Mutex::new(SetState::default()),
            timetable: Condvar::new(),
            ended: Condvar::new(),
            starved: AtomicBool::new(false),
            #[cfg(all(test, not(loom)))]
            is_full: AtomicBool::new(false),
            #[cfg(loom)]
            stage: Condvar::new(),
        }))
    }
}

impl Task {
    pub(super) fn new(pool: usize, work: impl FnOnce() + Send + 'static) -> Self {
        Self { pool, is_background: false, work: Box::new(work) }
    }

    pub(super) fn in_background(self) -> Self {
        Self { is_background: true, ..self }
    }

    pub(super) fn run(self) {
        // A model's threads share their thread-locals.
        CURRENT.set(if cfg!(loom) { NONE } else { self.pool });
        // A job may drop user values, and their panic must not cost this thread.
        let _ = contained(self.work);
        CURRENT.set(NONE);
    }
}

impl Set {
    /// Gives a job to a thread. If none can be spawned, the job stays queued and is tried again.
    pub(super) fn submit(self: &Arc<Self>, task: Task) {
        let mut state = self.state.lock();
        state.queue(task);
        self.staff(state);
    }

    /// Queues a job for this thread, a worker at the end of its job, which first does what was queued before.
    pub(super) fn postpone(&self, task: Task) {
        self.state.lock().queue(task);
    }

    /// Finds a thread for each queued job: the one that came to rest last, else a new one.
    fn staff<'a>(self: &'a Arc<Self>, mut state: MutexGuard<'a, SetState>) {
        while !state.jobs.is_empty() {
            if let Some(seat) = state.resting.pop() {
                let task = state.next_job().expect("there is one");
                drop(state);
                seat.call(Order::Work(task));
                state = self.state.lock();
            } else {
                state = match self.spawn_worker(state) {
                    Ok(state) => state,
                    Err(state) if state.resting.is_empty() => return self.starve(state),
                    Err(state) => state,
                };
            }
        }
        if self.is_starved() {
            self.relieve(state);
        }
    }

    /// Starts a thread for the first queued job.
    fn spawn_worker<'a>(
        self: &'a Arc<Self>,
        mut state: MutexGuard<'a, SetState>,
    ) -> Result<MutexGuard<'a, SetState>, MutexGuard<'a, SetState>> {
        if cfg!(loom) {
            return Err(state); // The model's own threads take the jobs.
        }
        let (number, task) = (state.new_thread(), state.next_job().expect("there is one"));
        drop(state);
        let pool = task.pool;
        let seat = Arc::new(Seat::new(number, Some(Order::Work(task))));
        let (set, its_seat) = (Arc::clone(self), Arc::clone(&seat));
        if self.spawn("cabrank-worker", number, move || set.work(&its_seat)) {
            return Ok(self.state.lock());
        }
        state = self.state.lock();
        state.job_ended(pool);
        if let Some(Order::Work(task)) = seat.recall() {
            state.queue_first(task);
        }
        Err(state)
    }

    /// Starts a thread, outside the lock, because that takes a while. Returns whether it succeeded.
    pub(super) fn spawn(&self, name: &str, number: u64, life: impl FnOnce() + Send + 'static) -> bool {
        #[cfg(all(test, not(loom)))]
        let life = (!self.is_full.load(Ordering::SeqCst)).then_some(life);
        #[cfg(not(all(test, not(loom))))]
        let life = Some(life);
        let spawned = life.and_then(|life| sync::spawn(name, life).ok());
        let is_spawned = spawned.is_some();
        let mut state = self.state.lock();
        match (spawned, state.threads.get_mut(&number)) {
            (Some(handle), Some(place)) => *place = Some(handle),
            (Some(handle), None) => state.keep_for_joining(handle), // It has ended already.
            (None, _) => drop(state.threads.remove(&number)),
        }
        is_spawned
    }

    /// Whether there is work for which no thread could be spawned.
    pub(super) fn is_starved(&self) -> bool {
        self.starved.load(Ordering::Acquire)
    }

    /// Tries again to find threads.
    #[cold]
    pub(super) fn retry(self: &Arc<Self>) {
        self.staff(self.state.lock());
    }

    /// Has the timer try again. As long as there is no timer either, the waiting threads try.
    #[cfg(not(loom))]
    #[cold]
    fn starve(self: &Arc<Self>, state: MutexGuard<'_, SetState>) {
        if !self.starved.swap(true, Ordering::AcqRel) || state.timer == Timer::Absent {
            self.rouse_timer(state, sync::now());
        }
    }

    /// In a model no thread is ever spawned, and none is missed.
    #[cfg(loom)]
    fn starve(self: &Arc<Self>, _: MutexGuard<'_, SetState>) {
        self.stage.notify_all();
    }

    #[cold]
    pub(super) fn relieve(self: &Arc<Self>, state: MutexGuard<'_, SetState>) {
        self.starved.store(false, Ordering::Release);
        if state.timer == Timer::Absent && !state.alarms.is_empty() {
            self.rouse_timer(state, sync::now());
        }
    }
}

impl SetState {
    fn queue(&mut self, task: Task) {
        let end = if task.is_background { self.jobs.len() } else { self.first_in_background() };
        self.jobs.insert(end, task);
    }

    /// Queues a job again that was the first of its kind.
    fn queue_first(&mut self, task: Task) {
        let place = if task.is_background { self.first_in_background() } else { 0 };
        self.jobs.insert(place, task);
    }

    fn first_in_background(&self) -> usize {
        self.jobs.partition_point(|task| !task.is_background)
    }

    /// Takes the first queued job, which is under way from now on.
    pub(super) fn next_job(&mut self) -> Option<Task> {
        let task = self.jobs.pop_front()?;
        self.busy += 1;
        if let Some(account) = self.accounts.get_mut(&task.pool) {
            account.running += 1;
        }
        Some(task)
    }

    pub(super) fn job_ended(&mut self, pool: usize) {
        self.busy -= 1;
        if let Some(account) = self.accounts.get_mut(&pool) {
            account.running -= 1;
        }
    }

    pub(super) fn new_thread(&mut self) -> u64 {
        self.serial += 1;
        self.threads.insert(self.serial, None);
        self.serial
    }

    /// While a pool is open nothing waits for threads: this one is left to the operating system.
    pub(super) fn keep_for_joining(&mut self, handle: JoinHandle<()>) {
        if self.open == 0 {
            self.over.retain(|over| !over.is_finished());
            self.over.push(handle);
        }
    }
}
