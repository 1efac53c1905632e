//! The requirements of r2d2's own test cases, and this package's additions.

mod added;
mod cases;
mod support;
