//! Tasks that wait, are dropped, or are not polled, against holders, the timer and the end of the pool.

use super::{EACH, FOREVER, LOOSE, Pool, STRICT, get, get_idle, model, return_all, spawn, spawn_timer, stats};
use crate::checkin::checkin;
use crate::checkout::TaskRequest;
use crate::error::GetError;
use crate::models::fake::{Fake, Refused};
use crate::shared::{Held, PoolRef};
use crate::waiter::{Waiter, Wake};
use std::panic::Location;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// Wakes the thread that plays a task's executor.
struct Executor(Arc<Waiter>);

impl std::task::Wake for Executor {
    fn wake(self: Arc<Self>) {
        Wake::Thread(Arc::clone(&self.0)).wake();
    }
}

/// Plays a task that is polled each time it is woken, until it has an answer.
fn get_as_task(pool: &Pool) -> Result<Held<Fake>, GetError<Refused>> {
    let (pool, waiter) = (PoolRef::new(Arc::clone(pool)), Waiter::new());
    let waker = Waker::from(Arc::new(Executor(Arc::clone(&waiter))));
    let mut request = TaskRequest::new(FOREVER, Location::caller());
    loop {
        match request.poll(&pool, &mut Context::from_waker(&waker)) {
            Poll::Ready(answer) => return answer,
            Poll::Pending => drop(waiter.park(None)),
        }
    }
}

/// A future is polled once and dropped while a holder returns: the waiter behind it is served.
#[test]
fn delivery_against_drop() {
    model(STRICT, EACH, |pool| {
        let held = get_idle(&pool, EACH);
        let dropped: Vec<_> = (0..EACH).map(|_| spawn(&pool, |pool| poll_and_drop(&pool))).collect();
        let borrowers: Vec<_> = (0..EACH).map(|_| spawn(&pool, |pool| get(&pool, FOREVER).map(checkin))).collect();
        return_all(held);
        dropped.into_iter().for_each(|dropped| dropped.join().unwrap());
        borrowers.into_iter().for_each(|borrower| borrower.join().unwrap().expect("it was returned"));
        let stats = stats(&pool);
        assert_eq!((stats.idle as usize, stats.in_use, stats.waiting), (EACH, 0, 0), "a connection is lost");
    });
}

fn poll_and_drop(pool: &Pool) {
    let pool = PoolRef::new(Arc::clone(pool));
    let mut request = TaskRequest::new(FOREVER, Location::caller());
    if let Poll::Ready(answer) = request.poll(&pool, &mut Context::from_waker(Waker::noop())) {
        checkin(answer.expect("the pool is open"));
    }
    request.abandon(&pool);
}

/// A task's delivery is reclaimed while the task is polled: it is served all the same.
#[test]
fn reclaim_against_poll() {
    model(STRICT, EACH, |pool| {
        let held = get_idle(&pool, EACH);
        let tasks = spawn_tasks(&pool);
        let timer = spawn_timer(&pool);
        return_all(held);
        tasks.into_iter().for_each(|task| task.join().unwrap().expect("it was returned"));
        let stats = stats(&pool);
        assert_eq!((stats.idle as usize, stats.in_use, stats.waiting), (EACH, 0, 0), "a connection is lost");
        pool.close();
        timer.join().unwrap();
    });
}

/// A newcomer takes and returns a connection that was reclaimed from a task, while the task looks and finds nothing: the task is woken
/// again.
#[test]
fn reclaim_against_newcomer() {
    model(LOOSE, EACH, |pool| {
        let held = get_idle(&pool, EACH);
        let tasks = spawn_tasks(&pool);
        let timer = spawn_timer(&pool);
        return_all(held);
        for _ in 0..2 {
            get(&pool, FOREVER).map(checkin).expect("it was returned");
        }
        tasks.into_iter().for_each(|task| task.join().unwrap().expect("it was returned"));
        pool.close();
        timer.join().unwrap();
    });
}

/// The pool is closed during a delivery to a task: the task gets the connection or the error of a closed pool.
#[test]
fn close_against_delivery() {
    model(STRICT, EACH, |pool| {
        let held = get_idle(&pool, EACH);
        let tasks = spawn_tasks(&pool);
        let closing = spawn(&pool, |pool| pool.close());
        return_all(held);
        for task in tasks {
            let answer = task.join().unwrap();
            assert!(answer.is_ok() || answer.is_err_and(|error| error.is_closed()));
        }
        closing.join().unwrap();
    });
}

fn spawn_tasks(pool: &Pool) -> Vec<super::JoinHandle<Result<(), GetError<Refused>>>> {
    (0..EACH).map(|_| spawn(pool, |pool| get_as_task(&pool).map(checkin))).collect()
}
