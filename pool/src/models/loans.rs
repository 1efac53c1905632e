//! Borrowers, holders and waiters against each other.

use super::{AT_ONCE, EACH, FOREVER, LOOSE, Pool, STRICT, get, get_idle, model, return_all, spawn, stats};
use crate::checkin::checkin;
use crate::pool::Pool as Handle;
use crate::slots::Borrower;
use crate::state::actions::Delivery;
use crate::sync;
use crate::waiter::{Waiter, Wake};
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

/// A waiter gives up while a holder returns: either the waiter or the pool has the connection.
#[test]
fn delivery_against_cancel() {
    model(STRICT, EACH, |pool| {
        let held = get_idle(&pool, EACH);
        let borrowers: Vec<_> = (0..EACH).map(|_| spawn(&pool, |pool| get(&pool, AT_ONCE))).collect();
        let_others_come(&pool);
        return_all(held);
        let mut loans = Vec::new();
        for borrower in borrowers {
            match borrower.join().unwrap() {
                Ok(loan) => loans.push(loan),
                Err(error) => assert!(error.is_timeout(), "{error}"),
            }
        }
        assert_eq!(stats(&pool).in_use as usize, loans.len());
        loans.into_iter().for_each(checkin);
        let stats = stats(&pool);
        assert_eq!((stats.idle as usize, stats.in_use, stats.waiting), (EACH, 0, 0), "a connection is lost");
    });
}

/// A holder returns while a borrower finds nothing and queues: the borrower is served.
#[test]
fn return_against_enqueue() {
    for window in [STRICT, LOOSE] {
        model(window, EACH, |pool| {
            let held = get_idle(&pool, EACH);
            let borrowers: Vec<_> = (0..EACH).map(|_| spawn(&pool, |pool| get(&pool, FOREVER).map(checkin))).collect();
            return_all(held);
            borrowers.into_iter().for_each(|borrower| borrower.join().unwrap().expect("it was returned"));
            assert_eq!(stats(&pool).idle as usize, EACH);
        });
    }
}

/// Two holders return while two borrowers wait, within the fairness window: both are served, neither with the other's help.
#[test]
fn two_returns_against_two_waiters() {
    model(LOOSE, 2 * EACH, |pool| {
        let held = get_idle(&pool, 2 * EACH);
        let borrowers: Vec<_> = (0..2 * EACH).map(|_| spawn(&pool, |pool| get(&pool, FOREVER))).collect();
        return_all(held);
        let loans: Vec<_> = borrowers.into_iter().map(|borrower| borrower.join().unwrap()).collect();
        assert_eq!(stats(&pool).in_use as usize, 2 * EACH);
        loans.into_iter().for_each(|loan| checkin(loan.expect("it was returned")));
    });
    // The head of the queue is slow to look, which delays nobody behind it.
    model(LOOSE, 2, |pool| {
        let held = get_idle(&pool, 2);
        let (waiter, now) = (Waiter::new(), sync::now());
        let wake = Wake::Thread(Arc::clone(&waiter));
        let ticket = pool.with(now, |state, _| state.queue(wake, nobody(), now, FOREVER)).expect("there is room");
        let second = spawn(&pool, |pool| get(&pool, FOREVER));
        return_all(held);
        let loan = second.join().unwrap().expect("both were returned");
        let (entry, now) = loop {
            waiter.park(None);
            let now = sync::now();
            match pool.with(now, |state, actions| state.receive(&ticket, now, nobody(), actions)) {
                Some(Delivery::Connection(entry)) => break (entry, now),
                // Another borrower overtook it, as the window allows.
                None => {}
                _ => panic!("the pool is open"),
            }
        };
        pool.with(now, |state, actions| state.put(entry, now, actions));
        checkin(loan);
        assert_eq!(stats(&pool).idle, 2);
    });
}

/// A waiter reaches the end of the fairness window while connections return and a newcomer passes: before the end it may be notified and
/// overtaken, after it a connection is delivered. It gets one connection, and the others are idle.
#[test]
fn newcomer_at_the_end_of_the_window() {
    model(SHORT, 2 * EACH, |pool| {
        let held = get_idle(&pool, 2 * EACH);
        let waiters: Vec<_> = (0..EACH).map(|_| spawn(&pool, |pool| get(&pool, FOREVER))).collect();
        let newcomers: Vec<_> = (0..EACH).map(|_| spawn(&pool, |pool| get(&pool, FOREVER).map(checkin))).collect();
        let_others_come(&pool);
        return_all(held);
        newcomers.into_iter().for_each(|newcomer| newcomer.join().unwrap().expect("they were returned"));
        let loans: Vec<_> = waiters.into_iter().map(|waiter| waiter.join().unwrap()).collect();
        let stats = stats(&pool);
        assert_eq!((stats.idle as usize, stats.in_use as usize), (EACH, EACH), "a connection is lost");
        loans.into_iter().for_each(|loan| checkin(loan.expect("they were returned")));
    });
}

/// `max_size` and `min_idle` change while holders return: both settings take effect, and surplus connections are closed.
#[test]
fn resize_down_against_return() {
    model(LOOSE, 2 * EACH, |pool| {
        let held = get_idle(&pool, 2 * EACH);
        let smaller = spawn(&pool, |pool| Handle::new(pool).into_resized(EACH));
        let reserve = spawn(&pool, |pool| Handle::new(pool).into_reserved(EACH));
        return_all(held);
        let handles = (smaller.join().unwrap(), reserve.join().unwrap());
        let stats = stats(&pool);
        assert_eq!((stats.max_size as usize, stats.open as usize, stats.idle as usize), (EACH, EACH, EACH));
        drop(handles);
    });
}

impl Handle<super::Fake> {
    fn into_resized(self, max_size: usize) -> Self {
        self.set_max_size(max_size as u32).expect("a good size");
        self
    }

    fn into_reserved(self, min_idle: usize) -> Self {
        self.set_min_idle(min_idle as u32).expect("a good reserve");
        self
    }
}

/// Forces a switch before this thread reads the clock. Without it a holder's time always precedes the times of the threads it spawned,
/// and nothing is ever overdue.
fn let_others_come(pool: &Pool) {
    pool.with(sync::now(), |_, _| ());
}

fn nobody() -> Borrower {
    Borrower { call_site: Location::caller(), thread: 0 }
}

/// Passes within a model, whose clock ticks at each look.
const SHORT: Duration = Duration::from_micros(3);
