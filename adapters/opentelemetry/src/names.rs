//! The names of OpenTelemetry's semantic conventions 1.44, and our own where they have none.
//!
//! Literal here, because the crate with the conventions has these behind a feature for unstable ones. A test compares them.

pub(crate) const POOL_NAME: &str = "db.client.connection.pool.name";
pub(crate) const STATE: &str = "db.client.connection.state";

pub(crate) const COUNT: &str = "db.client.connection.count";
pub(crate) const MAX: &str = "db.client.connection.max";
pub(crate) const IDLE_MIN: &str = "db.client.connection.idle.min";
pub(crate) const IDLE_MAX: &str = "db.client.connection.idle.max";
pub(crate) const PENDING_REQUESTS: &str = "db.client.connection.pending_requests";
pub(crate) const TIMEOUTS: &str = "db.client.connection.timeouts";
pub(crate) const WAIT_TIME: &str = "db.client.connection.wait_time";
pub(crate) const USE_TIME: &str = "db.client.connection.use_time";
pub(crate) const CREATE_TIME: &str = "db.client.connection.create_time";

pub(crate) const HEALTH: &str = "cabrank.health";
pub(crate) const LOANS: &str = "cabrank.loans";
pub(crate) const REFUSED: &str = "cabrank.refused";
pub(crate) const OPENED: &str = "cabrank.opened";
pub(crate) const OPEN_FAILURES: &str = "cabrank.open_failures";
pub(crate) const CLOSED: &str = "cabrank.closed";
pub(crate) const RESETS: &str = "cabrank.resets";
pub(crate) const LEAKS: &str = "cabrank.leaks";
pub(crate) const STUCK: &str = "cabrank.stuck";
pub(crate) const ABORTED: &str = "cabrank.aborted";
pub(crate) const ABANDONED: &str = "cabrank.abandoned";

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_semantic_conventions::{attribute, metric};

    #[test]
    fn the_names_are_those_of_the_conventions() {
        let pairs = [
            (POOL_NAME, attribute::DB_CLIENT_CONNECTION_POOL_NAME),
            (STATE, attribute::DB_CLIENT_CONNECTION_STATE),
            (COUNT, metric::DB_CLIENT_CONNECTION_COUNT),
            (MAX, metric::DB_CLIENT_CONNECTION_MAX),
            (IDLE_MIN, metric::DB_CLIENT_CONNECTION_IDLE_MIN),
            (IDLE_MAX, metric::DB_CLIENT_CONNECTION_IDLE_MAX),
            (PENDING_REQUESTS, metric::DB_CLIENT_CONNECTION_PENDING_REQUESTS),
            (TIMEOUTS, metric::DB_CLIENT_CONNECTION_TIMEOUTS),
            (WAIT_TIME, metric::DB_CLIENT_CONNECTION_WAIT_TIME),
            (USE_TIME, metric::DB_CLIENT_CONNECTION_USE_TIME),
            (CREATE_TIME, metric::DB_CLIENT_CONNECTION_CREATE_TIME),
        ];
        for (ours, theirs) in pairs {
            assert_eq!(ours, theirs);
        }
    }
}
