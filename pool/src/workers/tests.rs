//! The set by itself: jobs, rest, alarms, the lane, threads that cannot be had, and the end.

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

/// How many workers a set has, its timer not counted.
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

/// Jobs that are in the way until they are released.
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

/// Does a job, and says which thread did it.
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
    assert_eq!(set.0.state.lock().busy, 0, "none was in the way");
}

#[test]
fn pools_without_work_have_no_thread_but_the_timer() {
    let set = set(Duration::from_millis(20));
    let pools: Vec<_> = (0..100).map(|_| pool(&set)).collect();
    for pool in &pools {
        thread_of_a_job(pool);
        pool.schedule_maintenance(sync::now() + LONG, || ());
    }
    assert!(workers(&set) <= 3, "each took the thread of the last: {}", workers(&set));
    eventually("they have ended", || workers(&set) == 0);
    assert_eq!(set.0.state.lock().threads.len(), 1, "the timer stays");
}

#[test]
fn alarms_ring_in_order_and_not_before_their_time() {
    let set = set(LONG);
    let pool = pool(&set);
    let (done, is_done) = channel();
    let start = sync::now();
    for ms in [30, 10, 20] {
        let done = done.clone();
        pool.at(start + Duration::from_millis(ms), move || done.send((ms, start.elapsed())).unwrap());
    }
    for expected in [10, 20, 30] {
        let (ms, elapsed) = is_done.recv().unwrap();
        assert_eq!(ms, expected);
        assert!(elapsed >= Duration::from_millis(ms));
    }
}

#[test]
fn an_alarm_rings_in_the_timer_while_every_worker_of_ten_pools_hangs_and_none_can_be_had() {
    let set = set(LONG);
    let pools: Vec<_> = (0..10).map(|_| pool(&set)).collect();
    pools[0].at(sync::now(), || ());
    let _blocks: Vec<_> = pools.iter().map(|pool| block(pool, 4)).collect();
    set.0.is_full.store(true, SeqCst);
    pools[0].submit(Box::new(|| ()));
    for pool in &pools {
        let (done, is_done) = channel();
        pool.at(sync::now() + Duration::from_millis(5), move || done.send(is_timer()).unwrap());
        assert!(is_done.recv().unwrap());
    }
}

#[test]
fn a_cancelled_alarm_never_rings_and_an_alarm_that_panics_harms_no_other() {
    let set = set(LONG);
    let pool = pool(&set);
    let (done, is_done) = channel::<u8>();
    let cancelled = done.clone();
    let soon = sync::now() + Duration::from_millis(20);
    let alarm = pool.at(soon, move || cancelled.send(1).unwrap());
    pool.cancel_alarm(alarm);
    pool.at(soon, || std::panic::panic_any("ordered"));
    pool.at(soon + Duration::from_millis(20), move || done.send(2).unwrap());
    assert_eq!(is_done.iter().collect::<Vec<_>>(), [2]);
}

#[test]
fn the_timer_is_not_woken_for_alarms_that_come_later_than_it_sleeps() {
    let set = set(LONG);
    let pool = pool(&set);
    let first = pool.at(sync::now() + LONG, || ());
    let asleep = || set.0.state.lock().timer;
    eventually("it sleeps", || asleep() == Timer::Asleep(Some(first.0)));
    pool.cancel_alarm(first);
    for _ in 0..100 {
        let later = pool.at(sync::now() + LONG, || ());
        assert_eq!(asleep(), Timer::Asleep(Some(first.0)), "it would be woken for each call");
        pool.cancel_alarm(later);
    }
}

#[test]
fn there_is_one_maintenance_alarm_for_each_pool_the_earliest() {
    let set = set(LONG);
    let (pool, other) = (pool(&set), pool(&set));
    let (done, is_done) = channel();
    let start = sync::now();
    other.schedule_maintenance(start + LONG, || ());
    for ms in [300_000, 20, 200_000, 10, 100_000] {
        let done = done.clone();
        pool.schedule_maintenance(start + Duration::from_millis(ms), move || done.send(ms).unwrap());
        assert!(set.0.state.lock().alarms.len() <= 2);
    }
    assert_eq!(is_done.recv().unwrap(), 10);
    drop(done);
    assert!(is_done.recv().is_err(), "the others were cancelled");
    pool.wind_down();
    pool.schedule_maintenance(start, || panic!("refused by a closed pool"));
    assert_eq!(set.0.state.lock().alarms.len(), 1, "the other pool's");
}

#[test]
fn background_work_of_a_pool_uses_eight_threads_and_holds_up_nobody() {
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
    pool.submit_background(jobs.collect());
    (0..8).for_each(|_| started.recv().unwrap());
    thread_of_a_job(&pool);
    other.submit_background(vec![Box::new(|| ())]);
    drop(release);
    (8..500).for_each(|_| started.recv().unwrap());
    eventually("all is done", || all_rest(&set));
    assert!(workers(&set) <= 10, "{}", workers(&set));
}

#[test]
fn background_work_can_be_pulled_out_until_it_begins() {
    let set = set(LONG);
    let pool: Workers<u32> = Workers::new(&set, |number| assert!(number < 10, "it was pulled out"));
    set.0.is_full.store(true, SeqCst);
    pool.submit_background((0..20).collect());
    pool.change_background(|number| *number += 1);
    let pulled: Vec<_> = std::iter::from_fn(|| pool.pull_background(|&number| number >= 10)).collect();
    assert_eq!(pulled, (10..=20).collect::<Vec<_>>());
    set.0.is_full.store(false, SeqCst);
    pool.wind_down();
    assert_eq!(pool.join(None), 0);
    assert_eq!(pool.pull_background(|_| true), None, "the rest was done");
}

#[test]
fn work_without_a_thread_is_tried_again_by_the_timer() {
    let set = set(LONG);
    let pool = pool(&set);
    pool.at(sync::now(), || ());
    set.0.is_full.store(true, SeqCst);
    let (done, is_done) = channel();
    for n in 0..3 {
        let done = done.clone();
        pool.submit(Box::new(move || done.send(n).unwrap()));
    }
    drop(pool);
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!((workers(&set), is_done.try_recv().is_ok()), (0, false));
    set.0.is_full.store(false, SeqCst);
    let mut all: Vec<i32> = (0..3).map(|_| is_done.recv_timeout(Duration::from_secs(2)).unwrap()).collect();
    all.sort_unstable();
    assert_eq!(all, [0, 1, 2]);
    eventually("no thread is left", || set.0.state.lock().threads.is_empty());
}

#[test]
fn where_there_is_no_timer_either_those_who_wait_try_again() {
    let set = set(LONG);
    let pool = Arc::new(pool(&set));
    set.0.is_full.store(true, SeqCst);
    let waiter = Waiter::new();
    let wake = crate::waiter::Wake::Thread(Arc::clone(&waiter));
    let done = Arc::new(sync::AtomicBool::new(false));
    let is_done = Arc::clone(&done);
    pool.submit(Box::new(move || {
        is_done.store(true, SeqCst);
        wake.wake();
    }));
    assert!(!pool.park(&waiter, Some(sync::now() + Duration::from_millis(30))), "in vain, but in time");
    let its_set = set.clone();
    let relief = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(200));
        its_set.0.is_full.store(false, SeqCst);
    });
    assert!(pool.park(&waiter, Some(sync::now() + Duration::from_secs(10))));
    assert!(done.load(SeqCst));
    relief.join().unwrap();
}

#[test]
fn joining_finishes_what_is_queued_and_leaves_no_thread_after_the_last_pool() {
    let set = set(LONG);
    let (pool, other) = (pool(&set), pool(&set));
    let (done, is_done) = channel();
    for pool in [&pool, &other] {
        for _ in 0..50 {
            let done = done.clone();
            pool.submit(Box::new(move || done.send(()).unwrap()));
        }
        pool.schedule_maintenance(sync::now() + LONG, || ());
        pool.wind_down();
        assert_eq!(pool.join(None), 0);
    }
    drop(done);
    assert_eq!(is_done.iter().count(), 100);
    assert!(set.0.state.lock().threads.is_empty());
}

#[test]
fn a_thread_that_hangs_in_a_call_is_waited_for_until_the_deadline_and_reported() {
    let set = set(LONG);
    let (pool, other) = (pool(&set), pool(&set));
    let (mut block, _others) = (block(&pool, 1), block(&other, 3));
    pool.wind_down();
    let deadline = sync::now() + Duration::from_millis(50);
    assert_eq!(pool.join(Some(deadline)), 1, "those of the other pool are not its own");
    assert!(sync::now() >= deadline, "it was waited for");
    block.release.clear();
    assert_eq!(pool.join(None), 0);
}

#[test]
fn the_end_of_the_last_pool_waits_for_no_call_and_no_alarm_of_another() {
    let set = set(LONG);
    let (hung, last) = (pool(&set), pool(&set));
    let _block = block(&hung, 2);
    let limit = hung.at(sync::now() + LONG, || ());
    thread_of_a_job(&last);
    hung.wind_down();
    last.wind_down();
    assert_eq!(last.join(Some(sync::now() + Duration::from_secs(10))), 0);
    assert_eq!(set.0.state.lock().threads.len(), 3, "those that hang, and the timer");
    hung.cancel_alarm(limit);
    eventually("the timer has ended", || set.0.state.lock().threads.len() == 2);
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
