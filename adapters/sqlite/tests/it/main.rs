//! The adapter's promises, held against real files and memory databases.

mod fixture;

mod files;
mod memory;
mod opening;
mod overruns;
mod reading_and_writing;
mod returning;
mod session;
mod transactions;
