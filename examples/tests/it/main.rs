//! Every program on every engine, run as a user would run it.
//!
//! SQLite is always there. PostgreSQL, MySQL and MariaDB are servers that `CABRANK_POSTGRES_URL`, `CABRANK_MYSQL_URL` and
//! `CABRANK_MARIADB_URL` name; what could not run for want of them says so, and is counted as skipped.

mod place;
mod program;

mod demo;
mod small;

#[cfg(unix)]
mod service;
#[cfg(unix)]
mod web;
