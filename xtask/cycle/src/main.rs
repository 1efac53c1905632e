//! So many checkouts and returns by one thread, with a driver that does nothing: what `cargo xtask instructions` counts.
//!
//! `cargo run --release --package cycle CYCLES [MIN_IDLE]`

use cabrank::{Limit, Manager, Pool};
use std::hint::black_box;
use std::time::Duration;
use std::{env, io};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = env::args().skip(1);
    let cycles: u64 = arguments.next().ok_or("how many cycles?")?.parse()?;
    let min_idle: u32 = arguments.next().map_or(Ok(0), |number| number.parse())?;
    // A check falls due after a second, which is long where each instruction is counted.
    let builder = Pool::builder().max_size(10).min_idle(min_idle).check_after(Duration::MAX);
    let pool = builder.build(Nothing)?;
    while pool.stats().idle < min_idle as _ {
        std::thread::yield_now();
    }
    for _ in 0..cycles {
        drop(black_box(pool.get()?));
    }
    Ok(())
}

/// A driver that does nothing.
struct Nothing;

impl Manager for Nothing {
    type Connection = u64;
    type Error = io::Error;

    fn connect(&self, _: &Limit) -> io::Result<u64> {
        Ok(1)
    }
    fn is_valid(&self, _: &mut u64, _: &Limit) -> io::Result<()> {
        Ok(())
    }
    fn has_broken(&self, _: &mut u64) -> bool {
        false
    }
}
