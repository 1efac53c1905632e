//! The goals of cabrank, relative to a peer of the same run or absolute, and which of them it misses.

use super::Report;

/// One goal for a median of cabrank.
pub struct Goal {
    case: &'static str,
    threads: usize,
    size: u32,
    metric: &'static str,
    relation: Relation,
    against: Against,
}

#[derive(Clone, Copy)]
enum Relation {
    AtMost,
    AtLeast,
}

#[derive(Clone, Copy)]
enum Against {
    /// A multiple of this peer's value of the same metric.
    Peer(f64, &'static str),
    /// A multiple of another metric of cabrank.
    Own(f64, &'static str),
    Absolute(f64),
}

use Against::{Absolute, Own, Peer};
use Relation::{AtLeast, AtMost};

const fn goal(
    case: &'static str,
    (threads, size): (usize, u32),
    metric: &'static str,
    relation: Relation,
    against: Against,
) -> Goal {
    Goal { case, threads, size, metric, relation, against }
}

const GOALS: &[Goal] = &[
    goal("checkout", (1, 10), "ns_per_cycle", AtMost, Peer(0.50, "r2d2")),
    goal("checkout", (1, 10), "ns_per_cycle", AtMost, Peer(0.85, "hikaricp")),
    goal("checkout", (2, 10), "ns_per_cycle", AtMost, Peer(0.18, "r2d2")),
    goal("checkout", (2, 10), "ns_per_cycle", AtMost, Peer(0.75, "hikaricp")),
    goal("checkout", (8, 10), "ns_per_cycle", AtMost, Peer(0.20, "r2d2")),
    goal("checkout", (8, 10), "ns_per_cycle", AtMost, Peer(1.0, "hikaricp")),
    goal("checkout", (8, 16), "ns_per_cycle", AtMost, Peer(0.20, "r2d2")),
    goal("checkout", (8, 16), "ns_per_cycle", AtMost, Peer(1.0, "hikaricp")),
    goal("checkout", (32, 4), "ns_per_cycle", AtMost, Peer(0.80, "r2d2")),
    goal("get_async", (1, 10), "async_ns_per_cycle", AtMost, Own(1.15, "ns_per_cycle")),
    goal("get_async", (2, 1), "next_waits_ms", AtMost, Absolute(100.0)),
    goal("sleep100us", (64, 8), "wait_p999_us", AtMost, Peer(1.2, "deadpool")),
    goal("sleep100us", (64, 8), "ops_per_s", AtLeast, Peer(0.93, "r2d2")),
    goal("sleep100us", (64, 8), "ops_per_s", AtLeast, Peer(0.98, "deadpool")),
    goal("sleep100us", (256, 8), "wait_p999_us", AtMost, Peer(1.5, "deadpool")),
    goal("pg_select1", (1, 8), "ops_per_s", AtLeast, Peer(0.95, "r2d2_unchecked")),
    goal("pg_select1", (16, 8), "ops_per_s", AtLeast, Peer(0.95, "r2d2_unchecked")),
    goal("pg_select1", (16, 8), "ops_per_s", AtLeast, Peer(0.95, "own_connection")),
    goal("pg_diesel", (1, 8), "ops_per_s", AtLeast, Peer(1.2, "r2d2")),
    goal("pg_diesel", (1, 8), "ops_per_s", AtLeast, Own(0.91, "own_ops_per_s")),
    goal("pg_diesel", (16, 8), "ops_per_s", AtLeast, Peer(1.2, "r2d2")),
    goal("pg_diesel", (16, 8), "ops_per_s", AtLeast, Own(0.91, "own_ops_per_s")),
    goal("mysql_select1", (16, 8), "ops_per_s", AtLeast, Peer(0.95, "own_connection")),
    goal("pg_prepared", (1, 8), "ops_per_s", AtLeast, Own(1.8, "unprepared_ops_per_s")),
    goal("mysql_select1", (1, 8), "ops_per_s", AtLeast, Peer(0.95, "mysql_pool")),
    goal("mysql_select1", (16, 8), "ops_per_s", AtLeast, Peer(0.95, "mysql_pool")),
    goal("mysql_select1", (1, 8), "ops_per_s", AtLeast, Peer(1.0, "r2d2")),
    goal("mysql_select1", (16, 8), "ops_per_s", AtLeast, Peer(1.0, "r2d2")),
    goal("mysql_insert", (1, 8), "ops_per_s", AtLeast, Peer(1.0, "mysql_pool")),
    goal("mysql_insert", (16, 8), "ops_per_s", AtLeast, Peer(1.0, "mysql_pool")),
    goal("mysql_insert", (1, 8), "mariadb_ops_per_s", AtLeast, Peer(1.0, "mysql_pool")),
    goal("mysql_insert", (16, 8), "mariadb_ops_per_s", AtLeast, Peer(1.0, "mysql_pool")),
    goal("sqlite_select1", (1, 8), "prepared_ops_per_s", AtLeast, Peer(1.0, "r2d2")),
    goal("sqlite_select1", (1, 8), "overhead_ns", AtMost, Peer(0.85, "r2d2_unchecked")),
    goal("sqlite_select1", (4, 8), "ops_per_s", AtLeast, Peer(0.90, "own_connection")),
    goal("sqlite_select1", (4, 8), "prepared_ops_per_s", AtLeast, Peer(0.90, "own_connection")),
    goal("http_read", (200, 8), "threads", AtMost, Absolute(24.0)),
    goal("http_read", (200, 8), "ops_per_s", AtLeast, Peer(1.0, "deadpool_diesel")),
    goal("http_slow", (200, 8), "threads", AtMost, Absolute(24.0)),
    goal("http_overload", (200, 8), "threads", AtMost, Absolute(32.0)),
    goal("http_overload", (200, 8), "prompt_again_ms", AtMost, Absolute(100.0)),
    goal("http_overload", (200, 8), "for_nobody", AtMost, Absolute(24.0)),
    goal("memory", (0, 10), "heap_bytes", AtMost, Absolute(24_576.0)),
    goal("memory", (0, 1000), "heap_bytes", AtMost, Absolute(700_000.0)),
    goal("memory", (0, 10), "threads", AtMost, Absolute(1.0)),
    goal("recovery", (16, 8), "failed_gets", AtMost, Absolute(0.0)),
    goal("recovery", (16, 8), "failed_queries", AtMost, Absolute(8.0)),
    goal("recovery", (16, 8), "first_success_ms", AtMost, Absolute(300.0)),
    goal("recovery", (16, 8), "to_80_percent_ms", AtMost, Absolute(450.0)),
    goal("killed", (16, 8), "failed_gets", AtMost, Absolute(0.0)),
    goal("killed", (16, 8), "failed_queries", AtMost, Absolute(8.0)),
    goal("killed", (16, 8), "ops_per_s_before", AtLeast, Peer(0.9, "r2d2_unchecked")),
    goal("killed", (16, 8), "ops_per_s_after", AtLeast, Peer(0.9, "r2d2_unchecked")),
    goal("black_hole", (10, 10), "get_max_ms", AtMost, Absolute(500.0)),
    goal("black_hole", (10, 10), "failed_gets", AtMost, Absolute(0.0)),
    goal("black_hole", (6, 10), "get_max_ms", AtMost, Absolute(500.0)),
    goal("black_hole", (6, 10), "failed_gets", AtMost, Absolute(0.0)),
];

/// Two threads must do this many times the work of one for contention to be judged.
const PARALLEL: f64 = 1.8;

/// The result for one goal.
pub struct Standing {
    pub what: String,
    pub verdict: Verdict,
}

pub enum Verdict {
    Reached { ours: f64, bound: f64 },
    Missed { ours: f64, bound: f64 },
    NotMeasured(String),
}

/// For all goals whose case `ran`.
pub fn standings(report: &Report, ran: impl Fn(&str) -> bool) -> Vec<Standing> {
    GOALS.iter().filter(|goal| ran(goal.case)).map(|goal| goal.standing(report)).collect()
}

/// Whether the check is passed.
pub fn passed(standings: &[Standing], allow_missing: bool) -> bool {
    standings.iter().all(|standing| match standing.verdict {
        Verdict::Reached { .. } => true,
        Verdict::Missed { .. } => false,
        Verdict::NotMeasured(_) => allow_missing,
    })
}

/// A table that begins with the missed goals.
pub fn table(standings: &[Standing]) -> String {
    let mut lines = vec!["| goal | cabrank | bound | |".to_owned(), "|---|---|---|---|".to_owned()];
    let rank = |standing: &&Standing| match standing.verdict {
        Verdict::Missed { .. } => 0,
        Verdict::NotMeasured(_) => 1,
        Verdict::Reached { .. } => 2,
    };
    let mut sorted: Vec<_> = standings.iter().collect();
    sorted.sort_by_key(rank);
    for Standing { what, verdict } in sorted {
        let number = super::markdown::number;
        lines.push(match verdict {
            Verdict::Reached { ours, bound } => {
                format!("| {what} | {} | {} | reached |", number(*ours), number(*bound))
            }
            Verdict::Missed { ours, bound } => {
                format!("| {what} | {} | {} | **missed** |", number(*ours), number(*bound))
            }
            Verdict::NotMeasured(who) => format!("| {what} | | | not measured: {who} |"),
        });
    }
    lines.join("\n")
}

impl Goal {
    fn standing(&self, report: &Report) -> Standing {
        let median = |pool: &str, metric: &str| {
            let row = report.row(self.case, self.threads, self.size, pool, metric);
            // A goal of zero is judged by the worst round.
            let never = matches!(self.against, Absolute(0.0));
            row.map(|row| if never { row.max } else { row.median }).ok_or_else(|| pool.to_owned())
        };
        let verdict = self.can_be_judged(report).and_then(|()| median("cabrank", self.metric)).and_then(|ours| {
            let bound = match self.against {
                Peer(factor, peer) => factor * median(peer, self.metric)?,
                Own(factor, metric) => factor * median("cabrank", metric)?,
                Absolute(bound) => bound,
            };
            let reached = match self.relation {
                AtMost => ours <= bound,
                AtLeast => ours >= bound,
            };
            Ok(if reached { Verdict::Reached { ours, bound } } else { Verdict::Missed { ours, bound } })
        });
        let verdict = verdict.unwrap_or_else(Verdict::NotMeasured);
        Standing { what: self.told(), verdict }
    }

    /// Contention between threads shows only if they run at the same time.
    fn can_be_judged(&self, report: &Report) -> Result<(), String> {
        let is_of_cores = self.threads > 1 && ["checkout", "sqlite_select1"].contains(&self.case);
        match report.machine.parallel {
            Some(times) if is_of_cores && times < PARALLEL => {
                Err(format!("two threads did {times:.2} times the work of one, and {PARALLEL} is needed"))
            }
            _ => Ok(()),
        }
    }

    fn told(&self) -> String {
        let relation = match self.relation {
            AtMost => "at most",
            AtLeast => "at least",
        };
        let against = match self.against {
            Peer(factor, peer) => format!("{factor} x {peer}"),
            Own(factor, metric) => format!("{factor} x its {metric}"),
            Absolute(bound) => bound.to_string(),
        };
        let Self { case, threads, size, metric, .. } = self;
        format!("{case}, {threads} on {size}: {metric} {relation} {against}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Row;
    use crate::report::machine::Machine;

    fn report(rows: &[(&str, &str, f64)]) -> Report {
        let row = |(pool, metric, value): &(&str, &str, f64)| Row::new("checkout", 1, 10, pool, metric, vec![*value]);
        let rows = rows.iter().map(row).collect();
        Report { machine: Machine::default(), quick: true, rows, missing: Vec::new(), curves: Vec::new() }
    }

    fn first(report: &Report) -> Verdict {
        GOALS[0].standing(report).verdict
    }

    #[test]
    fn a_goal_is_reached_missed_or_not_measured() {
        let metric = "ns_per_cycle";
        let both = |ours| report(&[("cabrank", metric, ours), ("r2d2", metric, 100.0)]);
        assert!(matches!(first(&both(50.0)), Verdict::Reached { .. }));
        assert!(matches!(first(&both(51.0)), Verdict::Missed { .. }));
        let alone = report(&[("cabrank", metric, 1.0)]);
        assert!(matches!(first(&alone), Verdict::NotMeasured(who) if who == "r2d2"));
    }

    #[test]
    fn what_is_not_measured_fails_the_check_unless_that_is_allowed() {
        let alone = standings(&report(&[]), |case| case == "checkout");
        assert!(!passed(&alone, false));
        assert!(passed(&alone, true));
        let missed = report(&[("cabrank", "ns_per_cycle", 9.0), ("r2d2", "ns_per_cycle", 1.0)]);
        assert!(!passed(&standings(&missed, |case| case == "checkout"), true));
    }
}
