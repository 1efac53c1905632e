//! State that no reset removes costs its connection, and nothing else: the server counts as healthy as before.

use crate::support::{Guard, builder, closed_by};
use cabrank::{CloseReason, Pool, SessionPolicy, SessionState};
use cabrank_testing::fake::{Call, FakeConnection, FakeServer};
use cabrank_testing::{Recorder, eventually};
use std::time::Duration;

type Litter = fn(&mut FakeConnection);

/// Found by the look at the end of the loan, and by the reset.
const WAYS: [(Litter, usize); 2] = [(FakeConnection::litter_for_good, 0), (FakeConnection::litter_for_good_unseen, 1)];

#[test]
fn a_thousand_such_loans_cost_a_thousand_openings_and_no_doubt() {
    for (litter, resets) in WAYS {
        let (server, recorder) = (FakeServer::new(), Recorder::new());
        // A pause or a doubt would show: no borrower waits that long, and each check is counted.
        let settings = builder().max_size(2).check_after(Duration::MAX).backoff(LONG, LONG);
        let pool = settings.event_handler(recorder.clone()).build_lazy(server.manager()).unwrap();
        let other: Guard = pool.get().unwrap();
        for _ in 0..1000 {
            let mut conn = pool.get().unwrap();
            assert!(!conn.leftovers);
            conn.query().unwrap();
            litter(&mut conn);
        }
        drop(other);
        eventually("the last is closed", || recorder.count("closed") == 1000);
        drop(pool.get().unwrap());

        let stats = pool.stats();
        assert_eq!((stats.opened, closed_by(&pool, CloseReason::BeyondReset)), (1001, 1000));
        assert_eq!((stats.resets_failed, stats.open_failures, stats.timed_out, stats.refused), (0, 0, 0, 0));
        assert_eq!((server.count(Call::Close), server.count(Call::Reset)), (1000, 1000 * resets));
        assert_eq!((server.count(Call::Check), server.count(Call::Abort)), (0, 0), "no connection is under suspicion");
        let closed = |line: &&String| line.ends_with(": beyond_reset after 1");
        assert_eq!(recorder.events().iter().filter(closed).count(), 1000);
        let failed = |line: &&String| line.starts_with("reset") && !line.ends_with(": ok");
        assert_eq!(recorder.events().iter().find(failed), None);
        server.assert_no_leaks(&pool);
        server.assert_closes_clean(&pool);
    }
}

#[test]
fn only_where_sessions_are_looked_at() {
    for (policy, closed, resets) in
        [(SessionPolicy::Tracked, 1, 0), (SessionPolicy::Always, 1, 1), (SessionPolicy::Never, 0, 0)]
    {
        let server = FakeServer::new();
        let pool = builder().max_size(1).session_policy(policy).build_lazy(server.manager()).unwrap();
        pool.get().unwrap().litter_for_good();
        drop(pool.get().unwrap());
        assert_eq!((closed_by(&pool, CloseReason::BeyondReset), server.count(Call::Reset)), (closed, resets));
    }
}

#[test]
fn an_engine_in_this_process_says_goodbye_too() {
    for session in [SessionState::BeyondReset, SessionState::Slight, SessionState::Unknown] {
        let server = FakeServer::new();
        let pool = Pool::builder().max_size(1).build_lazy(server.engine()).unwrap();
        for _ in 0..50 {
            let mut conn = pool.get().unwrap();
            conn.litter_for_good();
            conn.session = session;
        }
        eventually("all are closed", || server.by_thread(Call::Close) == (50, 0));
        let stats = (pool.stats().resets_failed, closed_by(&pool, CloseReason::BeyondReset));
        assert_eq!(stats, (0, 50), "{session:?}");
        server.assert_no_leaks(&pool);
    }
}

/// A connection that is to be closed needs no set-up, and a failed one would count as a failure.
#[test]
fn nothing_is_set_up_that_is_closed() {
    let server = FakeServer::new();
    let pool = builder().max_size(1).on_open(server.set_up()).build_lazy(server.manager()).unwrap();
    pool.get().unwrap().litter_for_good_unseen();
    assert_eq!(pool.get().unwrap().set_ups, 1);
    assert_eq!((server.count(Call::OnOpen), closed_by(&pool, CloseReason::BeyondReset)), (2, 1));
}

const LONG: Duration = Duration::from_secs(60);
