//! So many checkouts and returns, with a driver that does nothing: what `cargo xtask instructions` counts.
//!
//! `cargo run --release --package cycle CYCLES [MIN_IDLE [THREADS]]`. One thread finds a connection each time. More threads than
//! connections keep each loan for a moment, so most of their checkouts queue.

mod nothing;

use cabrank::{GetError, Pool};
use nothing::Nothing;
use std::hint::black_box;
use std::time::Duration;
use std::{env, io, thread};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = env::args().skip(1);
    let cycles: u64 = arguments.next().ok_or("how many cycles?")?.parse()?;
    let min_idle: u32 = arguments.next().map_or(Ok(0), |number| number.parse())?;
    // A check falls due after a second, which is long where each instruction is counted.
    let builder = Pool::builder().max_size(10).min_idle(min_idle).check_after(Duration::MAX);
    let pool = builder.build(Nothing)?;
    while pool.stats().idle < min_idle as _ {
        thread::yield_now();
    }
    match arguments.next() {
        None => Ok((0..cycles).try_for_each(|_| pool.get().map(|conn| drop(black_box(conn))))?),
        Some(threads) => queue(&pool, cycles, threads.parse()?),
    }
}

/// Many threads share the cycles.
fn queue(pool: &Pool<Nothing>, cycles: u64, threads: u64) -> Result<(), Box<dyn std::error::Error>> {
    let share = || {
        (0..cycles / threads).try_for_each(|_| {
            let _conn = pool.get()?;
            thread::sleep(LOAN);
            Ok(())
        })
    };
    let shares: Result<(), GetError<io::Error>> = thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(share)).collect();
        threads.into_iter().try_for_each(|thread| thread.join().expect("a cycle does not panic"))
    });
    Ok(shares?)
}

/// How long each of them keeps a connection.
const LOAN: Duration = Duration::from_micros(30);
