//! Section 6: more holders than connections, the error of those who get none, and the recovery.

use crate::engine::Engine;
use crate::meeting::Meeting;
use crate::story::Story;
use cabrank::{GetError, Pool};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

/// As many threads as there are connections hold them all, and two more ask.
pub(crate) fn exhaustion<M: Engine>(pool: &Pool<M>, story: &mut Story) -> anyhow::Result<()> {
    let max_size = pool.config().max_size;
    story.section(&format!("Exhaustion: {} holders for a pool of {max_size}", max_size + LATE));
    story.say(&format!(
        "{max_size} threads take all connections and keep them. {LATE} more ask, and wait for at most {SHORT:?}."
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
        story.expect("all connections are held", true, held);

        let refused: Vec<_> = (0..LATE).map(|_| scope.spawn(|| pool.get_timeout(SHORT).map(drop))).collect();
        let refused: Vec<_> = refused.into_iter().map(|late| late.join().expect("they do not panic")).collect();
        for outcome in &refused {
            story.expect_error("a late thread", "a time-out", outcome, GetError::is_timeout);
        }
        let stats = pool.stats();
        story.expect("requests timed out", timed_out_before + u64::from(LATE), stats.timed_out);
        story.expect("connections in use", max_size, stats.in_use);

        story.say("The error tells who holds the connections and since when:");
        if let Some(Err(error)) = refused.first() {
            story.quote(&format!("{error:?}"));
        }

        // They ask once more, now with the pool's own time-out. Dropping its door lets a holder go home.
        let served: Vec<_> = (0..LATE).map(|_| scope.spawn(|| pool.get().map(drop))).collect();
        drop(doors);
        story.say(&format!(
            "Recovery: the {LATE} ask again and wait in the queue while the holders return what they hold."
        ));
        let returned = holders.into_iter().filter_map(|holder| holder.join().expect("they do not panic").ok()).count();
        let served = served.into_iter().filter_map(|late| late.join().expect("they do not panic").ok()).count();
        story.expect("holders that had one and returned it", max_size as usize, returned);
        story.expect("late threads served", LATE as usize, served);
        Ok(())
    })?;
    story.expect("active now", 0, pool.stats().in_use);
    Ok(())
}

/// One holder: takes a connection and keeps it until the door opens.
fn hold<M: Engine>(pool: &Pool<M>, all_hold: &Meeting, door: Receiver<()>) -> Result<(), GetError<M::Error>> {
    let _conn = pool.get()?;
    all_hold.attend();
    // Nobody sends anything: the other end is dropped.
    let _ = door.recv();
    Ok(())
}

/// How many ask in vain.
const LATE: u32 = 2;
/// For how long.
const SHORT: Duration = Duration::from_millis(100);
