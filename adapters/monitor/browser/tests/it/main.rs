//! The page in a real browser shows exactly the pool's own numbers. In `web.rs` the pool is that of the example `web`, in a separate
//! process.
//!
//! `cargo xtask ci --only browser` runs these. Elsewhere they count as ignored, because they need Chromium.

mod keys;
mod looks;
mod states;
mod support;

#[cfg(unix)]
mod service;
#[cfg(unix)]
mod watched;
#[cfg(unix)]
mod web;

use std::process::ExitCode;

fn main() -> ExitCode {
    cabrank_testing::harness::run([
        keys::tests(),
        looks::tests(),
        states::tests(),
        #[cfg(unix)]
        web::tests(),
    ])
}
