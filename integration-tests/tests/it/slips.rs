//! A late reply never reaches the next user. Ten thousand loans each ask for a number of their own, while connections break, and
//! borrowers leave answers unread, panic, and forget transactions. An error is allowed; another loan's number is not.

use crate::cases::add;
use crate::subject::{Guard, Remote};
use cabrank::Transact;
use integration_tests::{Case, figure};
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use std::{mem, panic, thread};

pub(crate) fn cases<S: Remote>(cases: &mut Vec<Case>) {
    add!(cases, S, Server, a_late_reply_reaches_nobody_else);
}

const THREADS: u64 = 8;
const ROUNDS: u64 = 10_000;

fn a_late_reply_reaches_nobody_else<S: Remote>() {
    let subject = S::new();
    let proxy = subject.database().proxy().unwrap();
    let manager = S::hasty_manager(subject.database().url_through(&proxy));
    let pool = subject.build(manager, |builder| builder.max_size(4).check_after(Duration::MAX));
    let (answered, failed, aborted) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (subject, pool, proxy) = (&subject, &pool, &proxy);
            let (answered, failed, aborted) = (&answered, &failed, &aborted);
            scope.spawn(move || {
                let mut chance = fastrand::Rng::with_seed(thread);
                for round in 0..ROUNDS / THREADS {
                    let token = (thread * ROUNDS + round + 1) as i64;
                    let mut conn = pool.get().expect("the server is there all the time");
                    match S::number(&mut conn, &format!("SELECT {token}")) {
                        Ok(number) => {
                            assert_eq!(number, token, "an answer to another loan");
                            answered.fetch_add(1, Ordering::Relaxed);
                        }
                        Err(_) => drop(failed.fetch_add(1, Ordering::Relaxed)),
                    }
                    if chance.u32(..50) == 0 {
                        aborted.fetch_add(1, Ordering::Relaxed);
                        abort(subject, conn, -token, chance.u32(..7), || proxy.reset());
                    }
                }
            });
        }
    });
    let [answered, failed, aborted] = [answered, failed, aborted].map(AtomicU64::into_inner);
    assert_eq!(answered + failed, ROUNDS);
    assert!(answered > ROUNDS * 8 / 10, "{failed} failed: too few answers");
    assert!(aborted > 100, "only {aborted} were aborted");
    figure(format!("{answered} answers, each to its own loan; {failed} errors, {aborted} loans aborted"));
}

/// Ends a loan in one of the ways that leave answers behind.
fn abort<S: Remote>(subject: &S, mut conn: Guard<S>, token: i64, way: u32, break_lines: impl FnOnce()) {
    match way {
        0 => break_lines(),
        1 => {
            let holder = AssertUnwindSafe(move || {
                let _conn = conn;
                panic::resume_unwind(Box::new(()))
            });
            assert!(panic::catch_unwind(holder).is_err());
        }
        2 => {
            mem::forget(subject.manager().begin(&mut conn, &Default::default()));
        }
        _ => S::walk_away(&mut conn, token),
    }
}
