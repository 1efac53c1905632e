//! Our own questions to the server, each asked so that no late reply to an earlier command passes for the answer.
//!
//! Owns the questions. When they are asked, and what follows from the answers, is `connection.rs`, `open.rs` and `reset.rs`.

use crate::baseline::Standing;
use crate::error::{IN_TRANSACTION, slipped, unusable};
use mysql::prelude::Queryable;
use mysql::{Conn, Error, MySqlError, Result, Row, from_row_opt};

/// Runs a statement, if there is one, and asks in the same round trip how the session stands, and whether the server takes writes: in a
/// way that no late reply can answer. `None` if something else answered.
pub(crate) fn standing(driver: &mut Conn, first: &str, read_only: ReadOnly) -> Result<Option<(Standing, Writes)>> {
    let (nonce, ReadOnly { settings, in_cluster }) = (fastrand::u64(..), read_only);
    let readiness = if in_cluster { READINESS } else { "" };
    let question =
        format!("{readiness}{first} SELECT {nonce}, CURRENT_USER(), {ROLE}, DATABASE(), {TELLS}, {settings}");
    let mut rows = last_rows(driver, &question)?;
    let answer = rows.pop();
    let is_detached = in_cluster && rows.into_iter().next().is_some_and(is_not_ready);
    Ok(match answer.map(from_row_opt::<(u64, String, Text, Text, bool, Text, Text, Text)>) {
        Some(Ok((answer, user, role, database, tells, plain, of_all, of_engine))) if nonce == answer => {
            let writes = if is_detached { Writes::Detached } else { Writes::by([plain, of_all, of_engine]) };
            Some((Standing { user, role, database, tells }, writes))
        }
        _ => None,
    })
}

/// Of what [`READINESS`] asks.
fn is_not_ready(row: Row) -> bool {
    from_row_opt::<(String, String)>(row).is_ok_and(|(name, value)| name == "wsrep_ready" && value == "OFF")
}

/// By what a server is asked whether it takes writes. Not all have all of the settings.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReadOnly {
    settings: &'static str,
    /// It is a node of Galera, which may be detached from the others.
    in_cluster: bool,
}

impl ReadOnly {
    /// To be tried in this order, until the server finds no setting in it that it has not got.
    pub(crate) fn ways(in_cluster: bool) -> [Self; 3] {
        [OF_ENGINE_TOO, OF_SERVER, OF_NOTHING].map(|settings| Self { settings, in_cluster })
    }
}

impl Default for ReadOnly {
    fn default() -> Self {
        Self { settings: OF_NOTHING, in_cluster: false }
    }
}

/// What a server says of the writes of its clients.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Writes {
    /// Nothing.
    #[default]
    Unknown,
    /// It takes them.
    Taken,
    /// It does not, by these settings.
    Refused(String),
    /// It takes no statements at all: a node of Galera that is not part of its cluster's primary component.
    Detached,
}

impl Writes {
    /// By the values of the settings, in the order of [`SETTINGS`]. Servers say `0` and `1`, MariaDB 12 says `OFF`, `ON`, `NO_LOCK` and
    /// `NO_LOCK_NO_ADMIN`: all but the first forbid writes.
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

/// Is a transaction open? `None` if something else answered.
///
/// MariaDB has a variable for it. MySQL has none, but takes no characteristics for the next transaction while one is open. Those that
/// it is given here are the session's own, so that the next transaction is as it would have been. Before 5.7.20 it cannot be asked.
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

/// What a server is, as far as it stays so.
pub(crate) struct Settings {
    /// The statement that sets the character sets as they are now.
    ///
    /// MySQL's `COM_RESET_CONNECTION` takes them from the server's defaults and not from the log-in: with a server that
    /// speaks latin1 by default, the driver's UTF-8 would be read as that from the second loan on.
    pub(crate) letters: String,
    /// Does it roll the whole transaction back when a lock wait times out?
    pub(crate) on_timeout: bool,
    /// How large a packet it takes.
    pub(crate) largest_packet: usize,
    /// Is it a node of Galera that takes no statements while it is detached, reads among them?
    pub(crate) in_cluster: bool,
}

pub(crate) fn settings(driver: &mut Conn) -> Result<Settings> {
    let mut answer = Ok(None);
    for (on_timeout, in_cluster) in [(ON_TIMEOUT, IN_CLUSTER), (ON_TIMEOUT, "FALSE"), ("FALSE", "FALSE")] {
        answer = last_row(driver, &format!("SELECT {LETTERS}, {on_timeout}, @@max_allowed_packet, {in_cluster}"));
        if !matches!(&answer, Err(Error::MySqlError(error)) if error.code == UNKNOWN_VARIABLE) {
            break;
        }
    }
    let Some(Ok((client, results, collation, on_timeout, largest_packet, in_cluster))) =
        answer?.map(from_row_opt::<(String, Text, String, bool, usize, bool)>)
    else {
        return Err(unusable("the server does not tell its character sets"));
    };
    let results = results.map_or("NULL".into(), |results| format!("'{results}'"));
    let letters = format!(
        "SET character_set_client = '{client}', character_set_results = {results}, \
         collation_connection = '{collation}';"
    );
    Ok(Settings { letters, on_timeout, largest_packet, in_cluster })
}

/// Which errors the last command met, where nobody saw its end: its rows were in the holder's hands as the driver's own, which
/// keep errors to themselves when they are dropped, or a closure panicked among them.
///
/// `SHOW WARNINGS` leaves the warnings for the holder to ask for, and `FOUND_ROWS()`; only `ROW_COUNT()` suffers.
pub(crate) fn errors(driver: &mut Conn) -> Result<Vec<MySqlError>> {
    let mut rows = driver.query_iter("SHOW WARNINGS")?;
    // No late reply to anything else looks like this.
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
    // Where there were many warnings there was no room for the error.
    if errors.is_empty() && full {
        let count = last_row(driver, "SELECT @@error_count")?.map(from_row_opt::<(u64,)>);
        if !matches!(count, Some(Ok((0,)))) {
            errors.push(error(UNKNOWN, "an error of which the server keeps no record for want of room"));
        }
    }
    Ok(errors)
}

fn error(code: u16, message: &str) -> MySqlError {
    MySqlError { state: "HY000".into(), message: message.into(), code }
}

/// The last row of all that a text of several statements answers.
fn last_row(driver: &mut Conn, text: &str) -> Result<Option<Row>> {
    Ok(last_rows(driver, text)?.pop())
}

/// The last row that each statement of a text answers, if it answers any.
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

const LETTERS: &str = "@@character_set_client, @@character_set_results, @@collation_connection";

const ON_TIMEOUT: &str = "@@innodb_rollback_on_timeout";

/// MariaDB has Galera in it from 10.1 on; some are built without, and then do not know the variables. Where dirty reads are allowed to
/// all, a node that is detached is of use. Percona's and Codership's servers, which are MySQL's, are not asked.
const IN_CLUSTER: &str = "FALSE /*M!100100 OR (@@global.wsrep_on AND NOT @@global.wsrep_dirty_reads) */";

/// A detached node answers any `SELECT` that names no table, so no such question shows it. It answers this one.
const READINESS: &str = "SHOW STATUS LIKE 'wsrep_ready';";

/// The current role, where there are roles: from MySQL 8.0 and MariaDB 10.0 on. The driver does not tell which server it
/// is; such comments do.
const ROLE: &str = "COALESCE(NULL /*!80000 , CURRENT_ROLE() */ /*M!100005 , CURRENT_ROLE() */)";

/// See [`Standing::tells`]. A reset takes it from the server's settings, which may have changed since the session was opened: then it is
/// another session, and the connection is replaced.
const TELLS: &str = "@@autocommit = 1 AND @@completion_type = 'NO_CHAIN' \
    AND (@@character_set_client LIKE 'utf8%' OR @@character_set_client IN ('latin1', 'ascii'))";

type Text = Option<String>;

const SETTINGS: [&str; 3] = ["read_only", "super_read_only", "innodb_read_only"];

/// `innodb_read_only` is what shows the readers of an Aurora cluster. MySQL has `super_read_only` from 5.7.8 on; MariaDB, which has not,
/// passes over such comments.
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
