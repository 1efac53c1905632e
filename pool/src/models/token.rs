//! How a thread parks and is woken, without a pool.

use super::{EACH, play, start};
use crate::waiter::{Waiter, Wake};
use std::sync::Arc;

/// Other threads wake a thread while it decides to park: it receives each wake-up, now or at its next look, and none twice.
#[test]
fn wake_up_against_parking() {
    play(|| {
        let waiter = Waiter::new();
        let wakers: Vec<_> = (0..2 * EACH)
            .map(|_| {
                let wake = Wake::Thread(Arc::clone(&waiter));
                start(move || wake.wake())
            })
            .collect();
        assert!(waiter.park(None), "woken by one of them");
        wakers.into_iter().for_each(|waker| waker.join().unwrap());
        // A wake-up that came after the first look counts once.
        waiter.park(Some(crate::sync::now()));
        assert!(!waiter.park(Some(crate::sync::now())), "nobody has woken it since");
    });
}
