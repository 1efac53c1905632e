//! The adapter's own queries to the server, each built to make a late reply to an earlier command recognizable.
//!
//! Owns the queries. `connection/asking.rs` sends them and acts on the answers.

use crate::baseline::Standing;
use crate::error::{IN_TRANSACTION, slipped, unusable};
use mysql::prelude::Queryable;
use mysql::{Conn, Error, MySqlError, Result, Row, from_row_opt};

/// Runs a statement, if there is one, and in the same round trip queries the session's state and whether the server accepts writes. No
/// late reply can pass for the answer: `None` if something else answered.
pub(crate) fn standing(driver: &mut Conn, first: &str, read_only: ReadOnly) -> Result<Option<(Standing, Writes)>> {
    let (nonce, ReadOnly { settings, in_cluster }) = (fastrand::u64(..), read_only);
    let readiness = if in_cluster { READINESS } else { "" };
    let question = format!(
        "{readiness}{first} SELECT {nonce}, CURRENT_USER(), {ROLE}, DATABASE(), {TEXTS_ARE_RELIABLE}, {settings}"
    );
    let mut rows = last_rows(driver, &question)?;
    let answer = rows.pop();
    let is_detached = in_cluster && rows.into_iter().next().is_some_and(is_not_ready);
    Ok(match answer.map(from_row_opt::<(u64, String, Text, Text, bool, Text, Text, Text)>) {
        Some(Ok((answer, user, role, database, texts_are_reliable, plain, of_all, of_engine))) if nonce == answer => {
            let writes = if is_detached { Writes::Detached } else { Writes::by([plain, of_all, of_engine]) };
            Some((Standing { user, role, database, texts_are_reliable }, writes))
        }
        _ => None,
    })
}

/// The answer to [`READINESS`].
fn is_not_ready(row: Row) -> bool {
    from_row_opt::<(String, String)>(row).is_ok_and(|(name, value)| name == "wsrep_ready" && value == "OFF")
}

/// The settings that show whether a server accepts writes. Not every server has all of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReadOnly {
    settings: &'static str,
    /// It is a Galera node, which may be detached from the others.
    in_cluster: bool,
}

impl ReadOnly {
    /// Variants to try in this order, until one contains only settings that the server has.
    pub(crate) fn ways(in_cluster: bool) -> [Self; 3] {
        [OF_ENGINE_TOO, OF_SERVER, OF_NOTHING].map(|settings| Self { settings, in_cluster })
    }
}

impl Default for ReadOnly {
    fn default() -> Self {
        Self { settings: OF_NOTHING, in_cluster: false }
    }
}

/// The server's report on its clients' writes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Writes {
    /// No report.
    #[default]
    Unknown,
    /// Accepts writes.
    Taken,
    /// Refuses them, because of these settings.
    Refused(String),
    /// Accepts no statements at all: a Galera node outside of its cluster's primary component.
    Detached,
}

impl Writes {
    /// From the values of the settings, in the order of [`SETTINGS`]. Servers return `0` and `1`, MariaDB 12 returns `OFF`, `ON`,
    /// `NO_LOCK` and `NO_LOCK_NO_ADMIN`: all but the first forbid writes.
    fn by(values: [Text; 3]) -> Self {
        if values.iter().all(Option::is_none) {
            return Self::Unknown;
        }
        let named = SETTINGS.into_iter().zip(values).filter_map(|(name, value)| match value?.to_uppercase().as_str() {
            "0" | "OFF" => None,
            "1" => Some(format!("{name}=ON")),
            value => Some(format!("{name}={value}")),
        });
        let named: Vec<_> = named.collect();
        if named.is_empty() { Self::Taken } else { Self::Refused(named.join(", ")) }
    }
}

/// Whether a transaction is open. `None` if something else answered.
///
/// MariaDB has a variable for it. MySQL has none, but refuses characteristics for the next transaction while one is open. This query sets
/// the session's own characteristics, which leaves the next transaction unchanged. Before 5.7.20 it cannot be queried.
pub(crate) fn in_transaction(driver: &mut Conn) -> Result<Option<bool>> {
    let nonce = fastrand::u64(..);
    let question = if driver.server_version().0 >= MARIADB {
        format!("SELECT {nonce}, @@in_transaction")
    } else {
        format!("SET @@transaction_read_only = @@session.transaction_read_only; SELECT {nonce}, FALSE")
    };
    match last_row(driver, &question) {
        Err(Error::MySqlError(error)) if error.code == IN_TRANSACTION => Ok(Some(true)),
        Err(Error::MySqlError(error)) if error.code == UNKNOWN_VARIABLE => Ok(Some(false)),
        answer => Ok(match answer?.map(from_row_opt::<(u64, bool)>) {
            Some(Ok((answer, open))) if answer == nonce => Some(open),
            _ => None,
        }),
    }
}

/// The server's permanent properties.
pub(crate) struct Settings {
    /// The statement that sets the character sets to their current values.
    ///
    /// MySQL's `COM_RESET_CONNECTION` takes them from the server's defaults and not from the log-in: a server with latin1 as its default
    /// would read the driver's UTF-8 as latin1 from the second loan on.
    pub(crate) charset_sql: String,
    /// Whether it rolls the whole transaction back when a lock wait times out.
    pub(crate) on_timeout: bool,
    /// The largest packet that it accepts.
    pub(crate) largest_packet: usize,
    /// Whether it is a Galera node that refuses all statements, including reads, while it is detached.
    pub(crate) in_cluster: bool,
}

pub(crate) fn settings(driver: &mut Conn) -> Result<Settings> {
    let mut answer = Ok(None);
    for (on_timeout, in_cluster) in [(ON_TIMEOUT, IN_CLUSTER), (ON_TIMEOUT, "FALSE"), ("FALSE", "FALSE")] {
        answer = last_row(driver, &format!("SELECT {CHARSETS}, {on_timeout}, @@max_allowed_packet, {in_cluster}"));
        if !matches!(&answer, Err(Error::MySqlError(error)) if error.code == UNKNOWN_VARIABLE) {
            break;
        }
    }
    let Some(Ok((client, results, collation, on_timeout, largest_packet, in_cluster))) =
        answer?.map(from_row_opt::<(String, Text, String, bool, usize, bool)>)
    else {
        return Err(unusable("the server did not report its character sets"));
    };
    let results = results.map_or("NULL".into(), |results| format!("'{results}'"));
    let charset_sql = format!(
        "SET character_set_client = '{client}', character_set_results = {results}, \
         collation_connection = '{collation}';"
    );
    Ok(Settings { charset_sql, on_timeout, largest_packet, in_cluster })
}

/// Returns the errors of the last command if its end was not seen: the holder had its rows as the driver's own, which drop errors
/// silently, or a closure panicked while reading them.
///
/// `SHOW WARNINGS` preserves the warnings and `FOUND_ROWS()` for the holder; only `ROW_COUNT()` is lost.
pub(crate) fn errors(driver: &mut Conn) -> Result<Vec<MySqlError>> {
    let mut rows = driver.query_iter("SHOW WARNINGS")?;
    // A late reply to another command has other columns.
    let names = rows.columns().as_ref().iter().map(|column| column.name_str().into_owned()).collect::<Vec<_>>();
    let found = rows.by_ref().collect::<Result<Vec<Row>>>()?;
    let is_last = rows.iter().is_none();
    drop(rows);
    let found =
        found.into_iter().map(from_row_opt::<(String, u16, Vec<u8>)>).collect::<std::result::Result<Vec<_>, _>>();
    let (true, true, Ok(found)) = (names == ["Level", "Code", "Message"], is_last, found) else {
        return Err(slipped());
    };
    let full = !found.is_empty();
    let errors = found.into_iter().filter(|(level, ..)| level == "Error");
    let mut errors: Vec<_> = errors.map(|(_, code, message)| error(code, &String::from_utf8_lossy(&message))).collect();
    // Many warnings may have left no room for the error.
    if errors.is_empty() && full {
        let count = last_row(driver, "SELECT @@error_count")?.map(from_row_opt::<(u64,)>);
        if !matches!(count, Some(Ok((0,)))) {
            errors.push(error(
                UNKNOWN,
                "an error of which the server kept no record, because its list of warnings was full",
            ));
        }
    }
    Ok(errors)
}

fn error(code: u16, message: &str) -> MySqlError {
    MySqlError { state: "HY000".into(), message: message.into(), code }
}

/// The last row of the answers to a text of several statements.
fn last_row(driver: &mut Conn, text: &str) -> Result<Option<Row>> {
    Ok(last_rows(driver, text)?.pop())
}

/// The last row of the answer to each statement of a text that returns rows.
fn last_rows(driver: &mut Conn, text: &str) -> Result<Vec<Row>> {
    let (mut answer, mut found) = (driver.query_iter(text)?, Vec::new());
    while let Some(rows) = answer.iter() {
        let mut last = None;
        for row in rows {
            last = Some(row?);
        }
        found.extend(last);
    }
    Ok(found)
}

/// ER_UNKNOWN_ERROR.
pub(crate) const UNKNOWN: u16 = 1105;

/// ER_UNKNOWN_SYSTEM_VARIABLE: a server without InnoDB, or an old one.
pub(crate) const UNKNOWN_VARIABLE: u16 = 1193;

/// From this major version on it is MariaDB: MySQL's are lower.
pub(crate) const MARIADB: u16 = 10;

const CHARSETS: &str = "@@character_set_client, @@character_set_results, @@collation_connection";

const ON_TIMEOUT: &str = "@@innodb_rollback_on_timeout";

/// MariaDB contains Galera from 10.1 on; some builds lack it, and its variables. If dirty reads are allowed for all, a detached node is
/// useful. Percona's and Codership's servers, which are MySQL's, are not queried.
const IN_CLUSTER: &str = "FALSE /*M!100100 OR (@@global.wsrep_on AND NOT @@global.wsrep_dirty_reads) */";

/// A detached node answers any `SELECT` without a table, so no such query detects it. This one does.
const READINESS: &str = "SHOW STATUS LIKE 'wsrep_ready';";

/// The current role, if the server has roles: from MySQL 8.0 and MariaDB 10.0 on. The driver does not expose the kind of server; such
/// comments distinguish them.
const ROLE: &str = "COALESCE(NULL /*!80000 , CURRENT_ROLE() */ /*M!100005 , CURRENT_ROLE() */)";

/// See [`Standing::texts_are_reliable`]. A reset takes these settings from the server's own, which may have changed since the opening. If
/// the answer is then another one, the connection is replaced.
const TEXTS_ARE_RELIABLE: &str = "@@autocommit = 1 AND @@completion_type = 'NO_CHAIN' \
    AND (@@character_set_client LIKE 'utf8%' OR @@character_set_client IN ('latin1', 'ascii'))";

type Text = Option<String>;

const SETTINGS: [&str; 3] = ["read_only", "super_read_only", "innodb_read_only"];

/// `innodb_read_only` identifies the readers of an Aurora cluster. MySQL has `super_read_only` from 5.7.8 on; MariaDB, which lacks it,
/// ignores such comments.
const OF_ENGINE_TOO: &str =
    "@@global.read_only, COALESCE(NULL /*!50708 , @@global.super_read_only */), @@innodb_read_only";
const OF_SERVER: &str = "@@global.read_only, COALESCE(NULL /*!50708 , @@global.super_read_only */), NULL";
const OF_NOTHING: &str = "NULL, NULL, NULL";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_takes_writes_if_no_setting_forbids_them() {
        let refused = |settings: &str| Writes::Refused(settings.into());
        for (values, expected) in [
            ([Some("0"), Some("0"), Some("0")], Writes::Taken),
            ([Some("OFF"), None, Some("0")], Writes::Taken),
            ([Some("0"), None, None], Writes::Taken),
            ([Some("1"), Some("0"), Some("0")], refused("read_only=ON")),
            ([Some("1"), Some("1"), Some("0")], refused("read_only=ON, super_read_only=ON")),
            ([Some("0"), Some("0"), Some("1")], refused("innodb_read_only=ON")),
            ([Some("ON"), None, Some("0")], refused("read_only=ON")),
            ([Some("NO_LOCK"), None, Some("0")], refused("read_only=NO_LOCK")),
            ([Some("NO_LOCK_NO_ADMIN"), None, Some("0")], refused("read_only=NO_LOCK_NO_ADMIN")),
            ([None, None, None], Writes::Unknown),
        ] {
            let given = values.map(|value| value.map(str::to_owned));
            assert_eq!(Writes::by(given), expected, "{values:?}");
        }
    }
}
