//! The adapter's promises, held against real servers: MySQL if `CABRANK_MYSQL_URL` is set, MariaDB if
//! `CABRANK_MARIADB_URL` is. What could not run for want of them says so, and is counted as skipped.

mod server;

mod ending;
mod lines;
mod opening;
mod passed_over;
mod returning;
mod slipping;
mod tracking;
mod transactions;
