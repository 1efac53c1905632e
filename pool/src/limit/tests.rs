//! A call and its limit, without a pool.

use super::*;
use crate::sync::{AtomicBool, Ordering};

fn limit() -> Limit {
    Limit::new(Duration::from_secs(60)).with_pool("test")
}

fn fire(limit: &Limit) -> Fired {
    let mut end = None;
    limit.fuse().fire(|fired| end = Some(fired));
    end.expect("it was armed")
}

#[test]
fn a_look_up_within_a_look_up_can_be_written_off_until_the_outer_one_has_ended() {
    let limit = limit();
    let found = limit.unabortable(|| {
        assert_eq!(limit.unabortable(|| 1), Some(1));
        assert_eq!(fire(&limit), Fired::WrittenOff);
        assert_eq!(limit.unabortable(|| 2), None, "it is over, and runs no further look-up");
    });
    assert_eq!(found, None);
}

#[test]
fn after_a_look_up_that_ended_or_panicked_the_call_is_aborted_as_any_other() {
    let limit = limit();
    assert!(contained(|| limit.unabortable(|| panic!("ordered"))).is_err());
    assert_eq!(limit.unabortable(|| ()), Some(()));
    limit.on_abort(|| ());
    assert_eq!(fire(&limit), Fired::Aborted);
}

#[test]
fn a_way_to_abort_that_is_registered_after_the_limit_has_passed_is_used_at_once() {
    let (limit, during, later) = (limit(), Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let raise = |flag: &Arc<AtomicBool>| {
        let flag = Arc::clone(flag);
        move || flag.store(true, Ordering::SeqCst)
    };
    limit.fuse().fire(|fired| {
        assert_eq!(fired, Fired::Stuck, "nothing was registered");
        limit.on_abort(raise(&during));
    });
    assert!(during.load(Ordering::SeqCst));
    limit.on_abort(raise(&later));
    assert!(later.load(Ordering::SeqCst));
    assert!(limit.disarm());
}

#[test]
fn a_way_to_abort_that_is_registered_after_the_call_is_never_used() {
    let (limit, used) = (limit(), Arc::new(AtomicBool::new(false)));
    assert!(!limit.disarm());
    let flag = Arc::clone(&used);
    limit.on_abort(move || flag.store(true, Ordering::SeqCst));
    limit.fuse().fire(|_| panic!("it was disarmed"));
    assert!(!used.load(Ordering::SeqCst));
}

#[test]
fn a_limit_of_no_pool_measures_time_and_ends_nothing() {
    let limit = limit();
    assert_eq!((limit.pool(), Limit::new(Duration::MAX).pool()), ("test", "cabrank"));
    assert!(limit.remaining().is_some_and(|left| left > Duration::from_secs(50) && left <= Duration::from_secs(60)));
    let (over, endless) = (Limit::new(Duration::ZERO), Limit::new(Duration::MAX));
    assert_eq!((over.remaining(), endless.remaining()), (Some(Duration::ZERO), None));
    over.on_abort(|| panic!("nothing ends it"));
    assert!(!over.is_over() && over.unabortable(|| 7) == Some(7));
}
