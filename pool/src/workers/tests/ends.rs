//! A set that can create no threads, and the end of pools.

use super::*;

/// Waits until the set has failed several more times to create a thread.
fn tried_again_in_vain(set: &WorkerSet) {
    let tried = || set.0.state.lock().serial;
    let before = tried();
    eventually("it is tried again", || tried() >= before + 3);
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
    tried_again_in_vain(&set);
    assert_eq!((workers(&set), is_done.try_recv().is_ok()), (0, false));
    set.0.is_full.store(false, SeqCst);
    let mut all: Vec<i32> = (0..3).map(|_| is_done.recv_timeout(LONG).unwrap()).collect();
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
    assert!(!pool.park(&waiter, Some(sync::now() + Duration::from_millis(30))), "without a wake-up, but in time");
    let its_set = set.clone();
    let relief = std::thread::spawn(move || {
        tried_again_in_vain(&its_set);
        its_set.0.is_full.store(false, SeqCst);
    });
    assert!(pool.park(&waiter, Some(sync::now() + LONG)));
    assert!(done.load(SeqCst));
    relief.join().unwrap();
}

#[test]
fn where_threads_can_be_had_one_who_waits_is_held_up_by_nobody() {
    let set = set(LONG);
    let pool = pool(&set);
    set.while_locked(|| assert!(!pool.park(&Waiter::new(), Some(sync::now() + Duration::from_millis(20)))));
}

#[test]
fn a_timer_that_sleeps_is_woken_when_the_first_job_finds_no_thread() {
    let set = set(LONG);
    let pool = pool(&set);
    pool.at(sync::now() + LONG, || ());
    eventually("it sleeps", || matches!(set.0.state.lock().timer, Timer::Asleep(_)));
    set.0.is_full.store(true, SeqCst);
    let (done, is_done) = channel();
    pool.submit(Box::new(move || done.send(()).unwrap()));
    set.0.is_full.store(false, SeqCst);
    is_done.recv_timeout(Duration::from_secs(20)).expect("the timer tries again");
    eventually("nothing waits any more", || !set.0.is_starved());
}

#[test]
fn when_a_thread_is_found_again_there_is_a_timer_for_the_alarms_if_there_are_any() {
    for has_alarm in [true, false] {
        let set = set(LONG);
        let pool = pool(&set);
        set.0.is_full.store(true, SeqCst);
        if has_alarm {
            pool.at(sync::now() + LONG, || ());
        }
        pool.submit(Box::new(|| ()));
        assert!(set.0.is_starved() && set.0.state.lock().timer == Timer::Absent);
        set.0.is_full.store(false, SeqCst);
        set.0.retry();
        assert!(!set.0.is_starved());
        assert_eq!(set.0.state.lock().timer != Timer::Absent, has_alarm);
    }
}

#[test]
fn when_threads_can_be_had_again_each_job_that_waits_has_one_at_once() {
    let set = set(LONG);
    let pool = pool(&set);
    set.0.is_full.store(true, SeqCst);
    let submit = |_| {
        let (hold, held) = channel::<()>();
        pool.submit(Box::new(move || held.recv().unwrap_or_default()));
        hold
    };
    let _holds: Vec<_> = (0..3).map(submit).collect();
    assert_eq!(set.0.state.lock().busy, 0);
    set.0.is_full.store(false, SeqCst);
    set.0.retry();
    assert_eq!(set.0.state.lock().busy, 3, "none waits for another, which may hang");
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
