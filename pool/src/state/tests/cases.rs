//! Past bugs, each as the shortest sequence of operations that shows it.

use super::ops::Op::*;
use super::ops::{End, Op, Shape};
use super::world::{Broken, World, borrower};
use crate::config::Config;
use crate::gate::Refusal;
use crate::limit::Limit;
use crate::queue::Queue;
use crate::reason::CloseReason;
use crate::state::State;
use crate::state::actions::{Action, Actions};
use crate::sync;
use crate::waiter::{Waiter, Wake};
use std::sync::Arc;
use std::time::Duration;

/// Plays `ops`, with a check after each, and then heals the world.
fn play(config: Config, ops: impl IntoIterator<Item = Op>) {
    let mut world = World::new(config, 0);
    for op in ops {
        world.play(op);
    }
    world.heal();
}

fn cold(max_size: u32) -> Config {
    Config { max_size, ..Config::default() }
}

/// Everything that a pool does on its own is due soon.
fn restless(max_size: u32) -> Config {
    Config {
        min_idle: 1,
        check_after: Duration::ZERO,
        fairness_window: Duration::ZERO,
        keepalive: 2 * SECOND,
        max_lifetime: 20 * SECOND,
        idle_timeout: 5 * SECOND,
        ..cold(max_size)
    }
}

fn fails(job: usize) -> Op {
    JobEnds(job, End::Failed(Refusal::Unavailable))
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn an_attempt_that_hangs_where_nobody_can_abort_it_holds_up_no_other() {
    // The fourth attempt has no abort handle, and is a probe.
    play(cold(3), [Get, Get, Get, fails(0), fails(0), fails(0), Pass(5 * SECOND)]);
}

#[test]
fn a_probe_that_drags_on_gets_no_second_beside_it() {
    play(cold(3), [Get, Get, Get, fails(0), fails(0), fails(0), Pass(SECOND / 4), Pass(SECOND * 7 / 10)]);
}

#[test]
fn an_attempt_that_hangs_for_good_is_no_sign_of_a_full_server() {
    let full = JobEnds(0, End::Failed(Refusal::Capacity));
    let well = || JobEnds(0, End::Well);
    // Two connections are lent. The fourth call is an attempt to open the third, and has no abort handle.
    play(cold(4), [Get, full, Pass(SECOND / 4), well(), Look(0), Get, well(), Look(0), Get, Pass(20 * SECOND)]);
}

#[test]
fn those_who_were_served_dead_connections_all_get_their_places_back() {
    let (mut queue, start) = (Queue::new(), sync::now());
    let mut join =
        |second: u32| queue.join(Wake::Thread(Waiter::new()), borrower(0), start + second * SECOND, None, None);
    // The last three queue for the second time.
    let tickets = [4, 5, 6, 2, 1, 3].map(|second| (second, join(second)));
    for turn in 1..=6 {
        let _ = queue.deliver(turn);
    }
    for (second, ticket) in tickets {
        assert_eq!(queue.collect(&ticket), Some(second));
    }
}

#[test]
fn one_who_comes_back_into_the_queue_is_notified_in_turn() {
    let (mut queue, start) = (Queue::<u32>::new(), sync::now());
    let waiters = [1, 3, 2].map(|second| (second, Waiter::new()));
    let join = |queue: &mut Queue<u32>, (second, waiter): &(u32, Arc<Waiter>)| {
        queue.join(Wake::Thread(Arc::clone(waiter)), borrower(0), start + *second * SECOND, None, None)
    };
    let mut tickets = vec![join(&mut queue, &waiters[0]), join(&mut queue, &waiters[1])];
    queue.notify(1, Wake::wake);
    tickets.push(join(&mut queue, &waiters[2]));
    queue.notify(2, Wake::wake);
    assert_eq!(waiters.map(|(_, waiter)| waiter.park(Some(start))), [true, false, true]);
    for ticket in tickets {
        queue.cancel(&ticket);
    }
}

#[test]
fn the_impatient_are_counted_from_the_head_up_to_the_first_who_is_not() {
    let start = sync::now();
    let mut queue = Queue::<()>::new();
    let wake = || Wake::Thread(Waiter::new());
    let tickets: Vec<_> = [Some(1), Some(2), None, Some(3), Some(9)]
        .map(|until| until.map(|seconds: u32| start + seconds * SECOND))
        .map(|until| queue.join(wake(), borrower(0), start, until, None))
        .into();
    let counted = [0, 1, 2, 3].map(|seconds: u32| queue.overdue(start + seconds * SECOND, 5));
    assert_eq!(counted, [0, 1, 2, 2], "the third never is");
    assert_eq!(queue.overdue(start + 5 * SECOND, 1), 1, "it examines no more than requested");
    let next = [0, 1, 2].map(|seconds: u32| queue.next_impatience(start + seconds * SECOND, 5));
    assert_eq!(next, [Some(start + SECOND), Some(start + 2 * SECOND), None]);
    assert_eq!(queue.next_impatience(start + SECOND, 1), None, "it does not examine the second");
    for ticket in tickets {
        queue.cancel(&ticket);
    }
}

#[test]
fn clocks_that_were_read_before_others_that_came_first_are_no_freeze() {
    let now = sync::now();
    let mut state =
        State::<(), std::io::Error>::new(&Config::default(), now, Duration::from_secs(100), fastrand::Rng::new());
    let later = (now + Duration::from_millis(2), Duration::from_secs(100) + Duration::from_millis(2));
    let earlier = (now + Duration::from_millis(1), Duration::from_secs(100) + Duration::from_millis(1));
    assert!(!state.compare_clocks(later.0, later.1));
    assert!(!state.compare_clocks(earlier.0, earlier.1));
    assert!(state.compare_clocks(now + Duration::from_millis(3), Duration::from_secs(200)), "this is a freeze");
}

#[test]
fn a_goodbye_that_is_to_make_room_and_begins_in_the_same_moment_is_aborted() {
    let now = sync::now();
    let mut state: State<(), Broken> = State::new(&Config::default(), now, Duration::ZERO, fastrand::Rng::with_seed(0));
    let slot = state.slots.take(now);
    state.closing(slot, CloseReason::Evicted, now);
    state.promises.ring(now + SECOND, None);
    let mut actions = Actions::new();
    (0..2).for_each(|_| state.hasten(1, &mut actions));
    assert!(matches!(actions[..], [Action::Hasten(_)]), "it has not begun, and is hastened once");
    assert_eq!(state.promises.tally().aborting, 0, "there may be no thread for it");
    let (limit, mut actions) = (Limit::of_call(&"test".into(), now, Duration::MAX), Actions::new());
    limit.on_abort(|| ());
    state.call_began(slot, limit.fuse().downgrade(), now, &mut actions);
    assert!(matches!(actions[..], [Action::Abort(aborted, _)] if aborted == slot));
    assert_eq!(state.promises.tally().aborting, 1, "its slot will serve a waiter");
}

#[test]
fn an_alarm_that_reaches_the_timer_late_costs_no_later_one() {
    let start = sync::now();
    let at = |seconds: u32| start + seconds * SECOND;
    let mut state: State<(), Broken> =
        State::new(&Config::default(), start, Duration::ZERO, fastrand::Rng::with_seed(0));
    let ordered = |actions: Actions<(), Broken>| {
        actions.into_iter().find_map(|action| if let Action::Alarm(at) = action { Some(at) } else { None })
    };
    let mut order = |seconds| {
        let mut actions = Actions::new();
        state.want_alarm(at(seconds), &mut actions);
        ordered(actions)
    };
    let late = order(30);
    assert_eq!(order(10), Some(at(10)));
    let ring = |state: &mut State<(), Broken>, seconds| {
        let mut actions = Actions::new();
        state.tick(at(seconds), at(seconds), seconds * SECOND, &mut actions);
        ordered(actions)
    };
    assert_eq!(ring(&mut state, 10), None, "nothing more is due");
    let mut actions = Actions::new();
    state.want_alarm(at(50), &mut actions);
    // The thread that ordered the first alarm reaches the timer only now. The timer keeps the earlier of the two.
    assert_eq!((late, ordered(actions)), (Some(at(30)), Some(at(50))));
    assert_eq!(ring(&mut state, 30), Some(at(50)), "an alarm that is still needed is ordered again");
}

#[test]
fn one_who_is_given_two_dead_ones_in_a_row_has_not_overtaken_itself() {
    let well = || JobEnds(0, End::Well);
    let before = [Get, Get, Get, Pass(Duration::ZERO), well(), GiveUp(1), Get, Kill(0), Leave(1), Get];
    let frozen =
        [Freeze(Duration::from_millis(2001)), Get, JobEnds(0, End::Failed(Refusal::Permanent)), EvictAll, well()];
    let dead = [Get, Get, Get, Kill(1), Get, Get, Kill(0), Try, Get, GiveUp(1162), Return(0, Shape::Clean), Look(0)];
    play(restless(3), before.into_iter().chain(frozen).chain(dead));
}

#[test]
fn what_was_permanent_before_an_eviction_is_no_worse_than_young_ones_that_die_after_it() {
    let well = || JobEnds(0, End::Well);
    let permanent = || JobEnds(0, End::Failed(Refusal::Permanent));
    let before = [
        permanent(),
        Pass(13 * SECOND),
        JobEnds(1, End::Well),
        Kill(0),
        Get,
        Resize(2, 0),
        Pass(Duration::from_micros(1)),
    ];
    let after = [well(), well(), well(), Get, permanent(), EvictAll, Get, Kill(0), Look(0)];
    play(restless(1), before.into_iter().chain(after));
}
