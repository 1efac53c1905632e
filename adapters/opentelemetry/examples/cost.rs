//! The cost of a loan without metrics, observed, and with pushed histograms: for one thread, and for two in parallel.
//!
//! `cargo run --release -p cabrank-otel --example cost`, and the same with `--features bound`.

use cabrank::{Builder, Limit, Manager, Pool, SessionState};
use cabrank_otel::Metrics;
use opentelemetry::metrics::MeterProvider;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use std::error::Error;
use std::io;
use std::time::Instant;

/// A driver that costs nothing.
struct Toy;

impl Manager for Toy {
    type Connection = u32;
    type Error = io::Error;

    fn connect(&self, _: &Limit) -> io::Result<u32> {
        Ok(0)
    }
    fn is_valid(&self, _: &mut u32, _: &Limit) -> io::Result<()> {
        Ok(())
    }
    fn has_broken(&self, _: &mut u32) -> bool {
        false
    }
    fn session(&self, _: &mut u32) -> SessionState {
        SessionState::Clean
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let reader = opentelemetry_prometheus::exporter().build()?;
    let provider = SdkMeterProvider::builder().with_reader(reader).build();
    let metrics = Metrics::new(&provider.meter("cabrank"));

    let named = |name: &str| -> Builder<Toy> { Pool::builder().name(name) };
    let plain = named("plain").build(Toy)?;
    let observed = named("observed").build(Toy)?;
    metrics.observe(&observed);
    let recorded = named("recorded").event_handler(metrics.recorder()).build(Toy)?;
    metrics.observe(&recorded);

    for threads in [1, 2] {
        // In turns, so other load on the machine affects all of them.
        let mut rounds = [const { Vec::new() }; 3];
        for _ in 0..ROUNDS {
            for (round, pool) in rounds.iter_mut().zip([&plain, &observed, &recorded]) {
                round.push(nanos_of_a_loan(pool, threads));
            }
        }
        let [plain, observed, recorded] = rounds.map(median);
        println!(
            "{threads} threads: {plain:.0} ns a loan; observed {observed:.0} ns; with histograms {recorded:.0} ns"
        );
        println!("           histograms cost {:.0} ns more", recorded - plain);
    }
    Ok(())
}

fn nanos_of_a_loan(pool: &Pool<Toy>, threads: u32) -> f64 {
    let borrow = || (0..LOANS).for_each(|_| *pool.get().expect("one for each thread") += 1);
    borrow();
    let began = Instant::now();
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(borrow))));
    began.elapsed().as_nanos() as f64 / f64::from(LOANS)
}

fn median(mut rounds: Vec<f64>) -> f64 {
    rounds.sort_by(f64::total_cmp);
    rounds[rounds.len() / 2]
}

/// Many short ones: the machine may be busy at times.
const ROUNDS: u32 = 101;
const LOANS: u32 = 20_000;
