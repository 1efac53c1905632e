//! Checkouts and returns with a driver that does nothing: `cargo xtask instructions` counts their instructions.
//!
//! `cargo run --release --package cycle CYCLES [MIN_IDLE [THREADS]]`. A single thread always finds a connection. With THREADS, more than
//! there are connections, each thread keeps its loan for a moment, so most checkouts queue.

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
    // By default a check is due after a second, which would pass during a run that counts instructions.
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

/// The length of each loan.
const LOAN: Duration = Duration::from_micros(30);
