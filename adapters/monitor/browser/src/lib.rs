//! Drives a real browser, headless Chromium, and has the pools that it is shown.

mod chromium;
mod picture;
mod scene;

pub use chromium::Chromium;
pub use scene::Scene;
