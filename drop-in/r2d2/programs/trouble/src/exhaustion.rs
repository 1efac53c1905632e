//! More borrowers than connections.

use crate::application::{End, ask, count, load, longest_wait, millis, pool, yes};
use crate::server::Server;
use crate::{Failure, Measured};
use diesel::connection::{AnsiTransactionManager, TransactionManager};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Ten are served, and two wait for their time.
pub(crate) fn twelve_want_ten(server: &Server) -> Result<Measured, Failure> {
    let limit = Duration::from_millis(500);
    let pool = pool(&server.url(), 10, Duration::from_secs(5))?;
    let held = (0..10).map(|_| pool.get()).collect::<Result<Vec<_>, _>>()?;
    let refused: Vec<_> = thread::scope(|scope| {
        let waiters = (0..2).map(|_| {
            scope.spawn(|| {
                let begun = Instant::now();
                (pool.get_timeout(limit).err(), begun.elapsed())
            })
        });
        let waiters: Vec<_> = waiters.collect();
        waiters.into_iter().map(|waiter| waiter.join().expect("it does not panic")).collect()
    });
    drop(held);
    let errors: Vec<_> = refused.iter().filter_map(|(error, _)| error.as_ref().map(ToString::to_string)).collect();
    let longest = refused.iter().map(|(_, waited)| *waited).max().unwrap_or_default();
    let names = errors.iter().filter(|text| text.contains(file!())).count();
    let again = (0..10).map(|_| pool.get()).collect::<Result<Vec<_>, _>>().is_ok();
    Ok(vec![
        ("timed_out", errors.len() as f64),
        ("longest_wait_ms", millis(longest)),
        ("errors_that_name_the_holder", names as f64),
        ("all_served_afterwards", yes(again)),
    ])
}

/// Thirty-two threads on two connections, for three seconds: who waits how long?
pub(crate) fn crowd(server: &Server) -> Result<Measured, Failure> {
    let pool = pool(&server.url(), 2, Duration::from_secs(30))?;
    let loans = load(&pool, 32, Instant::now(), Duration::from_secs(3), |conn| {
        ask(conn)?;
        thread::sleep(Duration::from_millis(1));
        Ok(())
    });
    let each = || loans.iter().map(|own| own.iter().filter(|loan| loan.end == End::Good).count());
    Ok(vec![
        ("loans", count(&loans, End::Good)),
        ("fewest_of_a_thread", each().min().unwrap_or_default() as f64),
        ("most_of_a_thread", each().max().unwrap_or_default() as f64),
        ("longest_wait_ms", longest_wait(&loans)),
    ])
}

/// Sixteen threads on four, some of whose connections are spoiled and must be replaced: how many sessions does the server see?
pub(crate) fn sessions(server: &Server) -> Result<Measured, Failure> {
    let pool = pool(&server.url(), 4, Duration::from_secs(30))?;
    let (is_over, loans) = (AtomicBool::new(false), AtomicUsize::new(0));
    let mut watch = server.watch()?;
    let most = thread::scope(|scope| {
        let sampler = scope.spawn(|| -> Result<i64, Failure> {
            let mut most = 0;
            while !is_over.load(Ordering::Relaxed) {
                most = most.max(watch.sessions()?);
            }
            Ok(most)
        });
        load(&pool, 16, Instant::now(), Duration::from_secs(2), |conn| {
            ask(conn)?;
            match loans.fetch_add(1, Ordering::Relaxed) % 8 {
                // Diesel calls a connection broken whose transaction is open.
                0 => AnsiTransactionManager::begin_transaction(conn),
                _ => Ok(()),
            }
        });
        is_over.store(true, Ordering::Relaxed);
        sampler.join().expect("it does not panic")
    })?;
    Ok(vec![("most_sessions", most as f64), ("loans", loans.into_inner() as f64)])
}
