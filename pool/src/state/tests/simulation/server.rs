//! The server of the simulation and the lines to it: when it answers, what it answers, and the effects of the script.

use crate::gate::{Refusal, Stage};
use std::time::{Duration, Instant};

/// The duration of a round trip.
#[derive(Debug, Clone, Copy)]
pub(super) enum Latency {
    Constant(Duration),
    Uniform(Duration, Duration),
    /// Mostly the first; the second in this share of cases.
    Spiky(Duration, f64, Duration),
}

/// The outcome of an attempt to connect.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Connects {
    Well,
    Refused,
    /// No answer for as long as anybody waits.
    Silent,
    WrongPassword,
    /// The server is not in the required role, and the opening finds that.
    WrongRole,
    /// The same, but the opening does not check.
    Demoted,
    /// The server has room for this many sessions.
    Room(usize),
    /// The session is dead when the opening returns.
    DeadOnArrival,
    /// It dies a moment later.
    ShortLived,
}

pub(super) struct Server {
    pub(super) round_trip: Latency,
    /// A log-in takes this many round trips, and this much work.
    trips: u32,
    work: Duration,
    pub(super) connects: Connects,
    pub(super) checks_fail: bool,
    pub(super) flaw: Option<Flaw>,
    /// The lifetime of each session.
    pub(super) life: Option<Duration>,
    /// Its stalls: it answers nothing until the end of each.
    freezes: Vec<(Instant, Instant)>,
    lines: Vec<Line>,
}

/// Ends sessions that have just begun or are in use, without any trouble of the server as a whole.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flaw {
    /// The stage at which a session ends: in a loan, at a check, at a reset.
    pub(super) stage: Stage,
    /// The share of sessions that end.
    pub(super) share: f64,
    /// The first time a session reaches this stage, or each time.
    pub(super) when: When,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum When {
    First,
    Each,
}

/// One session, seen from the pool's end.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Line {
    /// From now on nothing sent arrives, and no error is reported.
    pub(super) swallowed: bool,
    /// The server has ended it, as the next look or call finds.
    pub(super) killed: bool,
    /// Its server is not in the required role, as a check or a use finds.
    pub(super) demoted: bool,
    ended: bool,
    dies_at: Option<Instant>,
    /// It has been at the stage of the flaw.
    tried: bool,
}

pub(super) type LineId = usize;

/// How a driver call ends if it is not aborted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Answer {
    Well,
    Failed,
    WrongRole,
    Refused(Refusal),
}

impl Latency {
    pub(super) fn draw(self, random: &mut fastrand::Rng) -> Duration {
        match self {
            Self::Constant(span) => span,
            Self::Uniform(least, most) => least + (most - least).mul_f64(random.f64()),
            Self::Spiky(usual, share, spike) => {
                if random.f64() < share {
                    spike
                } else {
                    usual
                }
            }
        }
    }
}

impl Latency {
    pub(super) fn longest(self) -> Duration {
        match self {
            Self::Constant(longest) | Self::Uniform(_, longest) | Self::Spiky(_, _, longest) => longest,
        }
    }
}

impl Server {
    /// The number of sessions that the pool has not ended.
    pub(super) fn sessions(&self) -> usize {
        self.lines.iter().filter(|line| !line.ended).count()
    }

    pub(super) fn new(round_trip: Latency, trips: u32, work: Duration, freezes: Vec<(Instant, Instant)>) -> Self {
        Self {
            round_trip,
            trips,
            work,
            connects: Connects::Well,
            checks_fail: false,
            flaw: None,
            life: None,
            freezes,
            lines: Vec::new(),
        }
    }

    /// When and how an attempt to connect that begins now ends. `None`: never.
    pub(super) fn connect(&self, now: Instant, random: &mut fastrand::Rng) -> Option<(Instant, Answer)> {
        let one = self.answered(now, self.round_trip.draw(random));
        let trips = (0..self.trips).map(|_| self.round_trip.draw(random)).sum::<Duration>();
        let whole = self.answered(now, trips + self.work);
        match self.connects {
            Connects::Silent => None,
            Connects::Refused => Some((one, Answer::Refused(Refusal::Unavailable))),
            Connects::WrongRole => Some((whole, Answer::Refused(Refusal::Unavailable))),
            Connects::WrongPassword => Some((whole, Answer::Refused(Refusal::Permanent))),
            Connects::Room(_) if self.is_full() => Some((one, Answer::Refused(Refusal::Capacity))),
            Connects::Well | Connects::Demoted | Connects::Room(_) | Connects::DeadOnArrival | Connects::ShortLived => {
                Some((whole, Answer::Well))
            }
        }
    }

    /// When and how a check on a line is answered. `None`: never.
    pub(super) fn ask(&self, line: LineId, now: Instant, random: &mut fastrand::Rng) -> Option<(Instant, Answer)> {
        let line = self.lines[line];
        if line.killed {
            Some((now + AT_ONCE, Answer::Failed))
        } else if line.swallowed {
            None
        } else {
            let answer = if line.demoted { Answer::WrongRole } else { Answer::Well };
            Some((self.answered(now, self.round_trip.draw(random)), answer))
        }
    }

    /// A session begins.
    pub(super) fn begin(&mut self, now: Instant) -> LineId {
        let (killed, demoted) = (self.connects == Connects::DeadOnArrival, self.connects == Connects::Demoted);
        let dies_at = self.life.map(|life| now + life);
        self.lines.push(Line { killed, demoted, dies_at, ..Line::default() });
        self.lines.len() - 1
    }

    /// A moment has passed since it began.
    pub(super) fn is_open(&mut self, line: LineId) {
        self.lines[line].killed |= self.connects == Connects::ShortLived;
    }

    /// Time passes: sessions die of age.
    pub(super) fn pass(&mut self, now: Instant) {
        if self.life.is_some() {
            self.lines.iter_mut().for_each(|line| line.killed |= line.dies_at.is_some_and(|at| at <= now));
        }
    }

    /// It reaches this stage, where a flaw may end it.
    pub(super) fn comes_to(&mut self, line: LineId, stage: Stage, random: &mut fastrand::Rng) {
        let line = &mut self.lines[line];
        let Some(flaw) = self.flaw.filter(|flaw| flaw.stage == stage) else { return };
        let is_first = !std::mem::replace(&mut line.tried, true);
        line.killed |= (is_first || flaw.when == When::Each) && random.f64() < flaw.share;
    }

    pub(super) fn end(&mut self, line: LineId) {
        self.lines[line].ended = true;
    }

    pub(super) fn line(&self, line: LineId) -> Line {
        self.lines[line]
    }

    /// Applies `harm` to the oldest `count` healthy sessions.
    pub(super) fn harm(&mut self, count: usize, harm: fn(&mut Line)) {
        self.lines.iter_mut().filter(|line| !line.ended && line.is_healthy()).take(count).for_each(harm);
    }

    /// Whether it has no room for another session.
    pub(super) fn is_full(&self) -> bool {
        let sessions = || self.lines.iter().filter(|line| !line.ended && !line.killed).count();
        matches!(self.connects, Connects::Room(most) if sessions() >= most)
    }

    /// An answer that falls into a stall arrives when the server continues.
    fn answered(&self, asked: Instant, span: Duration) -> Instant {
        let at = asked + span;
        let still = self.freezes.iter().find(|(begins, ends)| (*begins..*ends).contains(&at));
        still.map_or(at, |&(_, ends)| ends)
    }
}

impl Line {
    pub(super) fn is_healthy(self) -> bool {
        !self.swallowed && !self.killed && !self.demoted
    }
}

/// The operating system answers without a round trip.
pub(super) const AT_ONCE: Duration = Duration::from_micros(30);
