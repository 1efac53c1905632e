//! Section 6: more threads than connections, the error of those that get none, and the recovery.

use crate::engine::Engine;
use crate::meeting::Meeting;
use crate::story::Story;
use cabrank::{GetError, Pool};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

/// Some threads hold all connections, and two more request one.
pub(crate) fn exhaustion<M: Engine>(pool: &Pool<M>, story: &mut Story) -> anyhow::Result<()> {
    let max_size = pool.config().max_size;
    story.section(&format!("Exhaustion: {} threads for {max_size} connections", max_size + LATE));
    story.say(&format!(
        "{max_size} threads check out all connections and keep them. {LATE} more threads request one, and wait for at \
         most {SHORT:?}."
    ));

    let timed_out_before = pool.stats().timed_out;
    let all_hold = Meeting::of(max_size + 1);
    thread::scope(|scope| -> anyhow::Result<()> {
        let mut doors = Vec::new();
        let mut holders = Vec::new();
        for _ in 0..max_size {
            let (door, opened) = channel::<()>();
            doors.push(door);
            holders.push(scope.spawn(|| hold(pool, &all_hold, opened)));
        }
        let held = all_hold.attend();
        story.expect("all connections are in use", true, held);

        let refused: Vec<_> = (0..LATE).map(|_| scope.spawn(|| pool.get_timeout(SHORT).map(drop))).collect();
        let refused: Vec<_> = refused.into_iter().map(|late| late.join().expect("they do not panic")).collect();
        for (number, outcome) in (1..).zip(&refused) {
            story.expect_error(&format!("late thread {number} gets"), "a time-out", outcome, GetError::is_timeout);
        }
        let stats = pool.stats();
        story.expect("requests timed out", timed_out_before + u64::from(LATE), stats.timed_out);
        story.expect("connections in use", max_size, stats.in_use);

        story.say("The error names the code that holds the connections, and for how long it has held them:");
        if let Some(Err(error)) = refused.first() {
            story.quote(&format!("{error:?}"));
        }

        // They request again, now with the pool's own time-out. Dropping its door releases a holder.
        let served: Vec<_> = (0..LATE).map(|_| scope.spawn(|| pool.get().map(drop))).collect();
        drop(doors);
        story.say(&format!(
            "Recovery: the {LATE} late threads request again, and wait in the queue while the holders return their \
             connections."
        ));
        let returned = holders.into_iter().filter_map(|holder| holder.join().expect("they do not panic").ok()).count();
        let served = served.into_iter().filter_map(|late| late.join().expect("they do not panic").ok()).count();
        story.expect("holders that returned their connection", max_size as usize, returned);
        story.expect("late threads that got a connection", LATE as usize, served);
        Ok(())
    })?;
    story.expect("in use now", 0, pool.stats().in_use);
    Ok(())
}

/// One holder: checks out a connection and keeps it until the door opens.
fn hold<M: Engine>(pool: &Pool<M>, all_hold: &Meeting, door: Receiver<()>) -> Result<(), GetError<M::Error>> {
    let _conn = pool.get()?;
    all_hold.attend();
    // Ends when the sender is dropped; nothing is ever sent.
    let _ = door.recv();
    Ok(())
}

/// The number of late threads.
const LATE: u32 = 2;
/// Their time-out.
const SHORT: Duration = Duration::from_millis(100);
