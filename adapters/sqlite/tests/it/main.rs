//! t
#![allow(dead_code)]
mod fixture;
mod opening;
mod session;
