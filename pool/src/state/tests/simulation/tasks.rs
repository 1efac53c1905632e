//! Tasks of the simulation, which their executor polls late or never, and the bounds on what they cost the waiters behind them.

use super::bounds::{Bounds, play};
use super::callers::within;
use super::scenario::{Group, Scenario, Shock, Tasks, WARM, ms, s, us};
use super::server::Connects;
use super::world::{Event, World};
use crate::queue::Ticket;
use crate::state::actions::Delivery;
use std::time::Duration;

impl Tasks {
    /// How long after its wake-up a task is polled this time.
    pub(super) fn lateness(&self, random: &mut fastrand::Rng) -> Duration {
        let (share, span) = self.asleep;
        if random.f64() < share { span } else { within(self.late, random) }
    }
}

impl World {
    /// A task begins to wait. Its future may be dropped at any time.
    pub(super) fn may_be_dropped(&mut self, caller: usize, wait: u64, tasks: Tasks) {
        let (share, span) = tasks.dropped;
        if self.random.f64() < share {
            let at = self.now + span.mul_f64(self.random.f64());
            self.due(at, Event::Drop(caller, wait));
        }
    }

    pub(super) fn drop_future(&mut self, caller: usize, wait: u64) {
        let it = &mut self.callers[caller];
        if it.wait != wait {
            return;
        }
        let Some(ticket) = it.ticket.take() else { return };
        it.woken = false;
        self.leave(caller, &ticket);
        self.pause(caller);
    }

    /// A waiter leaves without another look, and leaves its delivery behind.
    pub(super) fn leave(&mut self, caller: usize, ticket: &Ticket) {
        let (now, is_task) = (self.now, self.callers[caller].group.tasks.is_some());
        self.dropped += u64::from(is_task);
        self.with(|state, actions| match is_task {
            true => _ = state.abandon(ticket, now, actions),
            false => {
                if let Some(Delivery::Connection(entry)) = state.cancel(ticket) {
                    state.reject(entry, now, actions);
                }
            }
        });
    }
}

const SLOW: Tasks = Tasks { late: (ms(10), ms(40)), ..Tasks::PROMPT };
const TOO_SLOW: Tasks = Tasks { late: (ms(60), ms(200)), ..Tasks::PROMPT };
const FICKLE: Tasks = Tasks { dropped: (0.5, ms(20)), ..Tasks::PROMPT };

/// Sixteen threads and as many tasks share four connections for four seconds. Each waits for about five loans of others.
fn mixed(name: &str, tasks: Tasks, wait: Duration) -> Scenario {
    let group = |group: Group| Group { begins: WARM, ends: WARM + s(4), loan: (ms(1), ms(5)), ..group };
    Scenario::warm(name, 4, 4).group(group(Group::of(16))).group(group(Group::of_tasks(16, tasks))).bounds(Bounds {
        wait: Some(wait),
        left: Some(0),
        attempts: Some(8),
        ..Bounds::calm()
    })
}

#[test]
fn tasks_are_served_as_threads_are_and_wait_for_each_others_executors_no_longer_than_these_take() {
    let stall = vec![(WARM + s(2), ms(900))];
    let table = [
        mixed("prompt", Tasks::PROMPT, ms(50)),
        mixed("half of them are dropped", FICKLE, ms(50)),
        // Half of the waiters before it are tasks, spread over the connections.
        mixed("polled after 10 to 40 ms", SLOW, ms(300)),
        Scenario {
            stalls: stall,
            ..mixed("prompt, and the process is suspended for 900 ms", Tasks::PROMPT, ms(1_000))
        },
    ];
    play("threads and tasks on four connections", table);
}

#[test]
fn executors_that_are_always_too_late_slow_the_pool_down_and_do_not_stop_it() {
    let (loan, pause) = ((ms(1), ms(5)), (ms(100), ms(300)));
    let rests = |group: Group| Group { begins: WARM, ends: WARM + s(10), loan, pause, ..group };
    // Each task stalls one of the two connections for 50, for 100 and for up to 200 ms before it is polled in time.
    let wait = (ms(50) + ms(100) + ms(200) + ms(5)) * 16 / 2;
    let bounds = Bounds { served: Some(160), wait: Some(wait), left: Some(0), ..Bounds::calm() };
    let scenario = Scenario::warm("polled after 60 to 200 ms", 2, 2)
        .group(rests(Group::of(16)))
        .group(rests(Group::of_tasks(16, TOO_SLOW)))
        .bounds(bounds);
    play("16 threads and 16 tasks on two connections", [scenario]);
}

/// A crowd of threads and tasks arrives at once; one in ten is never polled again.
fn crowd(size: u32, crowd: usize, reclaim_after: Duration) -> Scenario {
    let (loan, forgotten) = (ms(10), crowd / 10);
    let once = |group: Group| Group { begins: WARM + ms(500), rounds: 1, loan: (loan, loan), ..group };
    let (threads, tasks) = (crowd / 3, crowd - crowd / 3 - forgotten);
    let served = threads + tasks;
    // Each of the others has its loan; each forgotten task stalls one connection, once.
    let share = (loan * served as u32 + reclaim_after * forgotten as u32) / size;
    let name = format!("{size} connections, {crowd} come at once, {} ms", reclaim_after.as_millis());
    Scenario::warm(name, size, size as usize)
        .config(|config| config.reclaim_after = reclaim_after)
        .group(once(Group::of(threads)))
        .group(once(Group::of_tasks(tasks, Tasks::PROMPT)))
        .group(once(Group::of_tasks(forgotten, Tasks::FORGOTTEN)))
        .bounds(Bounds {
            served: Some(served),
            left: Some(forgotten),
            // The last loan, the last reclaimed delivery, and the wake-ups of all waiters before.
            wait: Some(share + loan + reclaim_after + us(300) * (crowd as u32 / size)),
            ..Bounds::calm()
        })
}

#[test]
fn a_task_that_is_never_polled_stalls_the_next_once_and_for_no_longer_than_is_set() {
    let mut table = Vec::new();
    for reclaim_after in [ms(1), ms(50), ms(500)] {
        table.extend([(1, 30), (4, 300), (8, 1_000)].map(|(size, count)| crowd(size, count, reclaim_after)));
    }
    play("one in ten is never polled", table);
}

#[test]
fn tasks_keep_their_deadlines_though_nobody_serves_them() {
    let late = |name: &str, tasks| {
        Scenario::warm(name, 1, 1)
            .group(Group { begins: WARM + ms(1), rounds: 1, loan_until: Some(WARM + s(5)), ..Group::of(1) })
            .group(Group { begins: WARM + ms(10), rounds: 1, patience: s(1), ..Group::of_tasks(40, tasks) })
            .bounds(Bounds {
                served: Some(1),
                left: Some(0),
                beside_idle: Some(0),
                failed: Some(40),
                closed: Some(0),
                wait: Some(ms(1_050)),
                ..Bounds::default()
            })
    };
    play(
        "forty wait for a second beside a loan of five",
        [late("prompt", Tasks::PROMPT), late("polled after 10 to 40 ms", SLOW)],
    );
}

#[test]
fn an_outage_ends_for_tasks_as_for_threads() {
    let group = |group: Group| Group { begins: WARM + ms(500), loan: (ms(1), ms(20)), ends: WARM + s(10), ..group };
    let outage = |name: &str, tasks, wait| {
        Scenario::warm(name, 10, 10)
            .at(WARM + s(1), Shock::Kill(10))
            .at(WARM + s(1), Shock::Connects(Connects::Refused))
            .at(WARM + s(3), Shock::Connects(Connects::Well))
            .group(group(Group::of(8)))
            .group(group(Group::of_tasks(8, tasks)))
            .bounds(Bounds { wait: Some(wait), left: Some(0), ..Bounds::calm() })
    };
    play(
        "refused for 2 s under load, 8 threads and 8 tasks",
        [outage("prompt", Tasks::PROMPT, ms(2_980)), outage("polled after 10 to 40 ms", SLOW, ms(3_100))],
    );
}
