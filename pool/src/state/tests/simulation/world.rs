//! The world around the state, in virtual time: a heap of events. It makes the routes' transactions, performs the actions they order, and
//! never sleeps.

use super::callers::Caller;
use super::calls::{Call, Lane, Work};
use super::figures::Figures;
use super::process::Process;
use super::scenario::{Scenario, Shock};
use super::server::{LineId, Server};
use crate::config::Config;
use crate::state::State;
use crate::state::actions::{Action, Actions};
use crate::state::tests::waiting::mark;
use crate::sync;
use crate::waiter::Wake;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::time::{Duration, Instant};

pub(super) struct World {
    pub(super) state: State<LineId, Told>,
    pub(super) config: Config,
    pub(super) start: Instant,
    pub(super) now: Instant,
    pub(super) server: Server,
    pub(super) process: Process,
    pub(super) callers: Vec<Caller>,
    /// The caller for each wake-up.
    pub(super) parked: HashMap<*const (), usize>,
    pub(super) calls: HashMap<u64, Call>,
    pub(super) lane: Lane,
    pub(super) figures: Figures,
    /// The number of loans that began outside the lock.
    pub(super) parked_loans: u64,
    /// The number of futures dropped while waiting.
    pub(super) dropped: u64,
    /// When the server last answered on a line, by a check, a reset or a loan, and when it last accepted a session.
    pub(super) last_answer: Option<Instant>,
    pub(super) last_opened: Option<Instant>,
    pub(super) random: fastrand::Rng,
    pub(super) tracing: bool,
    alarm: Option<Instant>,
    /// By time; simultaneous events in random order.
    events: BTreeMap<(Instant, u64, u64), Event>,
    number: u64,
}

/// An event.
#[derive(Debug, Clone)]
pub(super) enum Event {
    Shock(Shock),
    /// A worker begins the driver call with this number.
    Begin(u64),
    /// It returns; `true` if it was aborted.
    End(u64, bool),
    /// It is aborted because its slot is needed.
    Fire(u64),
    /// Its limit passed at this moment.
    Overrun(u64, Instant),
    Alarm(Instant),
    /// A caller asks for a connection.
    Get(usize),
    /// A waiter looks, in the wait with this number.
    Look(usize, u64),
    Deadline(usize, u64),
    /// The future of a waiter is dropped.
    Drop(usize, u64),
    Return(usize),
}

/// A server's refusal of an attempt to connect.
#[derive(Debug)]
pub(super) struct Told;

impl World {
    pub(super) fn new(scenario: &Scenario, seed: u64) -> Self {
        let start = sync::now();
        let mut random = fastrand::Rng::with_seed(seed);
        let spans = |spans: &[(Duration, Duration)]| {
            spans.iter().map(|&(begins, span)| (start + begins, start + begins + span)).collect::<Vec<_>>()
        };
        let (round_trip, trips, work) = scenario.server;
        let mut world = Self {
            state: State::new(&scenario.config, start, WALL, random.fork()),
            config: scenario.config.clone(),
            start,
            now: start,
            server: Server::new(round_trip, trips, work, spans(&scenario.freezes)),
            process: Process { wake_up: scenario.wake_up, stalls: spans(&scenario.stalls) },
            callers: Vec::new(),
            parked: HashMap::new(),
            calls: HashMap::new(),
            lane: Lane::default(),
            parked_loans: 0,
            dropped: 0,
            figures: Figures::new(start + scenario.judged.0, start + scenario.judged.1),
            last_answer: None,
            last_opened: None,
            random,
            tracing: std::env::var_os("CABRANK_SIMULATION_TRACE").is_some(),
            alarm: None,
            events: BTreeMap::new(),
            number: 0,
        };
        for (at, shock) in &scenario.script {
            world.at(start + *at, Event::Shock(shock.clone()));
        }
        world.bring(&scenario.groups);
        world.with(|_, _| ());
        world
    }

    /// Runs the events until `span` after the start.
    pub(super) fn run(&mut self, span: Duration) {
        let end = self.start + span;
        while let Some(entry) = self.events.first_entry().filter(|entry| entry.key().0 <= end) {
            let ((at, ..), event) = entry.remove_entry();
            self.now = self.now.max(at);
            self.server.pass(self.now);
            self.happen(event);
        }
        self.now = end;
        self.dismiss();
        self.assert_nothing_is_lost();
    }

    fn happen(&mut self, event: Event) {
        let now = self.now;
        self.trace(|| format!("{event:?}"));
        match event {
            Event::Shock(shock) => self.shock(shock),
            Event::Begin(number) => self.begin(number),
            Event::End(number, over) => self.end(number, over),
            Event::Fire(number) => self.fire(number),
            Event::Overrun(number, due) => self.overrun(number, due),
            // An earlier alarm has replaced it.
            Event::Alarm(alarm) if self.alarm != Some(alarm) => {}
            Event::Alarm(alarm) => {
                self.alarm = None;
                let wall = self.wall();
                self.with(|state, actions| state.tick(alarm, now, wall, actions));
            }
            Event::Get(caller) => self.get(caller),
            Event::Look(caller, wait) => self.look(caller, wait, true),
            Event::Deadline(caller, wait) => self.look(caller, wait, false),
            Event::Drop(caller, wait) => self.drop_future(caller, wait),
            Event::Return(caller) => self.check_in_from(caller),
        }
    }

    fn shock(&mut self, shock: Shock) {
        let (now, server) = (self.now, &mut self.server);
        match shock {
            Shock::RoundTrip(latency) => server.round_trip = latency,
            Shock::Connects(connects) => server.connects = connects,
            Shock::Swallow(count) => server.harm(count, |line| line.swallowed = true),
            Shock::Kill(count) => server.harm(count, |line| line.killed = true),
            Shock::Demote(count) => server.harm(count, |line| line.demoted = true),
            Shock::ChecksFail => server.checks_fail = true,
            Shock::Life(life) => server.life = Some(life),
            Shock::Flaw(flaw) => server.flaw = Some(flaw),
            Shock::EvictAll => self.with(|state, actions| state.evict_all(now, actions)),
        }
    }

    /// One transaction, and the actions it orders.
    pub(super) fn with<R>(
        &mut self,
        change: impl FnOnce(&mut State<LineId, Told>, &mut Actions<LineId, Told>) -> R,
    ) -> R {
        let mut actions = Actions::new();
        let result = change(&mut self.state, &mut actions);
        self.state.settle(self.now, &mut actions);
        self.assert_settled(&actions);
        for action in actions {
            match action {
                Action::Wake(wake) => self.wake(&wake),
                Action::Open(opening) => self.order(opening.slot, opening.limit, Work::Open(opening.generation)),
                Action::Check(entry) => self.order(entry.slot_id, self.config.check_timeout, Work::Check(entry)),
                Action::Reset(entry) => self.order(entry.slot_id, self.config.reset_timeout, Work::Reset(entry)),
                Action::Close(entry, reason) => {
                    self.order(entry.slot_id, self.config.close_timeout, Work::Close(entry, reason));
                }
                Action::Abort(slot, call) => self.order_abort(slot, &call),
                Action::Alarm(at) => self.order_alarm(at),
                Action::Hasten(slot) => self.hasten(slot),
                Action::ReportLeak(_) | Action::TellGivenUp(..) | Action::TellCancelled(_) | Action::Drop(_) => {}
            }
        }
        result
    }

    /// The timer keeps the earliest alarm ordered since the last one rang.
    fn order_alarm(&mut self, at: Instant) {
        if self.alarm.is_none_or(|alarm| at < alarm) {
            self.alarm = Some(at);
            self.due(at, Event::Alarm(at));
        }
    }

    /// Schedules an event for when the process reaches it, at this moment or later.
    pub(super) fn due(&mut self, at: Instant, event: Event) {
        let at = self.process.reaches(at.max(self.now), &mut self.random);
        self.at(at, event);
    }

    fn at(&mut self, at: Instant, event: Event) {
        let (tie, number) = (self.random.u64(..), self.next_number());
        self.events.insert((at, tie, number), event);
    }

    pub(super) fn next_number(&mut self) -> u64 {
        self.number += 1;
        self.number
    }

    /// The clocks do not drift: no machine is suspended here.
    pub(super) fn wall(&self) -> Duration {
        WALL + (self.now - self.start)
    }

    pub(super) fn trace(&self, what: impl FnOnce() -> String) {
        if self.tracing {
            let at = self.now - self.start;
            println!("{:>12.3} ms  {}  {}", at.as_secs_f64() * 1e3, self.state_in_short(), what());
        }
    }

    fn wake(&mut self, wake: &Wake) {
        let caller = self.parked[&mark(wake)];
        self.woken(caller);
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no")
    }
}

impl std::error::Error for Told {}

const WALL: Duration = Duration::from_secs(1_000_000_000);
