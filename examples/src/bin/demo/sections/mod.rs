//! The sections of the story, in its order.

mod concurrency;
mod ending;
mod exhaustion;
mod opening;
mod queries;
mod states;
mod transactions;

pub(crate) use concurrency::concurrency;
pub(crate) use ending::ending;
pub(crate) use exhaustion::exhaustion;
pub(crate) use opening::opening;
pub(crate) use queries::queries;
pub(crate) use states::states;
pub(crate) use transactions::transactions;
