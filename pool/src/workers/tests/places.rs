//! Background jobs that hang, or that are queued before more urgent work.

use super::*;
use crate::workers::lane::WIDTH;
use std::sync::Mutex;

/// Background jobs with keys from 0. Each sends its key when it starts, and hangs until it is released.
fn hang(pool: &Workers<Job>, count: usize) -> (Receiver<usize>, Vec<Option<Sender<()>>>) {
    let (start, started) = channel();
    let jobs = (0..count).map(|key| {
        let (start, (release, released)) = (start.clone(), channel::<()>());
        let job: Job = Box::new(move || {
            start.send(key).unwrap();
            let _ = released.recv();
        });
        ((key, job), Some(release))
    });
    let (jobs, release) = jobs.unzip();
    pool.submit_background(jobs);
    (started, release)
}

#[test]
fn a_background_job_that_hangs_gives_its_place_to_another_and_takes_none_when_it_ends() {
    let set = set(LONG);
    let pool = pool(&set);
    let (started, mut release) = hang(&pool, WIDTH + 3);
    assert_eq!(started.iter().take(WIDTH).count(), WIDTH);
    pool.leave_background(0);
    pool.leave_background(0);
    assert_eq!(started.recv_timeout(LONG).unwrap(), WIDTH);
    let resting = || set.0.state.lock().resting.len();
    release[0].take();
    eventually("its thread has left", || resting() == 1);
    assert!(started.try_recv().is_err(), "the places are taken");
    release[1].take();
    assert_eq!(started.recv_timeout(LONG).unwrap(), WIDTH + 1);
    // When the last but one leaves, nothing is queued any more: a later job finds its place.
    pool.leave_background(WIDTH + 1);
    assert_eq!(started.recv_timeout(LONG).unwrap(), WIDTH + 2);
    pool.leave_background(2);
    let (tell, told) = channel();
    pool.submit_background(vec![(50, Box::new(move || tell.send(()).unwrap()))]);
    told.recv_timeout(LONG).unwrap();
    drop(release);
    eventually("all is done", || all_rest(&set));
}

#[test]
fn background_work_that_is_changed_waits_for_none_that_hangs() {
    let set = set(LONG);
    let pool = pool(&set);
    let (started, release) = hang(&pool, WIDTH * 2);
    assert_eq!(started.iter().take(WIDTH).count(), WIDTH);
    let (tell, told) = channel();
    pool.change_background(|job| {
        let tell = tell.clone();
        *job = Box::new(move || tell.send(()).unwrap());
    });
    (0..WIDTH).for_each(|_| told.recv_timeout(LONG).unwrap());
    drop(release);
    eventually("all is done", || all_rest(&set));
}

#[test]
fn where_there_is_one_thread_other_work_goes_before_background_jobs_that_have_not_begun() {
    let set = set(LONG);
    let pool = pool(&set);
    thread_of_a_job(&pool);
    eventually("it rests", || all_rest(&set));
    set.0.is_full.store(true, SeqCst);
    let done = Arc::new(Mutex::new(Vec::new()));
    let note = |what: &'static str| {
        let done = Arc::clone(&done);
        move || done.lock().unwrap().push(what)
    };
    let (release, released) = channel::<()>();
    let first = note("first");
    let mut jobs: Vec<Job> = vec![
        Box::new(move || {
            let _ = released.recv();
            first();
        }),
        Box::new(note("second")),
        Box::new(note("third")),
    ];
    // More than the lane has places.
    jobs.extend((0..3 * WIDTH).map(|_| -> Job { Box::new(note("later")) }));
    let all = jobs.len() + 1;
    pool.submit_background(jobs.into_iter().enumerate().collect());
    pool.submit(Box::new(note("urgent")));
    drop(release);
    eventually("all is done", || done.lock().unwrap().len() == all);
    let done = done.lock().unwrap().clone();
    let place = |what| done.iter().position(|other| *other == what).unwrap();
    assert_eq!(done[..2], ["first", "urgent"]);
    assert!(place("second") < place("third"), "{done:?}");
}
