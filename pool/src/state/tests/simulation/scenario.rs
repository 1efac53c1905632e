//! A scenario as a value: settings, server, process, borrowers, the script of shocks, and the bounds.

use super::bounds::Bounds;
use super::process::WakeUp;
use super::server::{Connects, Flaw, Latency};
use crate::config::Config;
use std::time::Duration;

#[derive(Clone)]
pub(super) struct Scenario {
    pub(super) name: String,
    pub(super) config: Config,
    /// The round trip, and the cost of a log-in: this many round trips, and this much work.
    pub(super) server: (Latency, u32, Duration),
    pub(super) wake_up: WakeUp,
    /// The stalls of the server and of the process: start and length of each.
    pub(super) freezes: Vec<(Duration, Duration)>,
    pub(super) stalls: Vec<(Duration, Duration)>,
    pub(super) groups: Vec<Group>,
    pub(super) script: Vec<(Duration, Shock)>,
    /// The time in which gets and attempts are judged.
    pub(super) judged: (Duration, Duration),
    pub(super) length: Duration,
    pub(super) seeds: u64,
    pub(super) bounds: Bounds,
}

/// An event of the script.
#[derive(Debug, Clone)]
pub(super) enum Shock {
    RoundTrip(Latency),
    Connects(Connects),
    /// From now on this many lines, oldest first, swallow everything.
    Swallow(usize),
    /// The server ends this many sessions, oldest first.
    Kill(usize),
    /// From now on this many sessions, oldest first, have a server in the wrong role.
    Demote(usize),
    ChecksFail,
    Flaw(Flaw),
    /// From now on each new session lives this long.
    Life(Duration),
    EvictAll,
}

/// Threads or tasks that all do the same.
#[derive(Debug, Clone)]
pub(super) struct Group {
    pub(super) count: usize,
    pub(super) begins: Duration,
    /// How much later than the previous one each begins.
    pub(super) apart: Duration,
    pub(super) ends: Duration,
    pub(super) rounds: usize,
    pub(super) loan: (Duration, Duration),
    /// Overrides `loan`: each loan lasts until this moment.
    pub(super) loan_until: Option<Duration>,
    pub(super) pause: (Duration, Duration),
    /// After this many loans they pause this long.
    pub(super) bursts: Option<(usize, Duration)>,
    /// The time-out of a get.
    pub(super) patience: Duration,
    /// The share of loans that end with a reset.
    pub(super) resets: f64,
    /// Whether they use their connections. A loan without use shows nothing about the server.
    pub(super) touch: bool,
    /// `None` for threads.
    pub(super) tasks: Option<Tasks>,
}

/// How the executor treats tasks that borrow.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tasks {
    /// How long after its wake-up a task is polled.
    pub(super) late: (Duration, Duration),
    /// The share of wake-ups after which the task is not polled for this long.
    pub(super) asleep: (f64, Duration),
    /// The share of waits in which the future is dropped, and within which time.
    pub(super) dropped: (f64, Duration),
}

impl Tasks {
    /// Polled as soon as woken.
    pub(super) const PROMPT: Self =
        Self { late: (Duration::ZERO, Duration::ZERO), asleep: (0.0, Duration::ZERO), dropped: (0.0, Duration::ZERO) };
    /// Polled once.
    pub(super) const FORGOTTEN: Self = Self { late: (A_DAY, A_DAY), ..Self::PROMPT };
}

impl Group {
    /// Each holds a connection for a millisecond, again and again without a pause, and waits without a time-out.
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

    /// Like [`of`](Self::of), but tasks.
    pub(super) fn of_tasks(count: usize, tasks: Tasks) -> Self {
        Self { tasks: Some(tasks), ..Self::of(count) }
    }

    /// Lends `count` connections once, until `until`; after that they are idle.
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

    /// Like [`new`](Self::new), but `idle` connections were opened long ago and checked recently. They are returned at [`WARM`], when
    /// judging begins.
    pub(super) fn warm(name: impl Into<String>, size: u32, idle: usize) -> Self {
        let checked = Group { begins: WARM - s(3), ..Group::warm(idle, WARM) };
        let scenario = Self::new(name, size).group(Group::warm(idle, WARM - s(5))).group(checked);
        Self { judged: (WARM, A_DAY), length: WARM + s(20), ..scenario }
    }

    /// Sets the round trip, with a log-in of seven of them and this much work.
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
/// When a warm pool is ready: long enough for ten slow log-ins one after another.
pub(super) const WARM: Duration = Duration::from_secs(40);
