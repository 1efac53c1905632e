//! The pool's reaction to each answer of an r2d2 manager.

use cabrank::{BuildError, CloseReason, Fault, Pool, SessionState};
use cabrank_r2d2::R2d2Manager;
use cabrank_testing::eventually;
use cabrank_testing::harness::alone;
use r2d2::ManageConnection;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

#[derive(Default)]
struct Server {
    is_broken: AtomicBool,
    is_dead: AtomicBool,
    panics: AtomicBool,
    asked: AtomicUsize,
    checked: AtomicUsize,
}

struct Made(Arc<Server>);

impl ManageConnection for Made {
    type Connection = Vec<&'static str>;
    type Error = io::Error;

    fn connect(&self) -> io::Result<Self::Connection> {
        Ok(Vec::new())
    }
    fn is_valid(&self, _: &mut Self::Connection) -> io::Result<()> {
        self.0.checked.fetch_add(1, Ordering::SeqCst);
        if self.0.is_dead.load(Ordering::SeqCst) { Err(io::ErrorKind::BrokenPipe.into()) } else { Ok(()) }
    }
    /// Dirt counts as broken, like an open transaction with Diesel.
    fn has_broken(&self, conn: &mut Self::Connection) -> bool {
        self.0.asked.fetch_add(1, Ordering::SeqCst);
        assert!(!self.0.panics.load(Ordering::SeqCst), "out of cheese");
        self.0.is_broken.load(Ordering::SeqCst) || conn.contains(&"dirt")
    }
}

fn has_broken_is_asked_once_a_loan_and_closes_the_connection() {
    let server = Arc::new(Server::default());
    let pool = Pool::builder().max_size(1).build(R2d2Manager::new(Made(Arc::clone(&server)))).unwrap();
    for loan in 1..=3 {
        pool.get().unwrap().push("used");
        assert_eq!(server.asked.load(Ordering::SeqCst), loan);
    }
    assert_eq!(pool.get().unwrap().len(), 3, "what a holder leaves behind is handed on");
    server.is_broken.store(true, Ordering::SeqCst);
    pool.get().unwrap().push("used");
    server.is_broken.store(false, Ordering::SeqCst);
    assert!(pool.get().unwrap().is_empty());
    assert_eq!(pool.stats().closed.by(CloseReason::BeyondReset), 1);
}

fn one_that_is_called_broken_and_answers_says_nothing_of_the_others() {
    let server = Arc::new(Server::default());
    let settings = Pool::builder().max_size(2).check_after(Duration::MAX).backoff(LONG, LONG);
    let pool = settings.build(R2d2Manager::new(Made(Arc::clone(&server)))).unwrap();
    for loan in 1..=20 {
        let (mut one, other) = (pool.get().unwrap(), pool.get().unwrap());
        one.push("dirt");
        drop((other, one));
        eventually("it is closed", || pool.stats().closed.by(CloseReason::BeyondReset) == loan);
    }
    drop((pool.get().unwrap(), pool.get().unwrap()));
    assert_eq!((server.checked.load(Ordering::SeqCst), pool.stats().opened), (20, 22));
}

fn one_that_is_called_broken_and_does_not_answer_has_the_others_checked() {
    let server = Arc::new(Server::default());
    let settings = Pool::builder().max_size(3).check_after(Duration::MAX);
    let pool = settings.build(R2d2Manager::new(Made(Arc::clone(&server)))).unwrap();
    let (mut one, others) = (pool.get().unwrap(), (pool.get().unwrap(), pool.get().unwrap()));
    drop(others);
    server.is_dead.store(true, Ordering::SeqCst);
    one.push("dirt");
    drop(one);
    eventually("it is closed", || pool.stats().closed.by(CloseReason::Broken) == 1);
    assert_eq!(pool.get().unwrap().len(), 0);
    assert_eq!(pool.stats().closed.by(CloseReason::CheckFailed), 2);
}

fn a_cleaner_is_asked_first_and_what_it_cannot_mend_ends() {
    let server = Arc::new(Server::default());
    let manager = R2d2Manager::new(Made(Arc::clone(&server))).clean(
        |conn| if conn.is_empty() { SessionState::Clean } else { SessionState::Unknown },
        |conn| match conn.contains(&"lost") {
            true => Err("it is lost".into()),
            false => {
                conn.clear();
                Ok(())
            }
        },
    );
    let pool = Pool::builder().max_size(1).build(manager).unwrap();
    // A session that the cleaner can clean is not broken, though the manager calls it so.
    pool.get().unwrap().push("dirt");
    assert!(pool.get().unwrap().is_empty());
    pool.get().unwrap().push("lost");
    assert!(pool.get().unwrap().is_empty());
    let stats = pool.stats();
    assert_eq!((stats.resets_done, stats.opened, stats.closed.by(CloseReason::ResetFailed)), (1, 2, 1));
}

fn an_error_of_connect_is_what_the_user_says() {
    struct Refusing;
    impl ManageConnection for Refusing {
        type Connection = ();
        type Error = io::Error;
        fn connect(&self) -> io::Result<()> {
            Err(io::Error::new(io::ErrorKind::PermissionDenied, "wrong password"))
        }
        fn is_valid(&self, _: &mut ()) -> io::Result<()> {
            Ok(())
        }
        fn has_broken(&self, _: &mut ()) -> bool {
            false
        }
    }
    let manager = R2d2Manager::new(Refusing).fault(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => Fault::Permanent,
        _ => Fault::Unavailable,
    });
    // It fails at once, and not after the ten seconds of `build_timeout`.
    let error = Pool::builder().build(manager).unwrap_err();
    assert!(matches!(error, BuildError::Connect(_)) && format!("{error:?}").contains("wrong password"), "{error:?}");
}

fn a_panic_of_the_manager_costs_one_connection() {
    let server = Arc::new(Server::default());
    let pool = Pool::builder().max_size(1).build(R2d2Manager::new(Made(Arc::clone(&server)))).unwrap();
    server.panics.store(true, Ordering::SeqCst);
    pool.get().unwrap().push("used");
    server.panics.store(false, Ordering::SeqCst);
    eventually("it is closed", || pool.stats().closed.by(CloseReason::Panicked) == 1);
    assert!(pool.get().unwrap().is_empty());
}

const LONG: Duration = Duration::from_secs(60);

cabrank_testing::tests! {
    alone:
        has_broken_is_asked_once_a_loan_and_closes_the_connection,
        one_that_is_called_broken_and_answers_says_nothing_of_the_others,
        one_that_is_called_broken_and_does_not_answer_has_the_others_checked,
        a_cleaner_is_asked_first_and_what_it_cannot_mend_ends,
        an_error_of_connect_is_what_the_user_says,
        a_panic_of_the_manager_costs_one_connection,
}
