//! What ends a worker's rest: a job, by one wake-up, or the passing of time.

use super::*;

#[test]
fn workers_end_once_they_have_rested_for_long_and_no_sooner() {
    let rest = Duration::from_millis(100);
    let set = set(rest);
    let pool = pool(&set);
    let block = block(&pool, 8);
    assert_eq!(workers(&set), 8);
    let released = sync::now();
    drop(block);
    eventually("they have ended", || workers(&set) == 0);
    let rested = sync::now() - released;
    assert!(rested >= rest, "{rested:?}");
    let set = WorkerSet::of_this_process();
    assert_eq!(set.0.rest, Duration::from_secs(10));
}

#[test]
fn a_burst_wakes_as_many_workers_as_it_has_jobs_and_each_of_them_once() {
    let set = set(LONG);
    let pool = pool(&set);
    drop(block(&pool, 8));
    eventually("all rest", || all_rest(&set));
    let seats = set.0.state.lock().resting.clone();
    let count = |which: usize| -> Vec<usize> { seats.iter().map(|seat| seat.naps[which].load(SeqCst)).collect() };
    let all_sleep = || count(0).iter().zip(count(1)).all(|(&slept, woken)| slept == woken + 1);
    for (jobs, expected) in [(5, [0, 0, 0, 1, 1, 1, 1, 1]), (8, [1; 8])] {
        eventually("all sleep", all_sleep);
        let before = count(1);
        let block = block(&pool, jobs);
        let woken: Vec<usize> = count(1).iter().zip(before).map(|(now, before)| now - before).collect();
        assert_eq!(woken, expected, "{jobs} jobs");
        drop(block);
        eventually("all rest again", || all_rest(&set));
    }
    assert_eq!(workers(&set), 8, "none was started for them");
}
