//! Connections that die young cost an occasional log-in, not one for each loan. Occasionally killed ones cost no borrower a wait.

use crate::stale::pass;
use crate::support::{SLACK, builder, ms, pool_of};
use cabrank::{AbortHandle, Fault, Limit, Manager, Pool, PooledConnection, SessionState};
use cabrank_testing::fake::{Call, FakeConnection, FakeError, FakeManager, FakeServer, Outcome};
use cabrank_testing::panics::hush;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

#[test]
fn connections_that_live_for_a_millisecond_are_opened_now_and_then_and_named() {
    for (crowd, loan) in [(1, ms(0)), (20, ms(0)), (1, ms(2)), (20, ms(2))] {
        let server = FakeServer::new();
        let lives = Lives::new(ms(1));
        let pool = Pool::builder().max_size(10).build_lazy(Mayfly(server.manager(), Arc::clone(&lives))).unwrap();
        let told = storm(&pool, crowd, |conn| {
            let _ = conn.id;
            if !loan.is_zero() {
                pass(loan);
            }
        });
        // On a busy machine a look comes late, and finds some dead before their first loan: then there are two rows of deaths. The
        // simulation shows the exact number of attempts, and that they are named, if nothing is late.
        assert!(server.count(Call::Connect) <= 80, "{crowd} borrow: {} attempts", server.count(Call::Connect));
        assert!(is_named(&told, "a new connection was"), "{crowd}, {loan:?}: {told:?}");
        lives.last(Duration::MAX);
        drop(pool.get().unwrap());
    }
}

#[test]
fn one_new_connection_that_breaks_is_not_told_as_a_failure_to_connect() {
    let server = FakeServer::new();
    let pool = pool_of(&server, 1);
    let mut conn = pool.get().unwrap();
    server.next(Call::Query, Outcome::Err(Fault::Fatal));
    let error = conn.query().unwrap_err();
    PooledConnection::report_error(&mut conn, &error);
    drop(conn);
    let _held = pool.get().unwrap();
    let error = pool.get_timeout(ms(20)).unwrap_err();
    assert!(error.report().is_some_and(|report| report.last_connect_error.is_none()), "{error}");
}

#[test]
fn connections_that_die_in_their_first_loan_are_opened_now_and_then_and_named() {
    for crowd in [1, 20] {
        let server = FakeServer::new();
        let pool = pool_of(&server, 10);
        server.order(Call::Query, Outcome::Err(Fault::Fatal));
        let told = storm(&pool, crowd, |conn| {
            let error = conn.query().unwrap_err();
            PooledConnection::report_error(conn, &error);
        });
        assert!(server.count(Call::Connect) <= 40, "{crowd} borrow: {} attempts", server.count(Call::Connect));
        assert!(is_named(&told, "broken after its first loan"), "{told:?}");
        server.heal();
        pool.get().unwrap().query().unwrap();
    }
}

#[test]
fn connections_whose_return_panics_are_opened_now_and_then_and_named() {
    hush();
    // `has_broken` is also called before a loan, so only a single borrower gets the next answer for itself.
    for (crowd, call) in [(1, Call::HasBroken), (1, Call::Session), (20, Call::Session)] {
        let server = FakeServer::new();
        let pool = pool_of(&server, 10);
        let told = storm(&pool, crowd, |conn| {
            conn.litter();
            server.next(call, Outcome::Panic);
        });
        assert!(
            server.count(Call::Connect) <= 40,
            "{call:?}, {crowd} borrow: {} attempts",
            server.count(Call::Connect)
        );
        let why = "the manager or `on_return` panicked when a new connection was returned";
        assert!(is_named(&told, why), "{call:?}, {crowd} borrow: {told:?}");
        server.heal();
        server.assert_no_leaks(&pool);
    }
}

#[test]
fn connections_that_fail_each_reset_are_opened_now_and_then_and_named() {
    for (crowd, outcome) in [(1, Outcome::Err(Fault::Fatal)), (20, Outcome::Err(Fault::Fatal)), (20, Outcome::Never)] {
        let server = FakeServer::new();
        server.allow(10);
        let pool = builder().max_size(10).reset_timeout(ms(5)).build_lazy(server.manager()).unwrap();
        server.order(Call::Reset, outcome);
        let told = storm(&pool, crowd, |conn| conn.litter());
        assert!(server.count(Call::Connect) <= 40, "{crowd} borrow: {} attempts", server.count(Call::Connect));
        let why = match outcome {
            Outcome::Err(_) => "a new connection failed its reset: Reset failed: Fatal",
            _ => "a new connection failed its reset",
        };
        assert!(is_named(&told, why), "{told:?}");
        server.heal();
        pool.get().unwrap().litter();
        drop(pool.get().unwrap());
    }
}

#[test]
fn connections_that_are_in_doubt_and_do_not_answer_are_opened_now_and_then_and_named() {
    for crowd in [1, 20] {
        let server = FakeServer::new();
        let pool = pool_of(&server, 10);
        server.order(Call::Check, Outcome::Err(Fault::Fatal));
        let told = storm(&pool, crowd, |conn| conn.session = SessionState::InDoubt);
        assert!(server.count(Call::Connect) <= 40, "{crowd} borrow: {} attempts", server.count(Call::Connect));
        assert!(is_named(&told, "a new connection was broken after its first loan"), "{crowd} borrow: {told:?}");
        server.heal();
        drop(pool.get().unwrap());
        server.assert_no_leaks(&pool);
    }
}

#[test]
fn an_engine_whose_every_reset_fails_is_opened_now_and_then() {
    let server = FakeServer::new();
    let pool = Pool::builder().max_size(10).build_lazy(server.engine()).unwrap();
    server.order(Call::Reset, Outcome::Err(Fault::Fatal));
    storm(&pool, 4, |conn| conn.litter());
    assert!(server.count(Call::Connect) <= 40, "{} attempts", server.count(Call::Connect));
}

/// Whether the report of a timed-out request contains a connect error.
fn tells_of_an_error<const R: bool>(pool: &Pool<FakeManager<R>>) -> bool {
    let error = pool.get_timeout(ms(5)).unwrap_err();
    error.report().expect("it ran out of time").last_connect_error.is_some()
}

#[test]
fn a_new_connection_of_an_engine_that_can_be_reset_settles_what_the_last_ones_left_in_doubt() {
    let server = FakeServer::new();
    let pool = Pool::builder().max_size(1).build_lazy(server.engine()).unwrap();
    for _ in 0..2 {
        server.next(Call::Reset, Outcome::Err(Fault::Fatal));
        pool.get().unwrap().litter_slightly();
    }
    let mut third = pool.get().unwrap();
    assert!(tells_of_an_error(&pool), "two could not be reset");
    third.litter_slightly();
    drop(third);
    let _held = pool.get().unwrap();
    assert!(!tells_of_an_error(&pool), "the third could");
    assert_eq!(server.count(Call::Connect), 3);
}

#[test]
fn a_new_connection_whose_check_takes_too_long_is_no_failure_to_connect_and_one_whose_check_fails_is() {
    for (outcome, is_told) in [(Outcome::Never, false), (Outcome::Err(Fault::Fatal), true)] {
        let server = FakeServer::new();
        server.allow(4);
        let pool = builder().max_size(1).check_after(ms(0)).check_timeout(ms(5)).build_lazy(server.manager()).unwrap();
        server.order(Call::Check, outcome);
        for _ in 0..3 {
            drop(pool.get().unwrap());
            pass(ms(1));
        }
        let _held = pool.get().unwrap();
        // One for each loan after the first, and one more for each new connection that its borrower took late.
        assert!(server.count(Call::Check) >= 3, "{outcome:?}");
        assert_eq!(tells_of_an_error(&pool), is_told, "{outcome:?}");
    }
}

#[test]
fn sessions_that_are_killed_at_random_are_replaced_at_once_where_others_serve() {
    let server = FakeServer::new();
    let lives = Lives::new(Duration::MAX);
    let pool = Pool::builder().max_size(10).build_lazy(Mayfly(server.manager(), Arc::clone(&lives))).unwrap();
    let until = Instant::now() + ms(3_000);
    let (tries, kills) = thread::scope(|scope| {
        let borrow = || {
            while Instant::now() < until {
                let conn = pool.get().unwrap();
                let _ = conn.id;
                pass(ms(2));
            }
        };
        for _ in 0..20 {
            scope.spawn(borrow);
        }
        let (mut random, mut tries, mut kills) = (fastrand::Rng::with_seed(9), 0, 0);
        while Instant::now() < until {
            pass(ms(20));
            tries += 1;
            kills += usize::from(lives.kill(|count| random.usize(0..count)));
        }
        (tries, kills)
    });
    // If openings are put off, there is soon no session left to kill.
    assert!(kills * 10 >= tries * 9, "{kills} of {tries}");
    assert!(server.count(Call::Connect) >= kills);
}

#[test]
fn what_its_holder_discards_is_no_death() {
    let server = FakeServer::new();
    let pool = pool_of(&server, 1);
    for _ in 0..100 {
        PooledConnection::discard(pool.get_timeout(SLACK).unwrap());
    }
    assert_eq!(server.count(Call::Connect), 100);
}

/// For two seconds `crowd` threads borrow without a pause. Returns the errors of those that timed out.
fn storm<M>(pool: &Pool<M>, crowd: u32, hold: impl Fn(&mut PooledConnection<M>) + Sync) -> Vec<String>
where
    M: Manager<Error = FakeError>,
{
    thread::scope(|scope| {
        let borrow = || {
            let (until, mut told) = (Instant::now() + ms(2_000), Vec::new());
            while Instant::now() < until {
                match pool.get_timeout(ms(300)) {
                    Ok(mut conn) => hold(&mut conn),
                    Err(error) => told.push(format!("{error:?}")),
                }
            }
            told
        };
        let borrowers: Vec<_> = (0..crowd).map(|_| scope.spawn(borrow)).collect();
        borrowers.into_iter().flat_map(|borrower| borrower.join().unwrap()).collect()
    })
}

/// A request that timed out after another cause may name that one.
fn is_named(told: &[String], why: &str) -> bool {
    told.iter().any(|told| told.contains(why))
}

/// The lifetime of sessions, and the start of the present ones.
struct Lives {
    life: Mutex<Duration>,
    born: Mutex<BTreeMap<usize, Instant>>,
}

impl Lives {
    fn new(life: Duration) -> Arc<Self> {
        Arc::new(Self { life: Mutex::new(life), born: Mutex::default() })
    }

    fn last(&self, life: Duration) {
        *self.life.lock().unwrap() = life;
    }

    /// Ends one session, which `pick` chooses by their number, if there is one.
    fn kill(&self, pick: impl FnOnce(usize) -> usize) -> bool {
        let mut born = self.born.lock().unwrap();
        let picked = (!born.is_empty()).then(|| pick(born.len()));
        let id = picked.and_then(|place| born.keys().nth(place).copied());
        id.and_then(|id| born.remove(&id)).is_some()
    }

    fn are_over(&self, id: usize) -> bool {
        let life = *self.life.lock().unwrap();
        let mut born = self.born.lock().unwrap();
        let over = born.get(&id).is_none_or(|born| born.elapsed() >= life);
        if over {
            born.remove(&id);
        }
        over
    }
}

/// The driver of a server whose sessions end on their own, which the driver sees.
struct Mayfly(FakeManager, Arc<Lives>);

impl Manager for Mayfly {
    type Connection = FakeConnection;
    type Error = FakeError;

    fn connect(&self, limit: &Limit) -> Result<FakeConnection, FakeError> {
        let conn = self.0.connect(limit)?;
        self.1.born.lock().unwrap().insert(conn.id, Instant::now());
        Ok(conn)
    }

    fn is_valid(&self, conn: &mut FakeConnection, limit: &Limit) -> Result<(), FakeError> {
        self.0.is_valid(conn, limit)
    }

    fn has_broken(&self, conn: &mut FakeConnection) -> bool {
        self.1.are_over(conn.id)
    }

    fn session(&self, conn: &mut FakeConnection) -> SessionState {
        self.0.session(conn)
    }

    fn reset(&self, conn: &mut FakeConnection, limit: &Limit) -> Result<(), FakeError> {
        self.0.reset(conn, limit)
    }

    fn close(&self, conn: FakeConnection, limit: &Limit) {
        self.0.close(conn, limit);
    }

    fn fault(&self, error: &FakeError) -> Fault {
        self.0.fault(error)
    }

    fn abort_handle(&self, conn: &FakeConnection) -> Option<Box<dyn AbortHandle>> {
        self.0.abort_handle(conn)
    }
}
