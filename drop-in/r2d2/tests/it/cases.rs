//! r2d2's own test cases, rewritten from their requirements. Where this package differs on purpose, the test says how.

use crate::support::{Connection, MOMENT, Manager, Refusal, Server, pool_of};
use cabrank_testing::{eventually, timed};
use r2d2::event::{AcquireEvent, CheckinEvent, CheckoutEvent, ReleaseEvent, TimeoutEvent};
use r2d2::{CustomizeConnection, HandleEvent, ManageConnection, Pool, PooledConnection};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::{io, thread};

#[test]
fn as_many_are_lent_as_may_be_open() {
    let pool = pool_of(5, &Server::with_room(5));
    let lent: Vec<_> = (0..5).map(|_| pool.get().unwrap()).collect();
    assert_eq!((lent.len(), pool.state().connections, pool.state().idle_connections), (5, 5, 0));
}

#[test]
fn what_is_returned_is_lent_again() {
    let server = Server::with_room(2);
    let pool = pool_of(2, &server);
    let (first, second) = (pool.get().unwrap(), pool.get().unwrap());
    drop(first);
    let third = pool.get().unwrap();
    drop((second, third));
    assert_eq!(server.count(|server| &server.opened), 2);
}

#[test]
fn try_get_takes_what_is_idle_and_nothing_else() {
    let pool = pool_of(2, &Server::new());
    let lent = [pool.try_get(), pool.try_get(), pool.try_get()];
    assert_eq!(lent.each_ref().map(Option::is_some), [true, true, false]);
    let [first, ..] = lent;
    drop(first);
    assert!(pool.try_get().is_some());
}

#[test]
fn a_time_out_of_its_own_counts() {
    let pool = pool_of(1, &Server::new());
    let at_once = pool.get_timeout(MOMENT).unwrap();
    let (failed, took) = timed(|| pool.get_timeout(MOMENT));
    assert!(failed.is_err() && took >= MOMENT, "{took:?}");

    let returning = pool.clone();
    let second = thread::spawn(move || returning.get_timeout(Duration::from_secs(60)));
    eventually("somebody waits", || pool.cabrank().stats().waiting == 1);
    drop(at_once);
    assert!(second.join().unwrap().is_ok());
}

#[test]
fn a_pool_can_be_shared_and_a_loan_as_its_connection_can() {
    fn is_shared<T: Send + Sync>() {}
    fn is_sent<T: Send>() {}
    is_shared::<Pool<Manager>>();
    is_shared::<PooledConnection<Manager>>();
    is_shared::<Pool<OfCells>>();
    is_sent::<PooledConnection<OfCells>>();
    is_shared::<r2d2::Builder<Manager>>();
    is_shared::<r2d2::Error>();
}

/// Its connections are `Send` but not `Sync`.
struct OfCells;

impl ManageConnection for OfCells {
    type Connection = std::cell::Cell<u32>;
    type Error = io::Error;
    fn connect(&self) -> io::Result<Self::Connection> {
        Ok(std::cell::Cell::new(0))
    }
    fn is_valid(&self, _: &mut Self::Connection) -> io::Result<()> {
        Ok(())
    }
    fn has_broken(&self, _: &mut Self::Connection) -> bool {
        false
    }
}

/// r2d2 checks in the borrower's thread before each loan. Here the test requests that, and a worker does it.
#[test]
fn a_check_that_hangs_holds_up_nobody_else() {
    struct Blocking {
        checks: AtomicUsize,
        began: SyncSender<()>,
        goes_on: Mutex<Receiver<()>>,
    }

    impl ManageConnection for Blocking {
        type Connection = ();
        type Error = io::Error;
        fn connect(&self) -> io::Result<()> {
            Ok(())
        }
        fn is_valid(&self, _: &mut ()) -> io::Result<()> {
            if self.checks.fetch_add(1, Ordering::SeqCst) == 0 {
                self.began.send(()).unwrap();
                self.goes_on.lock().unwrap().recv().unwrap();
            }
            Ok(())
        }
        fn has_broken(&self, _: &mut ()) -> bool {
            false
        }
    }

    let (began, has_begun) = sync_channel(0);
    let (go_on, goes_on) = sync_channel(0);
    let manager = Blocking { checks: AtomicUsize::new(0), began, goes_on: Mutex::new(goes_on) };
    let settings = Pool::builder().test_on_check_out(true).max_size(2);
    let pool = settings.cabrank(|settings| settings.check_after(Duration::ZERO)).build(manager).unwrap();

    let other = pool.clone();
    let held_up = thread::spawn(move || drop(other.get().unwrap()));
    has_begun.recv().unwrap();
    drop(pool.get().unwrap());
    go_on.send(()).unwrap();
    held_up.join().unwrap();
}

/// r2d2 drops it in the returning thread; here a worker does, soon after.
#[test]
fn what_is_broken_is_dropped() {
    let server = Server::new();
    server.is_broken.store(true, Ordering::SeqCst);
    let pool = Pool::new(server.manager()).unwrap();
    drop(pool.get().unwrap());
    eventually("it is dropped", || server.count(|server| &server.dropped) == 1);
    assert_eq!(server.count(|server| &server.asked), 1, "once a loan");
}

#[test]
fn why_no_connection_can_be_opened_is_told_by_build() {
    let settings = Pool::builder().connection_timeout(MOMENT);
    let error = settings.build(Server::with_room(0).manager()).unwrap_err().to_string();
    assert!(error.starts_with("timed out waiting for connection: "), "{error}");
    assert!(error.contains("the server has no room"), "{error}");
}

#[test]
fn why_no_connection_can_be_opened_is_told_by_get() {
    let pool = Pool::builder().connection_timeout(MOMENT).build_unchecked(Server::with_room(0).manager());
    let error = pool.get().unwrap_err().to_string();
    assert!(error.starts_with("timed out waiting for connection: "), "{error}");
    assert!(error.contains("the server has no room"), "{error}");
}

#[test]
fn the_time_out_of_the_pool_counts() {
    let pool = Pool::builder().max_size(1).connection_timeout(2 * MOMENT).build(Server::new().manager()).unwrap();
    let _lent = pool.get().unwrap();
    let (failed, took) = timed(|| pool.get());
    assert!(failed.is_err() && took >= 2 * MOMENT, "{took:?}");
}

/// `on_release` runs in a worker here, so the test waits for its end.
#[test]
fn a_customizer_sets_up_refuses_and_takes_back() {
    #[derive(Debug, Default)]
    struct Customizer {
        seen: AtomicUsize,
        released: Arc<AtomicUsize>,
    }

    impl CustomizeConnection<Connection, Refusal> for Customizer {
        fn on_acquire(&self, conn: &mut Connection) -> Result<(), Refusal> {
            if self.seen.fetch_add(1, Ordering::SeqCst) == 0 {
                return Err(Refusal);
            }
            conn.0 = 1000;
            Ok(())
        }
        fn on_release(&self, conn: Connection) {
            assert_eq!(conn.0, 1000, "one that was refused was no connection of the pool's");
            self.released.fetch_add(1, Ordering::SeqCst);
        }
    }

    let (server, customizer) = (Server::new(), Customizer::default());
    let released = Arc::clone(&customizer.released);
    server.is_broken.store(true, Ordering::SeqCst);
    let pool = Pool::builder().connection_customizer(Box::new(customizer)).max_size(1).build(server.manager()).unwrap();
    let lent = pool.get().unwrap();
    assert_eq!((lent.0, server.count(|server| &server.dropped), released.load(Ordering::SeqCst)), (1000, 1, 0));
    drop(lent);
    eventually("it is taken back", || released.load(Ordering::SeqCst) == 1);
}

/// r2d2 also closes the connections that `min_idle` requires, and opens them again; here `min_idle` holds.
#[test]
fn what_is_idle_for_long_is_closed() {
    let server = Server::with_room(5);
    let settings = Pool::builder().max_size(5).min_idle(Some(0)).idle_timeout(Some(MOMENT));
    let pool = settings.build(server.manager()).unwrap();
    let lent: Vec<_> = (0..5).map(|_| pool.get().unwrap()).collect();
    let mut lent = lent.into_iter();
    let kept = lent.next();
    drop(lent);
    eventually("four are closed", || server.count(|server| &server.dropped) == 4);
    drop(kept);
    assert_eq!(server.count(|server| &server.dropped), 4, "it was not idle");
}

#[test]
fn what_is_in_use_again_and_again_stays_open() {
    let server = Server::with_room(5);
    let settings = Pool::builder().max_size(5).min_idle(Some(0)).idle_timeout(Some(4 * MOMENT));
    let pool = settings.build(server.manager()).unwrap();
    drop((0..5).map(|_| pool.get().unwrap()).collect::<Vec<_>>());
    eventually("four are closed", || {
        drop(pool.get().unwrap());
        server.count(|server| &server.dropped) == 4
    });
    assert_eq!(pool.state().connections, 1);
}

#[test]
fn what_is_old_is_closed_after_its_loan() {
    let server = Server::with_room(5);
    let settings = Pool::builder().max_size(5).max_lifetime(Some(2 * MOMENT)).connection_timeout(MOMENT);
    let pool = settings.build_unchecked(server.manager());
    let lent = pool.get_timeout(Duration::from_secs(60)).unwrap();
    eventually("the other four are closed", || server.count(|server| &server.dropped) == 4);
    drop(lent);
    eventually("so is this one", || server.count(|server| &server.dropped) == 5);
    assert!(pool.get().is_err());
}

#[test]
fn so_many_idle_ones_are_kept_ready() {
    let pool = Pool::builder().max_size(5).min_idle(Some(2)).build(Server::new().manager()).unwrap();
    let counts = || (pool.state().idle_connections, pool.state().connections);
    assert_eq!(counts(), (2, 2));
    let lent: Vec<_> = (0..3).map(|_| pool.get().unwrap()).collect();
    eventually("two more are ready", || counts() == (2, 5));
    drop(lent);
    assert_eq!(counts(), (5, 5));
}

#[test]
fn all_are_dropped_with_the_pool() {
    let server = Server::new();
    drop(pool_of(10, &server));
    eventually("all are dropped", || server.count(|server| &server.dropped) == 10);
}

/// With one difference: the next connection may be opened before the last one's release is reported.
#[test]
fn events_tell_the_life_of_a_connection() {
    let (server, events) = (Server::new(), Events::default());
    server.is_broken.store(true, Ordering::SeqCst);
    let settings = Pool::builder().max_size(1).connection_timeout(MOMENT).event_handler(Box::new(events.clone()));
    let pool = settings.build(server.manager()).unwrap();

    let lent = pool.get_timeout(Duration::from_secs(60)).unwrap();
    pool.get_timeout(Duration::from_millis(12)).unwrap_err();
    drop(lent);
    let next = pool.get_timeout(Duration::from_secs(60)).unwrap();

    let seen = events.0.lock().unwrap();
    let first = seen[0].1;
    let of = |id: Option<u64>| seen.iter().filter(|(_, of)| *of == id).map(|(what, _)| *what).collect::<Vec<_>>();
    assert_eq!(of(first), ["acquire", "checkout", "checkin", "release"]);
    assert_eq!(of(None), ["timeout of 12ms"]);
    let second = first.map(|id| id + 1..);
    let rest: Vec<_> =
        seen.iter().filter(|(_, id)| id.is_some_and(|id| second.clone().unwrap().contains(&id))).collect();
    assert_eq!(rest.iter().map(|(what, _)| *what).collect::<Vec<_>>(), ["acquire", "checkout"]);
    assert_eq!(rest[0].1, rest[1].1);
    drop(seen);
    drop(next);
}

#[derive(Debug, Clone, Default)]
struct Events(Arc<Mutex<Vec<(&'static str, Option<u64>)>>>);

impl Events {
    fn saw(&self, what: &'static str, id: Option<u64>) {
        self.0.lock().unwrap().push((what, id));
    }
}

impl HandleEvent for Events {
    fn handle_acquire(&self, event: AcquireEvent) {
        self.saw("acquire", Some(event.connection_id()));
    }
    fn handle_release(&self, event: ReleaseEvent) {
        assert!(event.age() < Duration::from_secs(600));
        self.saw("release", Some(event.connection_id()));
    }
    fn handle_checkout(&self, event: CheckoutEvent) {
        assert!(event.duration() < Duration::from_secs(60));
        self.saw("checkout", Some(event.connection_id()));
    }
    fn handle_timeout(&self, event: TimeoutEvent) {
        assert_eq!(event.timeout(), Duration::from_millis(12));
        self.saw("timeout of 12ms", None);
    }
    fn handle_checkin(&self, event: CheckinEvent) {
        assert!(event.duration() < Duration::from_secs(600));
        self.saw("checkin", Some(event.connection_id()));
    }
}

#[test]
fn what_is_kept_with_a_connection_stays_with_it() {
    let pool = pool_of(2, &Server::new());
    let (mut first, mut second) = (pool.get().unwrap(), pool.get().unwrap());
    PooledConnection::extensions_mut(&mut first).insert(1);
    PooledConnection::extensions_mut(&mut second).insert(2);
    drop(first);
    let again = pool.get().unwrap();
    assert_eq!(PooledConnection::extensions(&again).get::<i32>(), Some(&1));
    assert_eq!(PooledConnection::extensions(&second).get::<i32>(), Some(&2));
}
