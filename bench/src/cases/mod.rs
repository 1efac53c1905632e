//! The cases: one file for each kind, and how long each case should take.

mod black_hole;
mod checkout;
mod diesel;
mod failover;
mod get_async;
mod growth;
mod http;
mod killed;
mod memory;
mod open_loop;
mod queries;
mod recovery;
mod spike;
mod working;

pub use memory::probe;

use crate::measure::Bench;
use anyhow::Result;

/// One entry of the tables below.
pub struct Case {
    pub name: &'static str,
    /// Its heading in the report.
    pub about: &'static str,
    /// How long it should take in a quick run and in a full one, for the progress bar.
    seconds: (u64, u64),
    pub run: fn(&mut Bench) -> Result<()>,
}

impl Case {
    /// By its name, or by its first word, which several cases may share.
    pub fn is_called(&self, name: &str) -> bool {
        self.name.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
    }

    pub fn millis(&self, quick: bool) -> u64 {
        1000 * if quick { self.seconds.0 } else { self.seconds.1 }
    }
}

/// All cases, in the order of the report.
pub fn all() -> impl Iterator<Item = &'static Case> {
    USUAL.iter().chain(APART)
}

/// Those that run by default.
pub const USUAL: &[Case] = &[
    Case {
        name: "checkout",
        about: "`get` and drop without work, with a driver that does nothing: nanoseconds per cycle, over all threads",
        seconds: (12, 100),
        run: checkout::run,
    },
    Case {
        name: "sleep100us",
        about: "loans of 100 us of sleep: throughput, waits, and the fewest and most loans of a thread",
        seconds: (14, 80),
        run: working::sleep100us,
    },
    Case { name: "spin2us", about: "loans of 2 us of work on the processor", seconds: (6, 25), run: working::spin2us },
    Case {
        name: "growth",
        about: "the cost of a loan with many idle connections, and with many waiters; it should not grow",
        seconds: (10, 60),
        run: growth::run,
    },
    Case {
        name: "get_async",
        about: "tasks: `get_async` compared with `get`, 1,000 tasks on 8, and the wait behind a future that is not polled",
        seconds: (12, 30),
        run: get_async::run,
    },
    Case {
        name: "pg_select1",
        about: "PostgreSQL, `SELECT 1`, all defaults: queries per second",
        seconds: (14, 90),
        run: queries::pg_select1,
    },
    Case {
        name: "pg_prepared",
        about: "PostgreSQL, a read by primary key through the statement cache, if there is one",
        seconds: (14, 90),
        run: queries::pg_prepared,
    },
    Case {
        name: "pg_diesel",
        about: "PostgreSQL through Diesel and r2d2, which is the drop-in for cabrank: a query per loan, and the same on own connections",
        seconds: (8, 70),
        run: diesel::speed,
    },
    Case {
        name: "mysql_select1",
        about: "MySQL, `SELECT 1` and a prepared read by primary key, all defaults: queries per second",
        seconds: (16, 130),
        run: queries::mysql_select1,
    },
    Case {
        name: "mysql_insert",
        about: "MySQL and MariaDB, one insert per loan into a table with `AUTO_INCREMENT`: inserts per second",
        seconds: (16, 130),
        run: queries::mysql_insert,
    },
    Case {
        name: "sqlite_select1",
        about: "SQLite, `SELECT 1` and a read by primary key with a cached statement",
        seconds: (10, 130),
        run: queries::sqlite_select1,
    },
    Case {
        name: "open_loop",
        about: "loans of 1 ms that fall due at a fixed rate: the time from when each was due to its end",
        seconds: (14, 160),
        run: open_loop::run,
    },
    Case {
        name: "spike",
        about: "50 borrowers at once on a cold pool of 50; connecting takes 150 ms, a loan 2 ms",
        seconds: (6, 20),
        run: spike::run,
    },
    Case {
        name: "recovery",
        about: "PostgreSQL is away for 2 s under the load of 16 threads on 8",
        seconds: (32, 250),
        run: recovery::run,
    },
    Case {
        name: "killed",
        about: "all sessions are killed at once under the load of 16 threads on 8",
        seconds: (14, 110),
        run: killed::run,
    },
    Case {
        name: "black_hole",
        about: "established flows of a pool of 10 fall silent, new ones work: all idle, and with 4 at work",
        seconds: (28, 130),
        run: black_hole::run,
    },
    Case {
        name: "http_read",
        about: "200 HTTP clients of a web service on a pool of 8: a read by primary key in PostgreSQL",
        seconds: (2, 8),
        run: http::read,
    },
    Case {
        name: "http_slow",
        about: "200 HTTP clients on a pool of 8: 5 ms of sleep in the server, then the read",
        seconds: (2, 8),
        run: http::slow,
    },
    Case {
        name: "http_overload",
        about: "200 HTTP clients on a pool of 8: 50 ms of sleep in the server, then the read; they hang up after 500 ms and try again",
        seconds: (9, 39),
        run: http::overload,
    },
    Case { name: "memory", about: "heap and threads of a pool at rest", seconds: (13, 13), run: memory::run },
];

/// Those that run only by name, because they take long.
const APART: &[Case] = &[
    Case {
        name: "diesel_trouble",
        about: "PostgreSQL through Diesel and r2d2 when connections run out, are spoiled, or fail; yes is 1, no is 0",
        seconds: (170, 500),
        run: diesel::trouble,
    },
    Case {
        name: "failover_killed",
        about: "the primary is killed, its standby promoted 2 s later; both are in the URL: 8 writers on 8",
        seconds: (75, 200),
        run: failover::killed,
    },
    Case {
        name: "failover_switchover",
        about: "one name leads to a standby for 5 s: 8 writers on 8",
        seconds: (75, 220),
        run: failover::switchover,
    },
    Case {
        name: "failover_frozen",
        about: "the primary is frozen, its standby promoted; both are in the URL: 4 writers that arrive later, on 16 with 8 that hang",
        seconds: (75, 220),
        run: failover::frozen,
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_is_called_by_its_name_or_by_its_first_words() {
        let called = |name: &str| all().filter(|case| case.is_called(name)).map(|case| case.name).collect::<Vec<_>>();
        assert_eq!(called("killed"), ["killed"]);
        assert_eq!(called("failover"), ["failover_killed", "failover_switchover", "failover_frozen"]);
        assert!(called("kill").is_empty() && called("").is_empty());
    }
}
