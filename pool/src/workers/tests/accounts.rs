//! Which threads a closing pool waits for, and which ones are kept for joining.

use super::*;
use crate::workers::set::SetState;

fn eventually_over(handle: &std::thread::JoinHandle<()>) {
    eventually("the thread is over", || handle.is_finished());
}

/// The state of a set without open pools, with this number of threads, of which `busy` run a job.
fn closed(threads: u64, busy: usize, timer: Timer) -> SetState {
    let mut state = SetState { busy, timer, ..SetState::default() };
    (0..threads).for_each(|number| _ = state.threads.insert(number, None));
    state
}

#[test]
fn after_the_last_pool_one_waits_for_threads_that_have_nothing_to_do_and_for_no_others() {
    let absent = Timer::Absent;
    let asleep = Timer::Asleep(None);
    for (threads, busy, timer, holds_up) in [
        (0, 0, absent, false),
        (1, 0, absent, true),
        (1, 1, absent, false),
        (2, 1, absent, true),
        (1, 0, asleep, true),
        (2, 1, asleep, true),
    ] {
        let case = format!("{threads} threads, {busy} busy, the timer {timer:?}");
        assert_eq!(closed(threads, busy, timer).holds_up(2), holds_up, "{case}");
        let mut state = closed(threads, busy, timer);
        state.open = 1;
        assert!(!state.holds_up(2), "{case}, and a pool is open");
    }
}

#[test]
fn the_timer_is_needed_while_another_pool_has_an_alarm_or_a_job_that_waits() {
    for (alarms, jobs) in [(1, 0), (0, 1), (1, 1)] {
        let mut state = closed(2, 1, Timer::Asleep(None));
        (0..alarms).for_each(|number| _ = state.alarms.insert((sync::now(), number), (3, Box::new(|| ()))));
        (0..jobs).for_each(|_| state.jobs.push_back(Task::new(3, || ())));
        assert!(!state.holds_up(2), "{alarms} alarms, {jobs} jobs");
        assert_eq!(state.holds_up(3), jobs > 0, "its own job is waited for");
    }
}

#[test]
fn threads_that_end_without_an_open_pool_are_kept_for_joining_until_they_are_over() {
    let mut state = SetState { open: 1, ..SetState::default() };
    state.keep_for_joining(std::thread::spawn(|| ()));
    assert!(state.over.is_empty(), "nobody joins it");
    state.open = 0;
    let (release, released) = channel::<()>();
    state.keep_for_joining(std::thread::spawn(move || released.recv().unwrap_or_default()));
    state.keep_for_joining(std::thread::spawn(|| ()));
    assert_eq!(state.over.len(), 2);
    eventually_over(&state.over[1]);
    state.keep_for_joining(std::thread::spawn(|| ()));
    assert_eq!(state.over.len(), 2, "the one that was over is gone");
    drop(release);
}

#[test]
fn who_has_waited_for_the_end_waits_no_more() {
    let set = set(LONG);
    let pool = pool(&set);
    pool.wind_down();
    assert_eq!((pool.join(None), set.0.state.lock().joining), (0, 0));
}

#[test]
fn the_pauses_between_tries_double_up_to_a_tenth_of_a_second() {
    let mut retries = Retries::new();
    for pause in [10, 20, 40, 80, 100, 100].map(Duration::from_millis) {
        let before = sync::now();
        let again = retries.next(None).expect("the retries never end");
        assert!(again >= before + pause && again <= sync::now() + pause);
    }
    let deadline = sync::now();
    assert_eq!(retries.next(Some(deadline)), Some(deadline));
}
