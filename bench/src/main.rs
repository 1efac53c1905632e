//! cabrank beside r2d2 in one run: a first, quick measurement. The pools take turns round by round, so that a machine that
//! slows down slows both; what is printed are medians over the rounds.
//!
//! `cargo run --release --manifest-path bench/Cargo.toml`

use std::hint::black_box;
use std::sync::{Barrier, Mutex};
use std::thread;
use std::time::{Duration, Instant};

const ROUNDS: usize = 9;

fn main() {
    println!("get + drop without work, ns a cycle (median, fastest, slowest of {ROUNDS} rounds)");
    for (threads, size, cycles) in [(1, 10, 300_000), (2, 10, 200_000), (32, 4, 10_000)] {
        let (cabrank, r2d2) = (cabrank_pool(size), r2d2_pool(size));
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            ours.push(cycle(threads, cycles, || drop(black_box(cabrank.get().unwrap()))));
            theirs.push(cycle(threads, cycles, || drop(black_box(r2d2.get().unwrap()))));
        }
        let ratio = median(&mut ours) / median(&mut theirs);
        println!("{threads:>3} on {size:<2} cabrank {}   r2d2 {}   ratio {ratio:.2}", told(&ours), told(&theirs));
    }

    println!("64 threads on 8, 100 us of work, for 1 s a round: loans, and waits in us (p50, p99.9, longest)");
    let (cabrank, r2d2) = (cabrank_pool(8), r2d2_pool(8));
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(waits(64, || cabrank.get().unwrap()));
        theirs.push(waits(64, || r2d2.get().unwrap()));
    }
    for (name, rounds) in [("cabrank", ours), ("r2d2", theirs)] {
        let column = |n: usize| median(&mut rounds.iter().map(|round| round[n]).collect::<Vec<_>>());
        println!("{name:>8} {:.0}   {:.0} {:.0} {:.0}", column(0), column(1), column(2), column(3));
    }
}

/// Nanoseconds a cycle, with so many threads that all do so many.
fn cycle(threads: usize, cycles: usize, once: impl Fn() + Sync) -> f64 {
    let start = Barrier::new(threads + 1);
    let began = thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                start.wait();
                (0..cycles).for_each(|_| once());
            });
        }
        start.wait();
        Instant::now()
    });
    began.elapsed().as_nanos() as f64 / (threads * cycles) as f64
}

/// The number of loans, and the median, 99.9th percentile and longest of their waits in microseconds.
fn waits<G>(threads: usize, get: impl Fn() -> G + Sync) -> [f64; 4] {
    let all = Mutex::new(Vec::new());
    let end = Instant::now() + Duration::from_secs(1);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut own = Vec::new();
                while Instant::now() < end {
                    let asked = Instant::now();
                    let guard = get();
                    own.push(asked.elapsed().as_secs_f64() * 1e6);
                    thread::sleep(Duration::from_micros(100));
                    drop(guard);
                }
                all.lock().unwrap().extend(own);
            });
        }
    });
    let mut all = all.into_inner().unwrap();
    all.sort_by(f64::total_cmp);
    let at = |share: f64| all[((all.len() - 1) as f64 * share) as usize];
    [all.len() as f64, at(0.5), at(0.999), at(1.0)]
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Sorted values, told.
fn told(values: &[f64]) -> String {
    format!("{:.0} ({:.0} to {:.0})", values[values.len() / 2], values[0], values[values.len() - 1])
}

fn cabrank_pool(size: u32) -> cabrank::Pool<Stub> {
    cabrank::Pool::builder().max_size(size).min_idle(size).build(Stub).unwrap()
}

fn r2d2_pool(size: u32) -> r2d2::Pool<Stub> {
    r2d2::Pool::builder().max_size(size).build(Stub).unwrap()
}

/// A driver that does nothing.
struct Stub;

impl cabrank::Manager for Stub {
    type Connection = u64;
    type Error = std::io::Error;

    fn connect(&self, _: &cabrank::Limit) -> std::io::Result<u64> {
        Ok(1)
    }
    fn is_valid(&self, _: &mut u64, _: &cabrank::Limit) -> std::io::Result<()> {
        Ok(())
    }
    fn has_broken(&self, _: &mut u64) -> bool {
        false
    }
}

impl r2d2::ManageConnection for Stub {
    type Connection = u64;
    type Error = std::io::Error;

    fn connect(&self) -> std::io::Result<u64> {
        Ok(1)
    }
    fn is_valid(&self, _: &mut u64) -> std::io::Result<()> {
        Ok(())
    }
    fn has_broken(&self, _: &mut u64) -> bool {
        false
    }
}
