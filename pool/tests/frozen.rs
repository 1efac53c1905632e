//! A process that is frozen while its borrowers wait. It must be stopped from outside, so it is a child of the test.
#![cfg(target_os = "linux")]

use cabrank::Pool;
use cabrank_testing::eventually;
use cabrank_testing::fake::{FakeManager, FakeServer};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

#[test]
fn those_whose_time_ran_out_while_the_process_stood_still_are_served_when_it_goes_on() {
    if std::env::var_os(CHILD).is_some() {
        return child();
    }
    let name = "those_whose_time_ran_out_while_the_process_stood_still_are_served_when_it_goes_on";
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(CHILD, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(said.by_ref().any(|line| line.unwrap().contains(READY)), "the child is ready");
    let signal = |signal: &str| {
        // Every machine has the shell's own `kill`.
        let killed = Command::new("sh").args(["-c", &format!("kill -{signal} {}", child.id())]).status();
        assert!(killed.unwrap().success());
    };
    signal("STOP");
    thread::sleep(TIMEOUT + Duration::from_secs(1)); // Past the deadlines, as the test requires.
    signal("CONT");
    let said: Vec<String> = said.map(|line| line.unwrap()).collect();
    assert!(child.wait().unwrap().success(), "{said:#?}");
}

/// Four connections are lent for a while; 12 threads and 12 tasks wait for one; a thread and a task wait for one that is never returned.
fn child() {
    let server = FakeServer::new();
    let pool_of = |size| Pool::builder().max_size(size).build_lazy(server.manager()).unwrap();
    let (pool, kept) = (pool_of(4), pool_of(1));
    let began = Instant::now();
    let lent: Vec<_> = (0..4).map(|_| pool.get().unwrap()).collect();
    let never_back = kept.get().unwrap();
    let (pool, kept) = (&pool, &kept);
    let get = |pool: &Pool<FakeManager>, as_thread| match as_thread {
        true => pool.get_timeout(TIMEOUT),
        false => pollster::block_on(pool.get_async_timeout(TIMEOUT)),
    };
    thread::scope(|scope| {
        let waiters: Vec<_> = (0..24)
            .map(|number| {
                scope.spawn(move || {
                    let served = get(pool, number % 2 == 0);
                    // A short loan: each connection serves six of them.
                    if served.is_ok() {
                        thread::sleep(Duration::from_millis(1));
                    }
                    served.map(|_| began.elapsed()).map_err(|error| error.to_string())
                })
            })
            .collect();
        let refused =
            [true, false].map(|as_thread| scope.spawn(move || (get(kept, as_thread).map(drop), Instant::now())));
        eventually("all wait", || pool.stats().waiting == 24 && kept.stats().waiting == 2);
        scope.spawn(move || {
            let over = began + TIMEOUT - Duration::from_secs(1);
            thread::sleep(over.saturating_duration_since(Instant::now())); // The loan.
            drop(lent);
        });
        println!("{READY}");
        let ends: Vec<_> = waiters.into_iter().map(|waiter| waiter.join().unwrap()).collect();
        let served: Vec<_> = ends.iter().filter_map(|end| end.as_ref().ok()).collect();
        println!("{} of 24 were served, from {:?} on", served.len(), served.iter().min());
        assert_eq!(served.len(), 24, "{ends:?}");
        assert!(served.iter().all(|&&at| at > TIMEOUT), "it was not suspended in time: {ends:?}");

        for refused in refused {
            let (end, at) = refused.join().unwrap();
            assert!(end.unwrap_err().is_timeout(), "nothing was delivered");
            let report = at.saturating_duration_since(began);
            assert!(report < TIMEOUT + Duration::from_secs(4), "its grace has an end: {report:?}");
        }
    });
    let stats = pool.stats();
    assert_eq!((stats.timed_out, kept.stats().timed_out), (0, 2));
    drop(never_back);
}

const CHILD: &str = "CABRANK_TEST_FROZEN";
const READY: &str = "all wait";
const TIMEOUT: Duration = Duration::from_secs(3);
