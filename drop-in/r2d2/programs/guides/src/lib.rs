//! The guides as documentation, which makes their programs documentation tests.

#[doc = include_str!("../../../../../docs/async.md")]
pub mod in_async_code {}

#[doc = include_str!("../../../../../docs/coming-from-r2d2.md")]
pub mod coming_from_r2d2 {}

#[doc = include_str!("../../../../../docs/diesel.md")]
pub mod diesel {}
