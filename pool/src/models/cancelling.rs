//! A cancel, against the end of the loan it is meant for.

use super::fake::Conn;
use super::{EACH, FOREVER, LOOSE, get_idle, model, spawn, spawn_worker, start, stats};
use crate::checkin::checkin;
use crate::guard::PooledConnection;
use crate::limit::Limit;
use crate::manager::AbortHandle;
use crate::reason::CloseReason;
use crate::shared::{CancelOutcome, Canceller};
use crate::sync;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;

/// Loans are cancelled at the server while they end: a connection with a cancel under way is never lent again, and a connection whose
/// loan had ended is not touched.
#[test]
fn cancel_against_return() {
    model(LOOSE, EACH, |pool| {
        let loans: Vec<_> = get_idle(&pool, EACH).into_iter().map(PooledConnection::new).collect();
        let cancellers: Vec<_> =
            loans.iter().map(|loan| PooledConnection::canceller(loan).expect("it has one")).collect();
        let worker = spawn_worker(&pool);
        let cancels: Vec<_> =
            cancellers.into_iter().map(|canceller| start(move || canceller.cancel(FOREVER))).collect();
        let holder = spawn(&pool, |_| drop(loans));
        let outcomes: Vec<_> = cancels.into_iter().map(|cancel| cancel.join().unwrap()).collect();
        holder.join().unwrap();
        let asked = outcomes.iter().filter(|&&outcome| outcome == CancelOutcome::Asked).count();
        let left = stats(&pool).idle as usize;
        let again = get_idle(&pool, left);
        assert!(again.iter().all(|held| !was_cancelled(&held.slotted.conn)), "a cancel hits the next holder");
        assert_eq!(left + asked, EACH, "{outcomes:?}");
        assert_eq!(stats(&pool).closed.by(CloseReason::Cancelled) as usize, asked);
        again.into_iter().for_each(checkin);
        pool.close();
        worker.join().unwrap();
    });
}

/// An engine in this process is interrupted while the loan ends: the interrupt comes before the end, or not at all.
#[test]
fn interrupt_against_return() {
    model(LOOSE, 0, |pool| {
        let ended = Arc::new(AtomicBool::new(false));
        let canceller = Canceller::new(&pool, Arc::new(Engine { ended: Arc::clone(&ended) }));
        let interrupts: Vec<_> = (0..2 * EACH - 1)
            .map(|_| {
                let canceller = canceller.clone();
                start(move || canceller.interrupt(&Limit::of_call(&Arc::from("pool"), sync::now(), FOREVER)))
            })
            .collect();
        assert!(!canceller.end(), "the connection goes on");
        ended.store(true, SeqCst);
        for interrupt in interrupts {
            assert_ne!(interrupt.join().unwrap(), CancelOutcome::NotAsked, "it hits the next holder");
        }
    });
}

/// An engine that may be interrupted only during the loan.
struct Engine {
    ended: Arc<AtomicBool>,
}

impl AbortHandle for Engine {
    fn cancel(&self, _: &Limit) -> bool {
        !self.ended.load(SeqCst)
    }

    fn abort(&self) {}
}

fn was_cancelled(conn: &Conn) -> bool {
    conn.0.cancelled.load(SeqCst)
}
