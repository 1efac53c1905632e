//! Threads that borrow, query and return repeatedly, and record the failures and the times of success.

use crate::subject::{Conn, Error, Remote, SubjectPool};
use cabrank_testing::eventually;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Continues until it is stopped or dropped.
pub(crate) struct Load {
    task: Arc<Task>,
    threads: Vec<JoinHandle<()>>,
}

/// The records of the threads.
#[derive(Debug, Default)]
pub(crate) struct Record {
    /// The errors of `get`.
    pub(crate) failed_gets: Vec<String>,
    /// The errors of queries on lent connections.
    pub(crate) failed_queries: Vec<String>,
    /// The longest duration of a `get`, whatever its outcome.
    pub(crate) longest_get: Duration,
    successes: Vec<Instant>,
}

#[derive(Default)]
struct Task {
    stop: AtomicBool,
    record: Mutex<Record>,
}

impl Load {
    /// Starts this many threads; each `get` uses the pool's time-out.
    pub(crate) fn on<S: Remote>(pool: &SubjectPool<S>, threads: usize) -> Self {
        let limit = pool.config().acquire_timeout;
        Self::with_limit::<S>(pool, threads, limit)
    }

    /// The same, with this time-out for each `get`.
    pub(crate) fn with_limit<S: Remote>(pool: &SubjectPool<S>, threads: usize, limit: Duration) -> Self {
        Self::asking::<S>("SELECT 7", pool, threads, limit)
    }

    /// The same, with a query whose answer is seven.
    pub(crate) fn asking<S: Remote>(sql: &'static str, pool: &SubjectPool<S>, threads: usize, limit: Duration) -> Self {
        let ask = move |conn: &mut Conn<S>| S::number(conn, sql).map(|number| assert_eq!(number, 7));
        Self::doing::<S>(ask, pool, threads, limit)
    }

    /// The same, with other work.
    pub(crate) fn doing<S: Remote>(
        work: impl Fn(&mut Conn<S>) -> Result<(), Error<S>> + Clone + Send + 'static,
        pool: &SubjectPool<S>,
        threads: usize,
        limit: Duration,
    ) -> Self {
        let task = Arc::<Task>::default();
        let threads = (0..threads).map(|_| {
            let (task, pool, work) = (task.clone(), pool.clone(), work.clone());
            thread::spawn(move || task.go_round::<S>(&pool, limit, work))
        });
        Self { threads: threads.collect(), task }
    }

    /// Waits until all threads are running.
    pub(crate) fn warm_up(&self) {
        self.go_on_from(Instant::now());
    }

    /// Waits until a hundred queries have succeeded after this moment.
    pub(crate) fn go_on_from(&self, moment: Instant) {
        eventually("a hundred queries succeeded", || {
            self.record().successes.iter().rev().take_while(|&&success| success > moment).count() >= 100
        });
    }

    /// The records so far.
    pub(crate) fn record(&self) -> MutexGuard<'_, Record> {
        self.task.lock()
    }

    /// Stops it once each thread has finished its round.
    pub(crate) fn stop(mut self) -> Record {
        self.task.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().expect("a thread that only writes down what it meets");
        }
        std::mem::take(&mut *self.task.lock())
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.task.stop.store(true, Ordering::Relaxed);
    }
}

impl Record {
    /// Asserts that no `get` failed, and at most this many queries.
    pub(crate) fn is_within(&self, failed_queries: usize) {
        let Self { failed_gets: gets, failed_queries: queries, .. } = self;
        assert!(gets.is_empty(), "{} gets failed, the first so: {}", gets.len(), gets[0]);
        assert!(queries.len() <= failed_queries, "{} queries failed, the first so: {}", queries.len(), queries[0]);
    }

    /// How long after this moment the first query succeeded.
    pub(crate) fn first_success_after(&self, moment: Instant) -> Duration {
        let first = self.successes.iter().filter(|&&success| success >= moment).min();
        *first.expect("a later query that succeeded") - moment
    }

    /// The longest time without a successful query, between this moment and the last success.
    pub(crate) fn longest_gap_after(&self, moment: Instant) -> Duration {
        let mut successes: Vec<Instant> = self.successes.iter().copied().filter(|&success| success > moment).collect();
        successes.push(moment);
        successes.sort_unstable();
        successes.windows(2).map(|pair| pair[1] - pair[0]).max().expect("a later query that succeeded")
    }
}

impl Task {
    fn go_round<S: Remote>(
        &self,
        pool: &SubjectPool<S>,
        limit: Duration,
        work: impl Fn(&mut Conn<S>) -> Result<(), Error<S>>,
    ) {
        while !self.stop.load(Ordering::Relaxed) {
            let begun = Instant::now();
            let got = pool.get_timeout(limit);
            let (waited, outcome) = (begun.elapsed(), got.map(|mut conn| work(&mut conn)));
            let ended = Instant::now();
            let mut record = self.lock();
            record.longest_get = record.longest_get.max(waited);
            match outcome {
                Ok(Ok(())) => record.successes.push(ended),
                Ok(Err(error)) => record.failed_queries.push(error.to_string()),
                Err(error) => {
                    record.failed_gets.push(format!("{error:?}"));
                    drop(record);
                    // Like a user who tries again.
                    thread::sleep(Duration::from_millis(10));
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
