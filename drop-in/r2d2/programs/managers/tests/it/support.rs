//! Checks for every pool, whatever it lends.

use cabrank::CloseReason;
use cabrank_testing::harness::skip;
use cabrank_testing::servers::{url, variable};
use cabrank_testing::{assert_closes_clean, assert_no_leaks, eventually};
use r2d2::{ManageConnection, Pool};
use std::error::Error;
use std::thread;
use std::time::Duration;

/// The URL of a server of this kind. Skips the test without a server.
pub(crate) fn url_of(kind: &str) -> String {
    skip_unless_chosen(kind);
    url(&format!("CABRANK_{}_URL", kind.to_uppercase())).unwrap_or_else(|why| skip(why))
}

pub(crate) fn skip_unless_chosen(kind: &str) {
    if variable("CABRANK_ENGINE").is_some_and(|chosen| chosen != kind) {
        skip(format!("CABRANK_ENGINE is not {kind}"));
    }
}

/// Sixteen threads share four connections and do 160 pieces of work, numbered from 0; [`SUM`] is the sum of the numbers.
pub(crate) fn crowd<M: ManageConnection>(manager: M, work: impl Fn(&mut M::Connection, i64) + Sync) {
    let pool = Pool::builder().max_size(4).build(manager).unwrap();
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (pool, work) = (&pool, &work);
            scope.spawn(move || {
                (thread..WORKS).step_by(THREADS as usize).for_each(|number| work(&mut pool.get().unwrap(), number));
            });
        }
    });
    let stats = pool.cabrank().stats();
    assert_eq!((stats.max_size, stats.opened), (4, 4), "{stats:?}");
    assert_eq!(stats.checked_out_at_once + stats.checked_out_after_waiting, WORKS as u64, "{stats:?}");
    ends_well(&pool);
}

/// While the only connection is lent, another request times out, and its error names the holder.
pub(crate) fn a_time_out_names_the_holder<M: ManageConnection>(manager: M) {
    let pool = Pool::builder().max_size(1).build(manager).unwrap();
    let (held, line) = (pool.get().unwrap(), line!());
    let holders = pool.cabrank().holders();
    assert_eq!(holders.len(), 1);
    assert_eq!((holders[0].call_site.file(), holders[0].call_site.line()), (file!(), line));

    let error = pool.get_timeout(Duration::from_millis(50)).err().expect("nothing is left").to_string();
    assert!(error.starts_with("timed out waiting for connection: "), "{error}");
    let report = ["pool \"r2d2\" (max_size 1) has 1 in use", &format!("1 checked out at {}:{line}:", file!())];
    assert!(report.iter().all(|words| error.contains(words)), "{error}");
    drop(held);
    ends_well(&pool);
}

/// A session that the server ends while it is lent is closed at the end of its loan; one that ends while idle, by the check before the
/// next loan. `id` queries the session's number; `kill` ends another session and waits until it is gone.
pub(crate) fn killed_sessions_are_replaced<M: ManageConnection, E: Error>(
    manager: M,
    id: impl Fn(&mut M::Connection) -> Result<i64, E>,
    kill: impl Fn(&mut M::Connection, i64),
) {
    // Otherwise a session that was idle for less than a second would be lent without a check.
    let settings = Pool::builder().max_size(2).cabrank(|settings| settings.check_after(Duration::ZERO));
    let pool = settings.build(manager).unwrap();
    let closed = |reason| pool.cabrank().stats().closed.by(reason);
    let mut other = pool.get().unwrap();

    let mut lent = pool.get().unwrap();
    let first = id(&mut lent).unwrap();
    kill(&mut other, first);
    assert!(id(&mut lent).is_err(), "its session is gone");
    drop(lent);
    eventually("it is closed", || closed(CloseReason::Broken) == 1);

    let second = id(&mut pool.get().unwrap()).unwrap();
    kill(&mut other, second);
    let third = id(&mut pool.get().unwrap()).unwrap();
    assert!(first != second && second != third, "{first}, {second}, {third}");
    assert_eq!(closed(CloseReason::CheckFailed), 1);
    drop(other);
    ends_well(&pool);
}

/// Asserts that nothing was lost, and that everything opened is closed.
pub(crate) fn ends_well<M: ManageConnection>(pool: &Pool<M>) {
    assert_no_leaks(pool.cabrank());
    assert_closes_clean(pool.cabrank());
}

pub(crate) const SUM: i64 = 12_720;
const WORKS: i64 = 160;
const THREADS: i64 = 16;
