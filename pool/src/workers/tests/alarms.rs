//! The timer: it rings in order and in time, and is woken only when necessary.

use super::*;

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
