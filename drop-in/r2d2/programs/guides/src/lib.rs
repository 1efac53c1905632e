//! The guides for users of r2d2, as documentation: their programs are its tests.

#[doc = include_str!("../../../../../docs/coming-from-r2d2.md")]
pub mod coming_from_r2d2 {}

#[doc = include_str!("../../../../../docs/diesel.md")]
pub mod diesel {}
