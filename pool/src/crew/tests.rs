//! The crew by itself: jobs, alarms, threads that hang, and the end.

use super::*;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

type Job = Box<dyn FnOnce() + Send>;

fn crew(most: usize) -> Crew<Job> {
    Crew::new("test", most, |job| job())
}

fn blocked_job(started: Sender<()>, release: Receiver<()>) -> Job {
    Box::new(move || {
        started.send(()).unwrap();
        let _ = release.recv();
    })
}

#[test]
fn every_job_runs_though_all_threads_but_one_hang() {
    let crew = crew(3);
    let (started, is_started) = channel();
    let (_hold_a, a) = channel();
    let (_hold_b, b) = channel();
    crew.submit(blocked_job(started.clone(), a));
    crew.submit(blocked_job(started, b));
    is_started.recv().unwrap();
    is_started.recv().unwrap();
    let (done, is_done) = channel();
    for n in 0..100 {
        let done = done.clone();
        crew.submit(Box::new(move || done.send(n).unwrap()));
    }
    assert_eq!((0..100).map(|_| is_done.recv().unwrap()).sum::<i32>(), 4950);
    assert_eq!(crew.threads(), 3);
}

#[test]
fn alarms_ring_in_order_and_not_before_their_time() {
    // One thread: two would run two alarms side by side, in either order.
    let crew = crew(1);
    let (done, is_done) = channel();
    let start = sync::now();
    for ms in [30, 10, 20] {
        let done = done.clone();
        crew.at(start + Duration::from_millis(ms), Box::new(move || done.send((ms, start.elapsed())).unwrap()));
    }
    for expected in [10, 20, 30] {
        let (ms, elapsed) = is_done.recv().unwrap();
        assert_eq!(ms, expected);
        assert!(elapsed >= Duration::from_millis(ms));
    }
}

#[test]
fn an_alarm_rings_while_a_job_hangs() {
    let crew = crew(2);
    let (started, is_started) = channel();
    let (_hold, release) = channel();
    crew.submit(blocked_job(started, release));
    is_started.recv().unwrap();
    let (done, is_done) = channel();
    crew.at(sync::now() + Duration::from_millis(5), Box::new(move || done.send(()).unwrap()));
    is_done.recv().unwrap();
}

#[test]
fn a_struck_alarm_never_rings() {
    let crew = crew(2);
    let (done, is_done) = channel::<u8>();
    let struck = done.clone();
    let alarm = crew.at(sync::now() + Duration::from_millis(20), Box::new(move || struck.send(1).unwrap()));
    crew.strike(alarm);
    crew.at(sync::now() + Duration::from_millis(40), Box::new(move || done.send(2).unwrap()));
    assert_eq!(is_done.iter().collect::<Vec<_>>(), [2]);
}

#[test]
fn a_thread_written_off_is_replaced_and_leaves_when_it_comes_back() {
    let crew = Arc::new(crew(1));
    let (berth, its_berth) = channel();
    let (release, released) = channel::<()>();
    let aboard = Arc::clone(&crew);
    crew.submit(Box::new(move || {
        berth.send(aboard.berth()).unwrap();
        let _ = released.recv();
    }));
    crew.write_off(its_berth.recv().unwrap());
    let (done, is_done) = channel();
    crew.submit(Box::new(move || done.send(()).unwrap()));
    is_done.recv().unwrap();
    crew.wind_down(|_| true);
    while crew.threads() > 0 {
        std::thread::yield_now();
    }
    let deadline = sync::now() + Duration::from_millis(50);
    assert_eq!(crew.join(Some(deadline)), 1, "the one written off is reported");
    assert!(sync::now() >= deadline, "and waited for, until the deadline");
    release.send(()).unwrap();
    assert_eq!(crew.join(None), 0);
}

#[test]
fn winding_down_finishes_what_is_queued_and_leaves_no_thread() {
    let crew = crew(2);
    let (done, is_done) = channel();
    for _ in 0..50 {
        let done = done.clone();
        crew.submit(Box::new(move || done.send(()).unwrap()));
    }
    drop(done);
    crew.wind_down(|_| true);
    assert_eq!(crew.join(None), 0);
    assert_eq!(is_done.iter().count(), 50);
}

#[test]
fn a_thread_that_watches_for_a_struck_alarm_ends_at_once() {
    let crew = crew(1);
    let (started, is_started) = channel();
    crew.submit(Box::new(move || started.send(()).unwrap()));
    is_started.recv().unwrap();
    let alarm = crew.at(sync::now() + Duration::from_secs(60), Box::new(|| ()));
    while !crew.0.state.lock().watched {
        std::thread::yield_now();
    }
    crew.wind_down(|_| true);
    crew.strike(alarm);
    assert_eq!(crew.join(Some(sync::now() + Duration::from_secs(5))), 0);
}

#[test]
fn there_is_one_upkeep_at_a_time_the_earliest() {
    let crew = crew(2);
    let (done, is_done) = channel();
    let start = sync::now();
    for ms in [300_000, 20, 200_000, 10, 100_000] {
        let done = done.clone();
        crew.next_upkeep(start + Duration::from_millis(ms), Box::new(move || done.send(ms).unwrap()));
        assert_eq!(crew.0.state.lock().alarms.len(), 1);
    }
    assert_eq!(is_done.recv().unwrap(), 10);
    drop(done);
    assert!(is_done.recv().is_err(), "the others were struck");
    crew.wind_down(|_| false);
    crew.at(start, Box::new(|| panic!("refused while winding down")));
    assert_eq!(crew.join(None), 0);
}

#[test]
fn jobs_for_which_no_thread_can_be_spawned_wait_for_the_next_call() {
    // One thread: two would run two jobs side by side, in either order.
    let crew: Crew<Job> = Crew::new(sync::FULL, 1, |job| job());
    let (done, is_done) = channel();
    for n in 0..3 {
        let done = done.clone();
        crew.submit(Box::new(move || done.send(n).unwrap()));
    }
    assert_eq!(crew.threads(), 0);
    assert!(is_done.try_recv().is_err());
    sync::IS_FULL.store(false, std::sync::atomic::Ordering::SeqCst);
    crew.retry();
    assert_eq!((0..3).map(|_| is_done.recv().unwrap()).collect::<Vec<_>>(), [0, 1, 2]);
}
