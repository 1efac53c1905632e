//! Any manager, with faults injected into its calls: shows how an application behaves when the third check fails, a commit hangs, or a
//! reset panics.

mod faults;
mod manager;
#[cfg(test)]
mod tests;

pub use faults::{Faults, Injection, Method};
pub use manager::Faulty;
