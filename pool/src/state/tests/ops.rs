//! The operations on a pool, their random mix, and the settings under which they run.

use super::parking::Parking;
use super::waiting::{Leave, Manner};
use super::world::World;
use crate::config::Config;
use crate::gate::Refusal;
use crate::reason::CloseReason;
use proptest::prelude::*;
use std::time::Duration;

/// One operation. Its number picks one of the existing targets.
#[derive(Debug, Clone)]
pub(super) enum Op {
    /// A thread asks for a connection, and waits if there is none.
    Get,
    /// A task asks for a connection, and waits if there is none, up to this time-out or without one.
    GetAsTask(Option<Duration>),
    /// A task is never polled again.
    Forget(usize),
    /// A request asks for a connection, but does not wait.
    Try,
    /// A waiter looks, woken or not. A task is polled.
    Look(usize),
    /// A waiter's deadline passes, and it looks once more.
    GiveUp(usize),
    /// A waiter leaves without another look. A task is dropped.
    Leave(usize),
    /// A loan ends.
    Return(usize, Shape),
    /// A loan ends outside the lock.
    Park(usize, Parking),
    /// A thread takes the connection that it has parked.
    TakeParked(usize),
    Detach(usize),
    /// A connection dies where it is.
    Kill(usize),
    /// A lent connection is aborted.
    SeverLoan(usize),
    /// A worker ends a driver call.
    JobEnds(usize, End),
    /// Time passes, and alarms ring when due.
    Pass(Duration),
    /// The process freezes: alarms ring late, while the wall clock continues.
    Freeze(Duration),
    /// The wall clock is set.
    SetWall(Duration),
    Resize(usize, usize),
    EvictAll,
    Close,
}

/// The condition in which a connection is returned.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    Clean,
    Untouched,
    Soiled,
    Condemned(CloseReason),
}

/// How a driver call ends.
#[derive(Debug, Clone, Copy)]
pub(super) enum End {
    Well,
    Failed(Refusal),
    /// With the answer that the server is not in the required role.
    WrongRole,
}

impl World {
    pub(super) fn play(&mut self, op: Op) {
        match op {
            Op::Get => self.request(self.now, Manner::Thread),
            Op::GetAsTask(timeout) => {
                let deadline = timeout.map(|timeout| self.now + timeout);
                self.request(self.now, Manner::Task(deadline));
            }
            Op::Forget(pick) => self.forget(pick),
            Op::Try => self.request(self.now, Manner::Try),
            Op::Look(pick) => self.on_waiter(pick, Leave::No),
            Op::GiveUp(pick) => self.on_waiter(pick, Leave::AfterLook),
            Op::Leave(pick) => self.on_waiter(pick, Leave::AtOnce),
            Op::Return(pick, shape) => self.check_in(pick, shape),
            Op::Park(pick, parking) => self.park(pick, parking),
            Op::TakeParked(seat) => self.take_parked(seat),
            Op::Detach(pick) => self.detach(pick),
            Op::Kill(pick) => self.kill(pick),
            Op::SeverLoan(pick) => self.abort_loan(pick),
            Op::JobEnds(pick, end) => {
                if !self.jobs.is_empty() {
                    self.end_job(pick % self.jobs.len(), end);
                }
            }
            Op::Pass(span) => self.pass(span),
            Op::Freeze(span) => self.freeze(span),
            Op::SetWall(wall) => self.wall = wall,
            Op::Resize(max, min) => self.resize(max, min.min(max)),
            Op::EvictAll => self.evict_all(),
            Op::Close => self.close(),
        }
    }

    fn resize(&mut self, max_size: usize, min_idle: usize) {
        (self.config.max_size, self.config.min_idle) = (max_size as u32, min_idle as u32);
        let now = self.now;
        self.with(|state, actions| state.resize(max_size, min_idle, now, actions));
        self.check();
    }

    fn evict_all(&mut self) {
        self.book.evictions += 1;
        let now = self.now;
        self.book.retry_now(now);
        self.with(|state, actions| state.evict_all(now, actions));
        self.check();
    }

    pub(super) fn close(&mut self) {
        let (now, first) = (self.now, !self.book.closed);
        self.book.closed = true;
        assert_eq!(self.with(|state, actions| state.close(now, actions)), first);
        self.check();
    }
}

/// Closing is not part of the mix, because it ends everything: the tests close.
pub(super) fn op() -> impl Strategy<Value = Op> {
    let pick = || any::<usize>();
    prop_oneof![
        8 => Just(Op::Get),
        8 => timeout().prop_map(Op::GetAsTask),
        1 => pick().prop_map(Op::Forget),
        2 => Just(Op::Try),
        8 => pick().prop_map(Op::Look),
        2 => pick().prop_map(Op::GiveUp),
        2 => pick().prop_map(Op::Leave),
        10 => (pick(), shape()).prop_map(|(pick, shape)| Op::Return(pick, shape)),
        8 => (pick(), parking()).prop_map(|(pick, parking)| Op::Park(pick, parking)),
        6 => (0usize..2).prop_map(Op::TakeParked),
        1 => pick().prop_map(Op::Detach),
        1 => pick().prop_map(Op::Kill),
        1 => pick().prop_map(Op::SeverLoan),
        14 => (pick(), end()).prop_map(|(pick, end)| Op::JobEnds(pick, end)),
        10 => span().prop_map(Op::Pass),
        1 => span().prop_map(Op::Freeze),
        1 => span().prop_map(Op::SetWall),
        1 => (1usize..=4, 0usize..=3).prop_map(|(max, min)| Op::Resize(max, min)),
        1 => Just(Op::EvictAll),
    ]
}

fn timeout() -> impl Strategy<Value = Option<Duration>> {
    let span =
        prop_oneof![(1u64..2_000).prop_map(Duration::from_micros), (2u64..5_000).prop_map(Duration::from_millis)];
    prop::option::of(span)
}

fn shape() -> impl Strategy<Value = Shape> {
    prop_oneof![
        5 => Just(Shape::Clean),
        1 => Just(Shape::Untouched),
        3 => Just(Shape::Soiled),
        1 => Just(Shape::Condemned(CloseReason::Broken)),
        1 => Just(Shape::Condemned(CloseReason::WrongRole)),
        1 => Just(Shape::Condemned(CloseReason::Discarded)),
    ]
}

fn parking() -> impl Strategy<Value = Parking> {
    (0usize..2, any::<bool>(), prop::bool::weighted(0.2)).prop_map(|(seat, touched, is_late)| Parking {
        seat,
        touched,
        is_late,
    })
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![
        8 => Just(End::Well),
        2 => Just(End::Failed(Refusal::Unavailable)),
        1 => Just(End::WrongRole),
        1 => Just(End::Failed(Refusal::Capacity)),
        1 => Just(End::Failed(Refusal::Permanent)),
    ]
}

/// From nothing to minutes, each order of magnitude with equal weight.
fn span() -> impl Strategy<Value = Duration> {
    prop_oneof![
        Just(Duration::ZERO),
        (1u64..2_000).prop_map(Duration::from_micros),
        (1u64..200).prop_map(Duration::from_millis),
        (200u64..5_000).prop_map(Duration::from_millis),
        (5u64..120).prop_map(Duration::from_secs),
    ]
}

pub(super) fn settings() -> impl Strategy<Value = Config> {
    let or_never = |span: Duration| prop_oneof![Just(span), Just(Duration::MAX)];
    let windows = prop_oneof![Just(Duration::ZERO), Just(Duration::from_millis(1)), Just(Duration::from_secs(1))];
    let check_after = prop_oneof![Just(Duration::ZERO), Just(Duration::from_secs(1)), Just(Duration::MAX)];
    (
        (1u32..=4, 0u32..=3),
        windows,
        check_after,
        or_never(Duration::from_secs(20)),
        or_never(Duration::from_secs(5)),
        or_never(Duration::from_secs(2)),
        or_never(Duration::from_secs(3)),
        prop_oneof![4 => Just(None), 1 => Just(Some(2))],
        prop_oneof![Just(Duration::from_millis(1)), Just(Duration::from_millis(50)), Just(Duration::MAX)],
    )
        .prop_map(
            |(sizes, window, check_after, lifetime, idle, keepalive, leak_after, max_waiters, reclaim_after)| {
                let (max, min) = sizes;
                Config {
                    max_size: max,
                    min_idle: min.min(max),
                    fairness_window: window,
                    check_after,
                    max_lifetime: lifetime,
                    idle_timeout: idle,
                    keepalive,
                    leak_after,
                    max_waiters,
                    reclaim_after,
                    ..Config::default()
                }
            },
        )
}
