//! A scenario as a value: settings, server, process, borrowers, what happens when, and the bounds on what comes of it.

use super::bounds::Bounds;
use super::process::WakeUp;
use super::server::{Connects, Flaw, Latency};
use crate::config::Config;
use std::time::Duration;

#[derive(Clone)]
pub(super) struct Scenario {
    pub(super) name: String,
    pub(super) config: Config,
    /// The round trip, and of what a log-in is made: so many round trips, and work.
    pub(super) server: (Latency, u32, Duration),
    pub(super) wake_up: WakeUp,
    /// When the server stands still, and when the process does: since when and how long.
    pub(super) freezes: Vec<(Duration, Duration)>,
    pub(super) stalls: Vec<(Duration, Duration)>,
    pub(super) groups: Vec<Group>,
    pub(super) script: Vec<(Duration, Shock)>,
    /// Which gets and attempts are judged.
    pub(super) judged: (Duration, Duration),
    pub(super) length: Duration,
    pub(super) seeds: u64,
    pub(super) bounds: Bounds,
}

/// What happens to the world at a moment of the script.
#[derive(Debug, Clone)]
pub(super) enum Shock {
    RoundTrip(Latency),
    Connects(Connects),
    /// So many lines, the oldest first, swallow everything from now on.
    Swallow(usize),
    /// So many sessions, the oldest first, are ended by the server.
    Kill(usize),
    /// So many sessions, the oldest first, have a server from now on that is not in the role that is asked for.
    Demote(usize),
    ChecksFail,
    Flaw(Flaw),
    /// Sessions that begin from now on live so long.
    Life(Duration),
    EvictAll,
}

/// Threads, or tasks, that do the same.
#[derive(Debug, Clone)]
pub(super) struct Group {
    pub(super) count: usize,
    pub(super) begins: Duration,
    /// How much later each begins than the one before it.
    pub(super) apart: Duration,
    pub(super) ends: Duration,
    pub(super) rounds: usize,
    pub(super) loan: (Duration, Duration),
    /// In place of that: each loan is until then.
    pub(super) loan_until: Option<Duration>,
    pub(super) pause: (Duration, Duration),
    /// After so many loans they rest so long.
    pub(super) bursts: Option<(usize, Duration)>,
    /// The time-out of a get.
    pub(super) patience: Duration,
    /// The share of loans that end with a reset.
    pub(super) resets: f64,
    /// They use what they borrow. A loan that does not shows nothing of the server.
    pub(super) touch: bool,
    /// `None`: they are threads.
    pub(super) tasks: Option<Tasks>,
}

/// How tasks are treated that borrow.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tasks {
    /// How much later than it is woken a task is polled.
    pub(super) late: (Duration, Duration),
    /// The share of the wake-ups after which nobody polls it for so long.
    pub(super) asleep: (f64, Duration),
    /// The share of the waits in which the future is dropped, and within which time.
    pub(super) dropped: (f64, Duration),
}

impl Tasks {
    /// They are polled as soon as they are woken.
    pub(super) const PROMPT: Self =
        Self { late: (Duration::ZERO, Duration::ZERO), asleep: (0.0, Duration::ZERO), dropped: (0.0, Duration::ZERO) };
    /// They are polled once.
    pub(super) const FORGOTTEN: Self = Self { late: (A_DAY, A_DAY), ..Self::PROMPT };
}

impl Group {
    /// They hold for a millisecond, again and again without a pause, and wait for as long as it takes.
    pub(super) fn of(count: usize) -> Self {
        let (moment, none) = (Duration::from_millis(1), Duration::ZERO);
        Self {
            count,
            begins: none,
            apart: none,
            ends: A_DAY,
            rounds: usize::MAX,
            loan: (moment, moment),
            loan_until: None,
            pause: (none, none),
            bursts: None,
            patience: Duration::from_secs(30),
            resets: 0.0,
            touch: true,
            tasks: None,
        }
    }

    /// As [`of`](Self::of), and they are tasks.
    pub(super) fn of_tasks(count: usize, tasks: Tasks) -> Self {
        Self { tasks: Some(tasks), ..Self::of(count) }
    }

    /// So many connections are lent until then, once: after that they are idle.
    pub(super) fn warm(count: usize, until: Duration) -> Self {
        Self { rounds: 1, loan_until: Some(until), patience: A_DAY, ..Self::of(count) }
    }
}

impl Scenario {
    /// A pool of this size beside a server 1 ms away, whose log-in takes seven round trips. Nobody borrows yet.
    pub(super) fn new(name: impl Into<String>, size: u32) -> Self {
        Self {
            name: name.into(),
            config: Config { max_size: size, ..Config::default() },
            server: (Latency::Constant(ms(1)), 7, Duration::ZERO),
            wake_up: WakeUp::UpTo(us(100)),
            freezes: Vec::new(),
            stalls: Vec::new(),
            groups: Vec::new(),
            script: Vec::new(),
            judged: (Duration::ZERO, A_DAY),
            length: s(20),
            seeds: 5,
            bounds: Bounds::default(),
        }
    }

    /// As [`new`](Self::new), but `idle` connections were opened long ago and checked a little ago, and come back at [`WARM`],
    /// when judging begins.
    pub(super) fn warm(name: impl Into<String>, size: u32, idle: usize) -> Self {
        let checked = Group { begins: WARM - s(3), ..Group::warm(idle, WARM) };
        let scenario = Self::new(name, size).group(Group::warm(idle, WARM - s(5))).group(checked);
        Self { judged: (WARM, A_DAY), length: WARM + s(20), ..scenario }
    }

    /// Another round trip, with seven of them and this much work for a log-in.
    pub(super) fn server(self, round_trip: Latency, work: Duration) -> Self {
        Self { server: (round_trip, 7, work), ..self }
    }

    pub(super) fn config(mut self, set: impl FnOnce(&mut Config)) -> Self {
        set(&mut self.config);
        self
    }

    pub(super) fn group(mut self, group: Group) -> Self {
        self.groups.push(group);
        self
    }

    pub(super) fn at(mut self, at: Duration, shock: Shock) -> Self {
        self.script.push((at, shock));
        self
    }

    pub(super) fn until(self, length: Duration) -> Self {
        Self { length, ..self }
    }

    pub(super) fn bounds(self, bounds: Bounds) -> Self {
        Self { bounds, ..self }
    }
}

pub(super) const fn us(micros: u64) -> Duration {
    Duration::from_micros(micros)
}

pub(super) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(super) const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// When a warm pool is ready. Long enough for ten slow log-ins one after another.
pub(super) const WARM: Duration = Duration::from_secs(40);
