//! Drives a real browser, headless Chromium, and owns the pools that its page shows.

mod chromium;
mod picture;
mod scene;

pub use chromium::Chromium;
pub use scene::Scene;
