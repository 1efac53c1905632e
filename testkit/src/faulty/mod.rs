//! Any manager, with faults injected into its calls: how does an application fare when the third check fails, when a commit
//! hangs, when a reset panics?

mod faults;
mod manager;
#[cfg(test)]
mod tests;

pub use faults::{Faults, Injection, Method};
pub use manager::Faulty;
