//! The queue alone: which waiter it notifies, and which memory it keeps.

use super::*;
use crate::sync;
use crate::waiter::Waiter;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

/// A waiter that queued at the given second, with its ticket.
struct Waiting(Arc<Waiter>, Ticket);

impl Waiting {
    fn since(queue: &mut Queue<()>, start: Instant, second: u64) -> Self {
        let (waiter, since) = (Waiter::new(), start + Duration::from_secs(second));
        let borrower = Borrower { call_site: Location::caller(), thread: 0 };
        let ticket = queue.join(Wake::Thread(Arc::clone(&waiter)), borrower, since, None, None);
        Self(waiter, ticket)
    }

    /// Whether it has been notified since the last look.
    fn was_notified(&self) -> bool {
        self.0.park(Some(sync::now()))
    }
}

#[test]
fn who_was_notified_and_found_nothing_is_notified_again() {
    let (mut queue, start) = (Queue::new(), sync::now());
    let waiting = [1, 2].map(|second| Waiting::since(&mut queue, start, second));
    queue.notify(1, Wake::wake);
    queue.notify(1, Wake::wake);
    assert_eq!(waiting.each_ref().map(Waiting::was_notified), [true, false]);
    queue.renew();
    queue.notify(1, Wake::wake);
    assert_eq!(waiting.each_ref().map(Waiting::was_notified), [true, false]);
    // The head leaves before it has looked: the next is notified instead.
    let [head, next] = waiting;
    queue.cancel(&head.1);
    queue.notify(1, Wake::wake);
    assert!(next.was_notified());
    queue.cancel(&next.1);
}

#[test]
fn who_comes_back_before_one_who_was_notified_is_notified_first() {
    let (mut queue, start) = (Queue::new(), sync::now());
    let waiting = [5, 6].map(|second| Waiting::since(&mut queue, start, second));
    queue.notify(1, Wake::wake);
    let back = Waiting::since(&mut queue, start, 1);
    queue.notify(1, Wake::wake);
    assert!(back.was_notified());
    for Waiting(_, ticket) in waiting.into_iter().chain([back]) {
        queue.cancel(&ticket);
    }
}

#[test]
fn after_a_rush_the_memory_goes_back_and_a_small_queue_keeps_its_own() {
    let (mut queue, start) = (Queue::new(), sync::now());
    for (crowd, kept) in [(64, 64), (65, 0)] {
        let waiting: Vec<_> = (0..crowd).map(|second| Waiting::since(&mut queue, start, second)).collect();
        for (place, Waiting(_, ticket)) in waiting.iter().enumerate() {
            assert_eq!(queue.nodes.len(), crowd as usize, "{place} have left");
            queue.cancel(ticket);
        }
        assert_eq!((queue.nodes.len(), queue.vacant.len()), (kept, kept));
    }
}

#[test]
#[cfg_attr(not(debug_assertions), ignore = "only debug builds check for it")]
fn a_queue_that_is_dropped_with_somebody_in_it_is_a_bug() {
    let mut queue = Queue::new();
    let Waiting(_, ticket) = Waiting::since(&mut queue, sync::now(), 0);
    assert!(catch_unwind(AssertUnwindSafe(|| queue.assert_notified(1))).is_err(), "nobody was notified");
    assert!(catch_unwind(AssertUnwindSafe(|| drop(queue))).is_err(), "{ticket:?} is left");
}
