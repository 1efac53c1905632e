//! The workers' threads and the timer.

use super::{EACH, config, play, pool_on, spawn, start};
use crate::config::Config;
use crate::sync;
use crate::workers::{WorkerSet, Workers};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

/// Loans end and begin, each ordering an alarm, while an earlier alarm rings: afterwards there is an alarm no later than the earliest
/// ordered.
#[test]
fn alarms_ordered_while_an_earlier_one_rings() {
    play(|| {
        let config = Config { idle_timeout: Duration::from_secs(60), ..config() };
        let pool = pool_on(&WorkerSet::new(Duration::MAX), config, 1);
        let timer = spawn(&pool, |pool| pool.workers.ring_now().map(|alarm| alarm.play()));
        let orders: Vec<_> = (1..2 * EACH as u64)
            .map(|number| {
                spawn(&pool, move |pool| {
                    let at = sync::now() + Duration::from_secs(20 * number);
                    pool.with(sync::now(), |state, actions| state.want_alarm(at, actions));
                })
            })
            .collect();
        let at = sync::now() + Duration::from_secs(10);
        pool.with(sync::now(), |state, actions| state.want_alarm(at, actions));
        orders.into_iter().for_each(|order| order.join().unwrap());
        timer.join().unwrap();
        if let Some(wanted) = pool.with(sync::now(), |state, _| state.alarm()) {
            assert!(pool.workers.next_alarm().is_some_and(|alarm| alarm <= wanted), "the alarm is lost");
        }
        pool.close();
        while let Some(job) = pool.workers.take() {
            job.play();
        }
    });
}

/// A job is submitted while a worker begins to rest, and another while it retires: each runs once, on it or on another worker.
#[test]
fn submit_against_retire() {
    play(|| {
        static DONE: AtomicUsize = AtomicUsize::new(0);
        DONE.store(0, SeqCst);
        let work = |_: ()| {
            DONE.fetch_add(1, SeqCst);
        };
        // A rest takes no time.
        let workers = Arc::new(Workers::new(&WorkerSet::new(Duration::ZERO), work));
        let threads: Vec<_> = (0..2 * EACH - 1)
            .map(|_| {
                let workers = Arc::clone(&workers);
                start(move || workers.play_worker())
            })
            .collect();
        let submitters: Vec<_> = (0..EACH)
            .map(|_| {
                let workers = Arc::clone(&workers);
                start(move || workers.submit(()))
            })
            .collect();
        (0..EACH).for_each(|_| workers.submit(()));
        submitters.into_iter().for_each(|submitter| submitter.join().unwrap());
        workers.wind_down();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        // A model cannot spawn worker threads: the remaining ones run the jobs that got none.
        while let Some(job) = workers.take() {
            job.play();
        }
        assert_eq!(DONE.load(SeqCst), 2 * EACH, "a job is lost");
    });
}
