//! The server of the simulation and the lines to it: when it answers, what it answers, and what a script does to it.

use crate::gate::{Refusal, Stage};
use std::time::{Duration, Instant};

/// How long one round trip takes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Latency {
    Constant(Duration),
    Uniform(Duration, Duration),
    /// Mostly the first; this share of them the second.
    Spiky(Duration, f64, Duration),
}

/// What becomes of an attempt to connect.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Connects {
    Well,
    Refused,
    /// No answer for as long as anybody waits.
    Silent,
    WrongPassword,
    /// The server is not in the role that is asked for, which the opening finds.
    WrongRole,
    /// The same, and the opening does not ask.
    Demoted,
    /// The server has room for so many sessions.
    Room(usize),
    /// The session is gone when the opening returns.
    DeadOnArrival,
    /// It is gone a moment later.
    ShortLived,
}

pub(super) struct Server {
    pub(super) round_trip: Latency,
    /// A log-in is so many round trips, and this much work.
    trips: u32,
    work: Duration,
    pub(super) connects: Connects,
    pub(super) checks_fail: bool,
    pub(super) flaw: Option<Flaw>,
    /// How long each session lives.
    pub(super) life: Option<Duration>,
    /// When it stands still: nothing is answered until then.
    freezes: Vec<(Instant, Instant)>,
    lines: Vec<Line>,
}

/// What ends sessions that have just begun, or are in use, without any trouble of the server as a whole.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flaw {
    /// At which stage a session ends: in a loan, at a check, at a reset.
    pub(super) stage: Stage,
    /// How many of them do.
    pub(super) share: f64,
    /// When it comes to this stage for the first time, or each time.
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
    /// Nothing that is sent arrives any more, and nobody says so.
    pub(super) swallowed: bool,
    /// It was ended by the server, which the next look or call finds.
    pub(super) killed: bool,
    /// Its server is not in the role that is asked for, which a question or a use finds.
    pub(super) demoted: bool,
    ended: bool,
    dies_at: Option<Instant>,
    /// It has been at the stage of the flaw.
    tried: bool,
}

pub(super) type LineId = usize;

/// How a driver call ends, if it is left alone.
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
    /// How many there are that the pool has not ended.
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

    /// When an attempt to connect that begins now ends, and how. `None`: never.
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

    /// When a question on a line is answered, and how. `None`: never.
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

    /// It comes to this stage, at which a flaw may end it.
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

    /// Does something to the oldest `count` sessions that are there.
    pub(super) fn harm(&mut self, count: usize, harm: fn(&mut Line)) {
        self.lines.iter_mut().filter(|line| !line.ended && line.is_healthy()).take(count).for_each(harm);
    }

    /// Has it no room for one session more?
    pub(super) fn is_full(&self) -> bool {
        let sessions = || self.lines.iter().filter(|line| !line.ended && !line.killed).count();
        matches!(self.connects, Connects::Room(most) if sessions() >= most)
    }

    /// What would be answered while the server stands still is answered when it goes on.
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

/// What the system says by itself takes no round trip.
pub(super) const AT_ONCE: Duration = Duration::from_micros(30);
