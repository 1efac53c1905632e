//! The set alone. This file covers jobs, rest and the lane; `accounts` what a closing pool waits for; `alarms` the timer; `ends` a set
//! that can create no threads, and the end of pools; `places` the places in the lane; `rest` what ends a rest.

mod accounts;
mod alarms;
mod ends;
mod places;
mod pretend;
mod rest;

use super::*;
use crate::sync;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::ThreadId;
use std::time::Duration;

type Job = Box<dyn FnOnce() + Send>;

fn set(rest: Duration) -> WorkerSet {
    WorkerSet::new(rest)
}

fn pool(set: &WorkerSet) -> Workers<Job> {
    Workers::new(set, |job| job())
}

/// The number of workers of the set, without its timer.
fn workers(set: &WorkerSet) -> usize {
    let state = set.0.state.lock();
    state.threads.len() - usize::from(state.timer != Timer::Absent)
}

fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let until = sync::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(sync::now() < until, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Jobs that occupy their threads until released.
struct Block {
    started: Receiver<()>,
    release: Vec<Sender<()>>,
}

fn block(pool: &Workers<Job>, count: usize) -> Block {
    let (start, started) = channel();
    let release = (0..count).map(|_| {
        let (start, (release, released)) = (start.clone(), channel::<()>());
        pool.submit(Box::new(move || {
            start.send(()).unwrap();
            let _ = released.recv();
        }));
        release
    });
    let block = Block { release: release.collect(), started };
    (0..count).for_each(|_| block.started.recv().unwrap());
    block
}

/// Runs a job, and returns the id of the thread that ran it.
fn thread_of_a_job(pool: &Workers<Job>) -> ThreadId {
    let (tell, told) = channel();
    pool.submit(Box::new(move || tell.send(std::thread::current().id()).unwrap()));
    told.recv().unwrap()
}

fn all_rest(set: &WorkerSet) -> bool {
    let state = set.0.state.lock();
    state.busy == 0 && state.threads.len() == state.resting.len() + usize::from(state.timer != Timer::Absent)
}

#[test]
fn each_job_has_a_thread_at_once_however_many_hang() {
    let set = set(LONG);
    let pool = pool(&set);
    let _block = block(&pool, 40);
    thread_of_a_job(&pool);
    assert_eq!(workers(&set), 41);
}

#[test]
fn a_job_goes_to_the_thread_that_came_to_rest_last() {
    let set = set(LONG);
    let pool = pool(&set);
    let mut block = block(&pool, 3);
    while let Some(release) = block.release.pop() {
        let rests = set.0.state.lock().resting.len();
        drop(release);
        eventually("it rests", || set.0.state.lock().resting.len() == rests + 1);
    }
    let last = thread_of_a_job(&pool);
    for _ in 0..20 {
        eventually("it rests again", || all_rest(&set));
        assert_eq!(thread_of_a_job(&pool), last);
    }
    assert_eq!(workers(&set), 3);
}

#[test]
fn after_a_burst_under_a_light_load_one_thread_is_left() {
    let set = set(Duration::from_millis(100));
    let pool = pool(&set);
    drop(block(&pool, 50));
    eventually("those that are not needed have ended", || {
        thread_of_a_job(&pool);
        workers(&set) <= 1
    });
    eventually("none is in the way", || all_rest(&set));
}

#[test]
fn pools_without_work_have_no_thread_but_the_timer() {
    let set = set(Duration::from_millis(20));
    let pools: Vec<_> = (0..100).map(|_| pool(&set)).collect();
    for pool in &pools {
        thread_of_a_job(pool);
        pool.schedule_maintenance(sync::now() + LONG, || ());
        eventually("it rests, or has ended", || all_rest(&set));
        assert!(workers(&set) <= 1, "each took the thread of the last: {}", workers(&set));
    }
    eventually("they have ended", || workers(&set) == 0);
    assert_eq!(set.0.state.lock().threads.len(), 1, "the timer stays");
}

#[test]
fn background_work_of_a_pool_uses_four_threads_and_holds_up_nobody() {
    let set = set(LONG);
    let (pool, other) = (pool(&set), pool(&set));
    let (start, started) = channel();
    let (release, released) = channel::<()>();
    let released = Arc::new(std::sync::Mutex::new(released));
    let jobs = (0..500).map(|_| {
        let (start, released) = (start.clone(), Arc::clone(&released));
        Box::new(move || {
            start.send(()).unwrap();
            let _ = released.lock().unwrap().recv();
        }) as Job
    });
    pool.submit_background(jobs.enumerate().collect());
    (0..4).for_each(|_| started.recv().unwrap());
    thread_of_a_job(&pool);
    other.submit_background(vec![(0, Box::new(|| ()))]);
    drop(release);
    (4..500).for_each(|_| started.recv().unwrap());
    eventually("all is done", || all_rest(&set));
    assert!(workers(&set) <= 6, "{}", workers(&set));
}

#[test]
fn background_work_can_be_pulled_out_until_it_begins() {
    let set = set(LONG);
    let pool: Workers<u32> = Workers::new(&set, |number| assert!(number < 10, "it was pulled out"));
    set.0.is_full.store(true, SeqCst);
    pool.submit_background((0..20).map(|number| (0, number)).collect());
    pool.change_background(|number| *number += 1);
    let pulled: Vec<_> = std::iter::from_fn(|| pool.pull_background(|&number| number >= 10)).collect();
    assert_eq!(pulled, (10..=20).collect::<Vec<_>>());
    set.0.is_full.store(false, SeqCst);
    pool.wind_down();
    assert_eq!(pool.join(None), 0);
    assert_eq!(pool.pull_background(|_| true), None, "the rest was done");
}

#[test]
fn a_thread_works_for_the_pool_of_its_job_alone() {
    let set = set(LONG);
    let (pool, other) = (Arc::new(pool(&set)), Arc::new(pool(&set)));
    let (tell, told) = channel();
    let (its_own, its_other) = (Arc::clone(&pool), Arc::clone(&other));
    pool.submit(Box::new(move || tell.send((its_own.is_current(), its_other.is_current())).unwrap()));
    assert_eq!(told.recv().unwrap(), (true, false));
    assert!(!pool.is_current());
}

const LONG: Duration = Duration::from_secs(60);
