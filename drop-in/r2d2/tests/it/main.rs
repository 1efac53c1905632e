//! What r2d2's own test cases ask of a pool, and what this package adds to that.

mod added;
mod cases;
mod support;
