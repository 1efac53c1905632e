//! A web service on PostgreSQL over each of several pools, as the users of each would write it, and the clients that ask it. The service
//! runs in a process of its own, where its threads can be counted.

mod clients;
mod counts;
mod process;
mod service;
mod ways;

pub use clients::{Answers, Crowd, counts, until_prompt};
pub use process::Service;
pub use service::serve;
