//! A web service on PostgreSQL over each of several pools, written as users of each would, and its clients. The service runs in its own
//! process, where its threads can be counted.

mod clients;
mod counts;
mod process;
mod service;
mod ways;

pub use clients::{Answers, Crowd, counts, until_prompt};
pub use process::Service;
pub use service::serve;
