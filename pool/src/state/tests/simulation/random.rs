//! A random search: worlds of every kind, each with at most one shock, and the bounds that hold for all of them. `CABRANK_SIMULATIONS`
//! sets the number of worlds.

use super::bounds::Bounds;
use super::process::WakeUp;
use super::scenario::{Group, Scenario, Shock, Tasks, ms, s, us};
use super::server::{Connects, Latency};
use super::world::World;
use proptest::prelude::*;
use std::time::Duration;

/// The shock to a healthy, busy world.
#[derive(Debug, Clone, Copy)]
enum Blow {
    None,
    /// The round trip takes this long for five seconds.
    Jump(Duration),
    /// The process stalls ten times.
    Stalls(Duration),
    /// The server stalls for this long.
    Freeze(Duration),
    /// This percentage of the lines swallows everything, or this percentage of the sessions is ended.
    BlackHole(usize),
    Killed(usize),
    /// All sessions are ended, and for this long new ones fare as specified.
    Outage(Connects, Duration),
    /// All idle connections are evicted, on lines that swallow their goodbyes.
    Evicted,
}

#[derive(Debug, Clone)]
struct Plan {
    size: u32,
    borrowers: usize,
    /// The percentage of borrowers that are tasks.
    share_of_tasks: usize,
    tasks: Tasks,
    latency: Latency,
    work: Duration,
    loan: Duration,
    pause: Duration,
    resets: f64,
    wake_up: Duration,
    blow: Blow,
    seed: u64,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn in_no_world_does_a_get_fail_or_a_steady_server_lose_a_session(plan in plan()) {
        let scenario = plan.scenario();
        let mut world = World::new(&scenario, plan.seed);
        world.run(scenario.length);
        let broken = scenario.bounds.broken_by(&world.figures);
        prop_assert!(broken.is_empty(), "{broken:?}");
    }
}

/// A world that the search found: its latency spikes are longer than a waiter's shortest patience, and rarer than the memory is long.
#[test]
fn where_answers_differ_a_jump_adds_to_what_their_spikes_cost() {
    let blow = Blow::Jump(ms(300));
    let plan = Plan {
        size: 1,
        borrowers: 161,
        share_of_tasks: 0,
        tasks: Tasks::PROMPT,
        latency: Latency::Spiky(us(100), 0.02, ms(253)),
        work: ms(348),
        loan: ms(2_869),
        pause: ms(2_258),
        resets: 1.0,
        wake_up: us(2_129),
        blow,
        seed: 1_490_590_644_332_016_378,
    };
    for blow in [Blow::None, blow] {
        let plan = Plan { blow, ..plan.clone() };
        let scenario = plan.scenario();
        let mut world = World::new(&scenario, plan.seed);
        world.run(scenario.length);
        assert!(world.figures.healthy_closed > 0, "{blow:?}: the spikes of this world cost sessions");
        assert_eq!(scenario.bounds.broken_by(&world.figures), [""; 0], "{blow:?}");
    }
}

/// A world that the search found: when the server continues, log-ins and checks end together. Whichever answer arrives first, the other
/// sessions work.
#[test]
fn what_ends_together_with_a_log_in_is_not_given_up_because_of_it() {
    let plan = Plan {
        size: 81,
        borrowers: 78,
        share_of_tasks: 100,
        tasks: Tasks { late: (ms(0), ms(25)), asleep: (0.1, ms(2_331)), dropped: (0.5, ms(1_514)) },
        latency: Latency::Constant(us(1_090)),
        work: ms(434),
        loan: ms(23),
        pause: ms(474),
        resets: 1.0,
        wake_up: us(980),
        blow: Blow::Freeze(ms(907)),
        seed: 17_470_082_884_993_987_180,
    };
    let scenario = plan.scenario();
    let mut world = World::new(&scenario, plan.seed);
    world.run(scenario.length);
    assert_eq!(scenario.bounds.broken_by(&world.figures), [""; 0]);
}

impl Plan {
    fn scenario(&self) -> Scenario {
        let busy = s(60);
        let (least, most) = (self.loan / 2, self.loan * 3 / 2);
        let tasks = self.borrowers * self.share_of_tasks / 100;
        let group = Group {
            loan: (least, most),
            pause: (self.pause / 2, self.pause * 3 / 2),
            patience: s(10_000),
            ends: busy + s(12),
            resets: self.resets,
            ..Group::of(self.borrowers - tasks)
        };
        let tasks = Group { count: tasks, tasks: Some(self.tasks), ..group.clone() };
        let scenario = Scenario::new("random", self.size)
            .server(self.latency, self.work)
            .group(group)
            .group(tasks)
            // By then the last in the queue must have been served.
            .until(busy + s(2_500))
            .bounds(self.bounds());
        let scenario = Scenario { wake_up: WakeUp::UpTo(self.wake_up), ..scenario };
        match self.blow {
            Blow::None => scenario,
            Blow::Jump(to) => scenario
                .at(busy, Shock::RoundTrip(Latency::Constant(to)))
                .at(busy + s(5), Shock::RoundTrip(self.latency)),
            Blow::Stalls(span) => {
                Scenario { stalls: (0..10).map(|place| (busy + s(1) * place, span)).collect(), ..scenario }
            }
            Blow::Freeze(span) => Scenario { freezes: vec![(busy, span)], ..scenario },
            Blow::BlackHole(share) => scenario.at(busy, Shock::Swallow(share_of(self.size, share))),
            Blow::Killed(share) => scenario.at(busy, Shock::Kill(share_of(self.size, share))),
            Blow::Outage(connects, span) => scenario
                .at(busy, Shock::Kill(self.size as usize))
                .at(busy, Shock::Connects(connects))
                .at(busy + span, Shock::Connects(Connects::Well)),
            Blow::Evicted => scenario.at(busy, Shock::Swallow(self.size as usize)).at(busy + us(1), Shock::EvictAll),
        }
    }

    /// For how many minutes the last waiters are being served.
    fn minutes(&self) -> usize {
        let rounds = self.borrowers.div_ceil(self.size as usize) as u32;
        // A task may have a connection this long before it is polled or loses it.
        let loan = self.loan + if self.share_of_tasks > 0 { RECLAIM_AFTER } else { ms(0) };
        (loan * rounds).as_secs() as usize / 60
    }

    /// The bounds of the learned patience, for each kind of world.
    fn bounds(&self) -> Bounds {
        let steady = matches!(self.latency, Latency::Constant(_));
        // Checks and resets are learned separately.
        let kinds = if self.resets > 0.0 { 2 } else { 1 };
        // The memory lasts at least a minute: if latency varies, a long answer may be new again after each.
        let anew = if steady { 0 } else { 2 * kinds * (2 + self.minutes()) };
        let closed = match self.blow {
            // Longer than the limit of a check.
            Blow::Freeze(span) if span + self.latency.longest() > ms(950) => usize::MAX,
            Blow::Jump(_) | Blow::Freeze(_) => anew + 2 * kinds,
            _ => anew,
        };
        Bounds { closed: Some(closed), left: Some(0), ..Bounds::calm() }
    }
}

fn plan() -> impl Strategy<Value = Plan> {
    let work = prop_oneof![Just(ms(0)), (0u64..200).prop_map(ms), (200u64..2_000).prop_map(ms)];
    let span = || prop_oneof![(500u64..20_000).prop_map(us), (20u64..500).prop_map(ms), (500u64..5_000).prop_map(ms)];
    let resets = prop_oneof![Just(0.0), Just(0.3), Just(1.0)];
    let borrowers = (1u32..=100, 1usize..=200, prop_oneof![Just(0usize), 1usize..=99, Just(100)], tasks());
    (borrowers, latency(), work, span(), span(), resets, 30u64..3_000, blow(), any::<u64>()).prop_map(
        |((size, borrowers, share_of_tasks, tasks), latency, work, loan, pause, resets, wake_up, blow, seed)| {
            // A crowd that keeps borrowing for moments takes long to simulate, and shows nothing new.
            let least = us(100) * borrowers as u32;
            let (loan, pause) = (loan, pause.max(least * 20));
            let wake_up = us(wake_up);
            Plan { size, borrowers, share_of_tasks, tasks, latency, work, loan, pause, resets, wake_up, blow, seed }
        },
    )
}

/// Prompt tasks, slow ones, and some that are not polled for long; in some plans half of the futures are dropped.
fn tasks() -> impl Strategy<Value = Tasks> {
    let late = prop_oneof![2 => Just(ms(0)), 1 => (1u64..45).prop_map(ms), 1 => (45u64..300).prop_map(ms)];
    let asleep = prop_oneof![Just((0.0, ms(0))), (100u64..10_000).prop_map(|span| (0.1, ms(span)))];
    let dropped = prop_oneof![Just((0.0, ms(0))), (1u64..2_000).prop_map(|span| (0.5, ms(span)))];
    (late, asleep, dropped).prop_map(|(late, asleep, dropped)| Tasks { late: (ms(0), late), asleep, dropped })
}

fn latency() -> impl Strategy<Value = Latency> {
    let trip = || prop_oneof![(100u64..2_000).prop_map(us), (2u64..400).prop_map(ms)];
    prop_oneof![
        3 => trip().prop_map(Latency::Constant),
        1 => trip().prop_map(|most| Latency::Uniform(most / 10, most)),
        1 => (trip(), 1u32..=10, 20u64..950)
            .prop_map(|(usual, share, spike)| Latency::Spiky(usual, f64::from(share) / 100.0, ms(spike).max(usual))),
    ]
}

fn blow() -> impl Strategy<Value = Blow> {
    prop_oneof![
        Just(Blow::None),
        (30u64..900).prop_map(|to| Blow::Jump(ms(to))),
        (50u64..900).prop_map(|span| Blow::Stalls(ms(span))),
        (50u64..2_000).prop_map(|span| Blow::Freeze(ms(span))),
        (1usize..=100).prop_map(Blow::BlackHole),
        (1usize..=100).prop_map(Blow::Killed),
        (outage(), 100u64..8_000).prop_map(|(connects, span)| Blow::Outage(connects, ms(span))),
        Just(Blow::Evicted),
    ]
}

fn outage() -> impl Strategy<Value = Connects> {
    prop_oneof![
        Just(Connects::Refused),
        Just(Connects::Silent),
        Just(Connects::DeadOnArrival),
        Just(Connects::ShortLived),
        (0usize..5).prop_map(Connects::Room),
    ]
}

fn share_of(size: u32, percent: usize) -> usize {
    (size as usize * percent).div_ceil(100)
}

/// The default.
const RECLAIM_AFTER: Duration = ms(50);

fn cases() -> u32 {
    std::env::var("CABRANK_SIMULATIONS").ok().and_then(|cases| cases.parse().ok()).unwrap_or(8)
}
