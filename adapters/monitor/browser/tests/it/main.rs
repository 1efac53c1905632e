//! The page in a real browser: what it shows is what the pool says.
//!
//! `cargo xtask ci --only browser` runs these. Elsewhere they are counted as ignored, for they need Chromium.

mod keys;
mod looks;
mod states;
mod support;

use std::process::ExitCode;

fn main() -> ExitCode {
    cabrank_testing::harness::run([keys::tests(), looks::tests(), states::tests()])
}
