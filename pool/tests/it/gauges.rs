//! A handler that counts up at one event and down at another: it sees each connection's life in order, and agrees with the pool.

use crate::support::{builder, ms};
use cabrank::{CheckedIn, CheckedOut, CloseReason, ConnectionClosed, EventHandler, Fault, Opened, PooledConnection};
use cabrank_testing::eventually;
use cabrank_testing::fake::{Call, FakeServer, Outcome};
use cabrank_testing::panics::ORDERED;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

#[test]
fn a_handler_that_counts_agrees_with_the_pool_after_stress() {
    let server = FakeServer::new();
    let gauges = Arc::new(Gauges::default());
    let pool = builder()
        .max_size(4)
        .check_after(ms(1))
        .max_lifetime(ms(40))
        .event_handler(Arc::clone(&gauges) as _)
        .build_lazy(server.manager())
        .unwrap();
    let until = Instant::now() + Duration::from_secs(2);
    std::thread::scope(|scope| {
        for seed in 0..8 {
            let (server, pool) = (&server, &pool);
            scope.spawn(move || {
                let mut random = 0x9E37_79B9_7F4A_7C15_u64 + seed;
                while Instant::now() < until {
                    random ^= random << 13;
                    random ^= random >> 7;
                    random ^= random << 17;
                    let Ok(mut conn) = pool.get_timeout(ms(random % 3 * 100)) else { continue };
                    match random % 40 {
                        0 => PooledConnection::discard(conn),
                        1 => {
                            conn.say_goodbye();
                            drop(PooledConnection::detach(conn));
                        }
                        2 => {
                            let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                                let _conn = conn;
                                panic!("{ORDERED}");
                            }));
                            assert!(panic.is_err());
                        }
                        3 => conn.litter(),
                        // Rarely: a pool whose young connections fail repeatedly opens them with pauses.
                        4 if random % 640 == 4 => server.next(Call::Reset, Outcome::Err(Fault::Fatal)),
                        5 if random % 640 == 5 => server.next(Call::Check, Outcome::Panic),
                        6 if random % 640 == 6 => server.next(Call::HasBroken, Outcome::Err(Fault::Fatal)),
                        7 => pool.evict_all(),
                        _ => {}
                    }
                }
            });
        }
    });
    server.heal();
    eventually("nothing is under way", || {
        let stats = pool.stats();
        stats.opening + stats.checking + stats.resetting + stats.closing + stats.aborted == 0
    });
    let stats = pool.stats();
    let counted = gauges.0.lock().unwrap();
    assert_eq!(counted.faults, Vec::<String>::new());
    assert_eq!((counted.open, counted.in_use), (i64::from(stats.open), i64::from(stats.in_use)));
    assert_eq!((counted.opened, counted.returned), (stats.opened, stats.returned));
    for &reason in CloseReason::ALL {
        assert_eq!(counted.closed.get(&reason).copied().unwrap_or(0), stats.closed.by(reason), "{reason}");
    }
    for reason in [CloseReason::Discarded, CloseReason::Detached, CloseReason::Panicked, CloseReason::Evicted] {
        assert!(stats.closed.by(reason) > 0, "{reason}");
    }
    println!("{} loans, {} opened, at most {} open at once", stats.returned, stats.opened, counted.most_open);
    // On a very busy machine a check may be aborted for being late: its slot is free before it returns.
    let most = 4 + i64::try_from(stats.closed.by(CloseReason::Overran)).unwrap();
    assert!(counted.most_open <= most, "{} were open at once according to the events", counted.most_open);
    drop(counted);
    server.assert_closes_clean(&pool);
}

#[derive(Default)]
struct Gauges(Mutex<Counted>);

#[derive(Default)]
struct Counted {
    opened: u64,
    returned: u64,
    open: i64,
    most_open: i64,
    in_use: i64,
    closed: HashMap<CloseReason, u64>,
    /// Whether each open connection is lent.
    lent: HashMap<u64, bool>,
    faults: Vec<String>,
}

impl Counted {
    fn expect(&mut self, id: u64, was: Option<bool>, what: &str) {
        let lent = self.lent.get(&id).copied();
        if lent != was {
            self.faults.push(format!("{what} {id}, which is {lent:?}"));
        }
    }
}

impl EventHandler for Gauges {
    fn opened(&self, event: &Opened<'_>) {
        let mut counted = self.0.lock().unwrap();
        counted.expect(event.id, None, "opened");
        counted.lent.insert(event.id, false);
        counted.opened += 1;
        counted.open += 1;
        counted.most_open = counted.most_open.max(counted.open);
    }
    fn checked_out(&self, event: &CheckedOut<'_>) {
        let mut counted = self.0.lock().unwrap();
        counted.expect(event.id, Some(false), "checked out");
        counted.lent.insert(event.id, true);
        counted.in_use += 1;
    }
    fn checked_in(&self, event: &CheckedIn<'_>) {
        let mut counted = self.0.lock().unwrap();
        counted.expect(event.id, Some(true), "checked in");
        counted.lent.insert(event.id, false);
        counted.in_use -= 1;
        counted.returned += 1;
    }
    fn closed(&self, event: &ConnectionClosed<'_>) {
        let mut counted = self.0.lock().unwrap();
        counted.expect(event.id, Some(false), "closed");
        counted.lent.remove(&event.id);
        counted.open -= 1;
        *counted.closed.entry(event.reason).or_default() += 1;
    }
}
