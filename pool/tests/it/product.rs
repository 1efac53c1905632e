//! All combinations of all ways in which each call can end: no slot is lost, and every guarantee holds.

use crate::support::{builder, ms};
use cabrank::{Fault, PooledConnection, SessionPolicy, SessionState};
use cabrank_testing::fake::{Call, FakeServer, Outcome};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const ENDS: [Outcome; 5] =
    [Outcome::Ok, Outcome::Err(Fault::Fatal), Outcome::Slow(ms(5)), Outcome::Never, Outcome::Panic];

#[test]
fn no_slot_is_lost_however_connect_check_reset_and_close_end() {
    let trials: Vec<Trial> = product([Call::Connect, Call::Check, Call::Reset, Call::Close]).collect();
    assert_eq!(run_all(trials, LONG_RUN), 625);
}

#[test]
fn no_slot_is_lost_without_an_abort_handle() {
    // Without an abort handle only a connect can be aborted: any other unanswered call keeps its slot until it is released.
    let trials = product([Call::Connect, Call::Check, Call::Reset, Call::Close])
        .filter(|trial| trial.orders.iter().filter(|(_, verdict)| *verdict != Outcome::Ok).count() <= 2)
        .map(|trial| Trial { abort_handles: false, ..trial })
        .collect();
    assert_eq!(run_all(trials, LONG_RUN), 1 + 4 * 4 + 6 * 16);
}

#[test]
fn no_slot_is_lost_however_a_hook_ends_alone_or_with_another() {
    let hooks = [
        Call::OnOpen,
        Call::HasBroken,
        Call::Session,
        Call::Fault,
        Call::AbortHandle,
        Call::Abort,
        Call::Event,
        Call::Destroy,
    ];
    let ends = [Outcome::Ok, Outcome::Err(Fault::Fatal), Outcome::Slow(ms(5)), Outcome::Panic];
    let mut trials = Vec::new();
    for (n, &one) in hooks.iter().enumerate() {
        for end in &ends[1..] {
            trials.push(Trial::new([(one, *end)]));
        }
        for &other in &hooks[n + 1..] {
            for (end, other_end) in pairs(&ends[1..], &ends[1..]) {
                trials.push(Trial::new([(one, end), (other, other_end)]));
            }
        }
        // Combined with each end of a call to the server.
        for call in [Call::Connect, Call::Check, Call::Reset, Call::Close] {
            for (end, other_end) in pairs(&ends[1..], &ENDS[1..]) {
                trials.push(Trial::new([(one, end), (call, other_end)]));
            }
        }
    }
    assert_eq!(run_all(trials, SHORT_RUN), 8 * 3 + 28 * 9 + 8 * 4 * 12);
}

#[test]
fn no_slot_is_lost_whatever_is_known_of_the_session() {
    use SessionState::{BeyondReset, Clean, InDoubt, InTransaction, Slight, Unknown};
    let mut trials = Vec::new();
    for policy in [SessionPolicy::Tracked, SessionPolicy::Always, SessionPolicy::Never] {
        for session in [Clean, Slight, InTransaction, Unknown, BeyondReset, InDoubt] {
            let call = if session == InDoubt { Call::Check } else { Call::Reset };
            for (end, other_end) in pairs(&ENDS, &ENDS) {
                trials.push(Trial { policy, session, ..Trial::new([(call, end), (Call::Close, other_end)]) });
            }
        }
    }
    assert_eq!(run_all(trials, SHORT_RUN), 18 * 25);
}

/// The troubles of one pool.
struct Trial {
    orders: Vec<(Call, Outcome)>,
    policy: SessionPolicy,
    session: SessionState,
    abort_handles: bool,
}

impl Trial {
    fn new(orders: impl IntoIterator<Item = (Call, Outcome)>) -> Self {
        let orders = orders.into_iter().collect();
        Self { orders, policy: SessionPolicy::Tracked, session: SessionState::Unknown, abort_handles: true }
    }

    /// A few threads borrow and return during the troubles; afterwards everything must be well again.
    fn run(&self, timeout: Duration) {
        let server = FakeServer::new();
        server.allow(SIZE as usize);
        let pool = builder()
            .max_size(SIZE)
            .acquire_timeout(Duration::from_secs(10))
            .connect_timeout(LIMIT)
            .check_timeout(LIMIT)
            .reset_timeout(LIMIT)
            .close_timeout(LIMIT)
            .check_after(Duration::ZERO)
            .backoff(ms(10), ms(15))
            .session_policy(self.policy)
            .on_open(server.set_up())
            .event_handler(server.recorder())
            .build_lazy(server.manager())
            .unwrap();
        if !self.abort_handles {
            server.without_abort_handles();
        }
        self.orders.iter().for_each(|&(call, verdict)| server.order(call, verdict));
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    for _ in 0..LOANS {
                        let Ok(mut conn) = pool.get_timeout(timeout) else { continue };
                        conn.session = self.session;
                        let _ = conn.query();
                        if self.session == SessionState::Clean {
                            PooledConnection::discard(conn);
                        }
                    }
                });
            }
        });
        server.heal();
        server.assert_no_leaks(&pool);
        server.assert_closes_clean(&pool);
    }
}

/// Runs all trials, a few at a time, and returns their number.
fn run_all(trials: Vec<Trial>, timeout: Duration) -> usize {
    let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let trials = Arc::new(trials);
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(trial) = trials.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| trial.run(timeout)));
                    assert!(outcome.is_ok(), "failed with {:?}, abort handles: {}", trial.orders, trial.abort_handles);
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    println!("{} combinations", done.load(Ordering::Relaxed));
    done.into_inner()
}

fn product(calls: [Call; 4]) -> impl Iterator<Item = Trial> {
    (0..ENDS.len().pow(4)).map(move |n| {
        let end = |place: usize| ENDS[n / ENDS.len().pow(place as u32) % ENDS.len()];
        Trial::new(std::array::from_fn::<_, 4, _>(|place| (calls[place], end(place))))
    })
}

fn pairs<'a>(ones: &'a [Outcome], others: &'a [Outcome]) -> impl Iterator<Item = (Outcome, Outcome)> + 'a {
    ones.iter().flat_map(move |&one| others.iter().map(move |&other| (one, other)))
}

const SIZE: u32 = 2;
const THREADS: usize = 3;
const LOANS: usize = 3;
const AT_ONCE: usize = 8;
/// The limit of each driver call.
const LIMIT: Duration = ms(25);
/// How long the borrowers wait.
const LONG_RUN: Duration = ms(60);
const SHORT_RUN: Duration = ms(30);
