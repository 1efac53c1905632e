//! Features that r2d2 lacks.

use crate::support::{MOMENT, Manager, Refusal, Server, pool_of};
use cabrank::{CloseReason, RunError, SessionState};
use cabrank_testing::{eventually, timed};
use log::{LevelFilter, Log, Metadata, Record};
use r2d2::{HandleError, Pool};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::thread::Thread;
use std::time::Duration;

#[test]
fn a_time_out_names_who_holds_the_connections() {
    let pool = Pool::builder().max_size(1).connection_timeout(MOMENT).build(Server::new().manager()).unwrap();
    let held = pool.get().unwrap();
    let line = line!() - 1;
    let error = pool.get().unwrap_err().to_string();
    let call_site = format!("{}:{line}:", file!());
    assert!(error.contains("pool \"r2d2\" (max_size 1)") && error.contains(&call_site), "{error}");
    assert!(error.contains("this thread itself"), "{error}");
    drop(held);
}

/// It may be dead, or only have an open transaction: a check decides which.
#[test]
fn what_its_manager_calls_broken_puts_the_others_under_suspicion_if_it_does_not_answer() {
    for (is_dead, reason, checks) in [(true, CloseReason::Broken, 2), (false, CloseReason::BeyondReset, 1)] {
        let server = Server::new();
        let settings = Pool::builder().max_size(2).cabrank(|settings| settings.check_after(Duration::MAX));
        let pool = settings.build(server.manager()).unwrap();
        let (first, second) = (pool.get().unwrap(), pool.get().unwrap());
        drop(second);
        server.is_broken.store(true, Ordering::SeqCst);
        server.fails_checks.store(is_dead, Ordering::SeqCst);
        drop(first);
        eventually("it is closed", || pool.cabrank().stats().closed.by(reason) == 1);
        server.is_broken.store(false, Ordering::SeqCst);
        server.fails_checks.store(false, Ordering::SeqCst);
        drop((pool.get().unwrap(), pool.get().unwrap()));
        assert_eq!(server.count(|server| &server.checked), checks, "{reason:?}");
    }
}

#[test]
fn try_get_waits_for_the_check_of_what_was_idle_for_long() {
    let server = Server::new();
    let settings = Pool::builder().max_size(1).cabrank(|settings| settings.check_after(Duration::ZERO));
    let pool = settings.build(server.manager()).unwrap();
    for _ in 0..3 {
        assert!(pool.try_get().is_some());
    }
    // A check that ends before its borrower waits is followed by another.
    assert!(server.count(|server| &server.checked) >= 3);
    let held = pool.try_get().unwrap();
    let (none, took) = timed(|| pool.try_get());
    assert!(none.is_none() && took < MOMENT * 10, "{took:?}");
    drop(held);
}

#[test]
fn what_is_set_behind_r2d2_counts_here_too() {
    let settings = Pool::builder().cabrank(|settings| settings.max_size(1).min_idle(0).acquire_timeout(MOMENT));
    let pool: Pool<Manager> = settings.build(Server::new().manager()).unwrap();
    assert_eq!((pool.max_size(), pool.connection_timeout()), (1, MOMENT));
    let held = pool.get().unwrap();
    let (refused, took) = timed(|| pool.get());
    assert!(refused.is_err() && took < Duration::from_secs(20), "{took:?}");
    drop(held);
}

#[test]
fn without_a_test_on_check_out_nothing_is_checked() {
    let server = Server::new();
    let settings = Pool::builder().max_size(1).test_on_check_out(false);
    let pool: Pool<Manager> = settings.build(server.manager()).unwrap();
    assert_eq!(pool.cabrank().config().check_after, Duration::MAX);
    drop(pool.get().unwrap());
    assert_eq!(server.count(|server| &server.checked), 0);
}

#[test]
fn a_cleaner_makes_a_session_clean_or_ends_it() {
    let server = Server::new();
    // A connection's number stands for its session: 7 is dirty, and 13 cannot be cleaned.
    let look = |conn: &mut crate::support::Connection| match conn.0 {
        7 | 13 => SessionState::Unknown,
        _ => SessionState::Clean,
    };
    let clean = |conn: &mut crate::support::Connection| match conn.0 {
        13 => Err("it is lost".into()),
        _ => {
            conn.0 = 0;
            Ok(())
        }
    };
    let pool = Pool::builder().max_size(1).clean(look, clean).build(server.manager()).unwrap();
    pool.get().unwrap().0 = 7;
    assert_eq!(pool.get().unwrap().0, 0, "made clean");
    pool.get().unwrap().0 = 13;
    assert_eq!(pool.get().unwrap().0, 1, "the next one");
    let stats = pool.cabrank().stats();
    assert_eq!((stats.resets_done, stats.closed.by(CloseReason::ResetFailed)), (1, 1));
}

#[test]
#[should_panic(expected = "max_size must be at least 1")]
fn a_pool_of_nothing_is_refused() {
    let _ = Pool::<Manager>::builder().max_size(0);
}

#[test]
#[should_panic(expected = "larger than max_size (2)")]
fn more_idle_ones_than_there_may_be_are_refused() {
    let _ = Pool::builder().max_size(2).min_idle(Some(3)).build(Server::new().manager());
}

#[test]
fn short_spans_are_lengthened_and_none_is_no_limit() {
    let tiny = Some(Duration::from_nanos(1));
    let settings = Pool::builder().max_size(1).min_idle(Some(0)).max_lifetime(tiny).idle_timeout(None);
    let pool = settings.build(Server::new().manager()).unwrap();
    let config = pool.cabrank().config();
    assert_eq!((config.max_lifetime, config.idle_timeout), (Duration::from_millis(10), Duration::MAX));
    assert_eq!((pool.max_lifetime(), pool.idle_timeout()), (tiny, None), "as they were set");
}

#[test]
fn debug_says_what_was_set() {
    let pool = pool_of(1, &Server::new());
    let text = format!("{pool:?}");
    for part in ["max_size: 1", "idle_connections: 1", "LoggingErrorHandler", "NopEventHandler", "Manager("] {
        assert!(text.contains(part), "{text}");
    }
    eventually("nobody holds anything", || pool.cabrank().holders().is_empty());
}

/// Waits for a future in this thread.
fn wait_for<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

#[test]
fn a_task_has_the_managers_connection_which_is_looked_at_when_it_comes_back() {
    let server = Server::new();
    let pool = pool_of(1, &server);
    // It derefs to the connection, mutably too.
    let number = wait_for(pool.cabrank().run_async(|conn| -> Result<usize, Refusal> {
        conn.0 += 7;
        Ok(conn.0)
    }));
    assert_eq!(number.unwrap(), pool.get().unwrap().0);
    let failed = wait_for(pool.cabrank().run_async(|_| Err::<(), _>(Refusal)));
    assert!(matches!(failed, Err(RunError::User(_))), "{failed:?}");
    assert_eq!(server.count(|server| &server.opened), 1, "an error of the work's is none of the connection's");

    server.is_broken.store(true, Ordering::SeqCst);
    wait_for(pool.cabrank().run_async(|conn| Ok::<_, Refusal>(conn.0))).unwrap();
    server.is_broken.store(false, Ordering::SeqCst);
    eventually("it is closed", || pool.cabrank().stats().closed.by(CloseReason::BeyondReset) == 1);

    let panicked = wait_for(pool.cabrank().run_async(|_| -> Result<(), Refusal> { panic!("in the work") }));
    assert!(matches!(panicked, Err(RunError::Panicked(_))), "{panicked:?}");
    assert_eq!(pool.cabrank().stats().closed.by(CloseReason::Panicked), 1);

    drop(wait_for(pool.cabrank().get_async()).unwrap());
    assert!(wait_for(pool.cabrank().close_async(Duration::from_secs(5))).is_clean());
}

#[test]
fn the_error_of_a_check_goes_to_the_error_handler_and_its_connection_is_replaced() {
    #[derive(Debug)]
    struct Heard(Arc<AtomicUsize>);
    impl HandleError<Refusal> for Heard {
        fn handle_error(&self, _: Refusal) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let (server, heard) = (Server::new(), Arc::new(AtomicUsize::new(0)));
    let pool = Pool::builder().max_size(1).error_handler(Box::new(Heard(Arc::clone(&heard))));
    let pool = pool.cabrank(|settings| settings.check_after(Duration::ZERO)).build(server.manager()).unwrap();
    let first = pool.get().unwrap().0;
    server.fails_checks.store(true, Ordering::SeqCst);
    // A new one is lent without a check.
    assert_ne!(pool.get().unwrap().0, first);
    assert_eq!(heard.load(Ordering::SeqCst), 1);
    assert_eq!(pool.cabrank().stats().closed.by(CloseReason::CheckFailed), 1);
}

/// The records of the `log` crate, to which `tracing` hands its events when it has no subscriber.
struct Records(Mutex<Vec<String>>);

impl Log for Records {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn log(&self, record: &Record<'_>) {
        self.0.lock().unwrap().push(format!("{} {}", record.target(), record.args()));
    }
    fn flush(&self) {}
}

static RECORDS: Records = Records(Mutex::new(Vec::new()));

/// The drop-in chooses the limit of an attempt: a user of r2d2 has set none.
#[test]
fn a_short_time_out_is_no_reason_for_a_warning_unless_the_user_makes_it_one() {
    log::set_logger(&RECORDS).expect("no other test sets one");
    log::set_max_level(LevelFilter::Warn);
    let build = |name: &'static str, lifetime: Duration| {
        let settings = Pool::builder().connection_timeout(MOMENT).max_size(1).max_lifetime(Some(lifetime));
        let pool: Pool<Manager> =
            settings.cabrank(move |settings| settings.name(name)).build(Server::new().manager()).unwrap();
        assert_eq!(pool.cabrank().config().warnings()[0].field, "connect_timeout");
    };
    build("intended", Duration::from_secs(1_800));
    build("not meant", Duration::from_secs(1));
    let records = RECORDS.0.lock().unwrap();
    let of = |name: &str| records.iter().filter(|record| record.contains(name)).collect::<Vec<_>>();
    assert_eq!(of("intended"), Vec::<&String>::new());
    let [warning] = &of("not meant")[..] else { panic!("{records:?}") };
    assert!(warning.starts_with("cabrank::settings idle_timeout"), "{warning}");
}
