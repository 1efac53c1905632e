//! Checkouts by the first poll of `get_async`, and returns, with all connections opened ahead. A separate program, because beside `get` the
//! compiler would inline less of both.
//!
//! `cargo run --release --package cycle --bin task CYCLES`.

#[path = "../nothing.rs"]
mod nothing;

use cabrank::Pool;
use nothing::Nothing;
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use std::{env, thread};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let cycles: u64 = env::args().nth(1).ok_or("how many cycles?")?.parse()?;
    let pool = Pool::builder().max_size(10).min_idle(10).check_after(Duration::MAX).build(Nothing)?;
    while pool.stats().idle < 10 {
        thread::yield_now();
    }
    Ok((0..cycles).try_for_each(|_| at_once(pool.get_async()).map(|conn| drop(black_box(conn))))?)
}

/// The first poll lends an idle connection.
fn at_once<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("one is idle"),
    }
}
