//! More requests than connections.

use crate::application::{End, ask, count, load, longest_wait, millis, pool, settings, yes};
use crate::server::Server;
use crate::{Failure, Measured};
use diesel::connection::{AnsiTransactionManager, TransactionManager};
use diesel::r2d2::ConnectionManager;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Ten requests are served, and two wait until their time-out.
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

/// Thirty-two threads on two connections, for three seconds: how evenly are they served?
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

/// Six threads arrive one after another while the only connection is lent, ten times: how often are they served in that order?
pub(crate) fn in_order(server: &Server) -> Result<Measured, Failure> {
    let pool = pool(&server.url(), 1, Duration::from_secs(5))?;
    let mut in_order = 0;
    for _ in 0..10 {
        let (held, arrived, served) = (pool.get()?, AtomicUsize::new(0), Mutex::new(Vec::new()));
        thread::scope(|scope| {
            for _ in 0..6 {
                scope.spawn(|| {
                    let number = arrived.fetch_add(1, Ordering::Relaxed);
                    let _conn = pool.get();
                    served.lock().expect("no panic").push(number);
                });
                // Until it waits.
                thread::sleep(Duration::from_millis(20));
            }
            drop(held);
        });
        in_order += u8::from(served.lock().expect("no panic").is_sorted());
    }
    Ok(vec![("rounds_in_order", in_order.into())])
}

/// One thread waits for the only connection. With the drop-in no second one may wait, by a setting that r2d2 lacks: when is the second
/// refused?
pub(crate) fn one_too_many(server: &Server) -> Result<Measured, Failure> {
    let limit = Duration::from_millis(500);
    let builder = settings(1, Duration::from_secs(5));
    #[cfg(feature = "drop-in")]
    let builder = builder.cabrank(|settings| settings.max_waiters(1));
    let pool = builder.build(ConnectionManager::new(server.url()))?;
    let held = pool.get()?;
    let (refused, waited) = thread::scope(|scope| {
        scope.spawn(|| pool.get().is_ok());
        // Until it waits.
        thread::sleep(Duration::from_millis(100));
        let begun = Instant::now();
        let refused = pool.get_timeout(limit).is_err();
        let waited = begun.elapsed();
        drop(held);
        (refused, waited)
    });
    Ok(vec![("refused", yes(refused)), ("wait_ms", millis(waited)), ("served_afterwards", yes(pool.get().is_ok()))])
}

/// A thread that holds the only connection requests another.
pub(crate) fn get_within_a_loan(server: &Server) -> Result<Measured, Failure> {
    let pool = pool(&server.url(), 1, Duration::from_secs(5))?;
    let held = pool.get()?;
    let error = pool.get_timeout(Duration::from_millis(500)).err().map(|error| error.to_string()).unwrap_or_default();
    drop(held);
    Ok(vec![
        ("timed_out", yes(!error.is_empty())),
        ("error_names_it", yes(error.contains("this thread itself seems to hold 1"))),
    ])
}

/// Sixteen threads on four connections, some of which become unusable and must be replaced: how many sessions does the server see?
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
                // Diesel calls a connection with an open transaction broken.
                0 => AnsiTransactionManager::begin_transaction(conn),
                _ => Ok(()),
            }
        });
        is_over.store(true, Ordering::Relaxed);
        sampler.join().expect("it does not panic")
    })?;
    Ok(vec![("most_sessions", most as f64), ("loans", loans.into_inner() as f64)])
}
