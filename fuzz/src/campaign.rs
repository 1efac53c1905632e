//! One run: limited in time, from a seed, with a count at the end.

use anyhow::{Context, Result};
use fastrand::Rng;
use std::env;
use std::iter::repeat_with;
use std::time::{Duration, Instant};

/// Its length, its seed, and the number of texts so far.
#[derive(Debug)]
pub struct Campaign {
    name: String,
    begin: Instant,
    time: Duration,
    seed: u64,
    executions: u64,
}

impl Campaign {
    /// `CABRANK_FUZZ_SECONDS` sets the length, a minute by default; `CABRANK_FUZZ_SEED` repeats a run.
    ///
    /// # Errors
    ///
    /// If a variable is not a number.
    pub fn begin(name: &str) -> Result<Self> {
        let seconds = number("CABRANK_FUZZ_SECONDS")?.unwrap_or(60);
        let seed = number("CABRANK_FUZZ_SEED")?.unwrap_or_else(|| fastrand::u64(..));
        println!("{name}: {seconds} s, CABRANK_FUZZ_SEED={seed}");
        let (begin, time) = (Instant::now(), Duration::from_secs(seconds));
        Ok(Self { name: name.to_owned(), begin, time, seed, executions: 0 })
    }

    /// Random numbers, the same for the same seed.
    pub fn rng(&self) -> Rng {
        Rng::with_seed(self.seed)
    }

    /// Counts one more. Returns false when the time is up.
    pub fn goes_on(&mut self) -> bool {
        self.executions += 1;
        self.begin.elapsed() < self.time
    }

    /// Prints the count.
    pub fn end(self) {
        println!("{}: {} executions in {:.0} s", self.name, self.executions, self.begin.elapsed().as_secs_f64());
    }
}

/// Whether eight times the text takes at most about eight times as long. The scanner must not search nested or repeatedly opened parts
/// again and again.
pub(crate) fn is_linear(text: &[u8], scan: impl Fn(&[u8])) -> bool {
    let took = |times: usize| {
        let text = text.repeat(times);
        let begin = Instant::now();
        scan(&text);
        begin.elapsed()
    };
    // A busy machine may suspend a thread for many times the length of a scan, so one good measurement of many is enough. Both counts are
    // even, so a quote that one text opens is closed by the next.
    let times = 2 * (1024 / text.len().max(1)).max(1);
    let short = repeat_with(|| took(times)).take(5).min().unwrap_or_default();
    (0..500).any(|_| took(8 * times) <= 30 * short.max(Duration::from_micros(20)))
}

fn number(variable: &str) -> Result<Option<u64>> {
    let Some(text) = env::var_os(variable) else { return Ok(None) };
    let number = text.to_str().and_then(|text| text.parse().ok());
    number.map(Some).with_context(|| format!("{variable} must be a whole number, not {}", text.display()))
}
