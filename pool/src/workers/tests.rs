//! The workers by themselves: jobs, alarms, threads that hang, and the end.

use super::*;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

type Job = Box<dyn FnOnce() + Send>;

fn workers(most: usize) -> Workers<Job> {
    Workers::new("test", most, |job| job())
}

fn blocked_job(started: Sender<()>, release: Receiver<()>) -> Job {
    Box::new(move || {
        started.send(()).unwrap();
        let _ = release.recv();
    })
}

#[test]
fn every_job_runs_though_all_threads_but_one_hang() {
    let workers = workers(3);
    let (started, is_started) = channel();
    let (_hold_a, a) = channel();
    let (_hold_b, b) = channel();
    workers.submit(blocked_job(started.clone(), a));
    workers.submit(blocked_job(started, b));
    is_started.recv().unwrap();
    is_started.recv().unwrap();
    let (done, is_done) = channel();
    for n in 0..100 {
        let done = done.clone();
        workers.submit(Box::new(move || done.send(n).unwrap()));
    }
    assert_eq!((0..100).map(|_| is_done.recv().unwrap()).sum::<i32>(), 4950);
    assert_eq!(workers.threads(), 3);
}

#[test]
fn alarms_ring_in_order_and_not_before_their_time() {
    // One thread: two would run two alarms side by side, in either order.
    let workers = workers(1);
    let (done, is_done) = channel();
    let start = sync::now();
    for ms in [30, 10, 20] {
        let done = done.clone();
        workers.at(start + Duration::from_millis(ms), Box::new(move || done.send((ms, start.elapsed())).unwrap()));
    }
    for expected in [10, 20, 30] {
        let (ms, elapsed) = is_done.recv().unwrap();
        assert_eq!(ms, expected);
        assert!(elapsed >= Duration::from_millis(ms));
    }
}

#[test]
fn an_alarm_rings_while_a_job_hangs() {
    let workers = workers(2);
    let (started, is_started) = channel();
    let (_hold, release) = channel();
    workers.submit(blocked_job(started, release));
    is_started.recv().unwrap();
    let (done, is_done) = channel();
    workers.at(sync::now() + Duration::from_millis(5), Box::new(move || done.send(()).unwrap()));
    is_done.recv().unwrap();
}

#[test]
fn a_cancelled_alarm_never_rings() {
    let workers = workers(2);
    let (done, is_done) = channel::<u8>();
    let cancelled = done.clone();
    let alarm = workers.at(sync::now() + Duration::from_millis(20), Box::new(move || cancelled.send(1).unwrap()));
    workers.cancel_alarm(alarm);
    workers.at(sync::now() + Duration::from_millis(40), Box::new(move || done.send(2).unwrap()));
    assert_eq!(is_done.iter().collect::<Vec<_>>(), [2]);
}

#[test]
fn a_thread_written_off_is_replaced_and_leaves_when_it_comes_back() {
    let workers = Arc::new(workers(1));
    let (worker_id, its_id) = channel();
    let (release, released) = channel::<()>();
    let current = Arc::clone(&workers);
    workers.submit(Box::new(move || {
        worker_id.send(current.worker_id()).unwrap();
        let _ = released.recv();
    }));
    workers.write_off(its_id.recv().unwrap());
    let (done, is_done) = channel();
    workers.submit(Box::new(move || done.send(()).unwrap()));
    is_done.recv().unwrap();
    workers.wind_down(|_| true);
    while workers.threads() > 0 {
        std::thread::yield_now();
    }
    let deadline = sync::now() + Duration::from_millis(50);
    assert_eq!(workers.join(Some(deadline)), 1, "the one written off is reported");
    assert!(sync::now() >= deadline, "and waited for, until the deadline");
    release.send(()).unwrap();
    assert_eq!(workers.join(None), 0);
}

#[test]
fn winding_down_finishes_what_is_queued_and_leaves_no_thread() {
    let workers = workers(2);
    let (done, is_done) = channel();
    for _ in 0..50 {
        let done = done.clone();
        workers.submit(Box::new(move || done.send(()).unwrap()));
    }
    drop(done);
    workers.wind_down(|_| true);
    assert_eq!(workers.join(None), 0);
    assert_eq!(is_done.iter().count(), 50);
}

#[test]
fn a_thread_that_watches_for_a_cancelled_alarm_ends_at_once() {
    let workers = workers(1);
    let (started, is_started) = channel();
    workers.submit(Box::new(move || started.send(()).unwrap()));
    is_started.recv().unwrap();
    let alarm = workers.at(sync::now() + Duration::from_secs(60), Box::new(|| ()));
    while !workers.0.state.lock().has_timekeeper {
        std::thread::yield_now();
    }
    workers.wind_down(|_| true);
    workers.cancel_alarm(alarm);
    assert_eq!(workers.join(Some(sync::now() + Duration::from_secs(5))), 0);
}

#[test]
fn there_is_one_maintenance_alarm_at_a_time_the_earliest() {
    let workers = workers(2);
    let (done, is_done) = channel();
    let start = sync::now();
    for ms in [300_000, 20, 200_000, 10, 100_000] {
        let done = done.clone();
        workers.schedule_maintenance(start + Duration::from_millis(ms), Box::new(move || done.send(ms).unwrap()));
        assert_eq!(workers.0.state.lock().alarms.len(), 1);
    }
    assert_eq!(is_done.recv().unwrap(), 10);
    drop(done);
    assert!(is_done.recv().is_err(), "the others were cancelled");
    workers.wind_down(|_| false);
    workers.at(start, Box::new(|| panic!("refused while winding down")));
    assert_eq!(workers.join(None), 0);
}

#[test]
fn jobs_for_which_no_thread_can_be_spawned_wait_for_the_next_call() {
    // One thread: two would run two jobs side by side, in either order.
    let workers: Workers<Job> = Workers::new(sync::FULL, 1, |job| job());
    let (done, is_done) = channel();
    for n in 0..3 {
        let done = done.clone();
        workers.submit(Box::new(move || done.send(n).unwrap()));
    }
    assert_eq!(workers.threads(), 0);
    assert!(is_done.try_recv().is_err());
    sync::IS_FULL.store(false, std::sync::atomic::Ordering::SeqCst);
    workers.retry();
    assert_eq!((0..3).map(|_| is_done.recv().unwrap()).collect::<Vec<_>>(), [0, 1, 2]);
}
