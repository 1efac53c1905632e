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
    let (nonce, ReadOnly(settings)) = (fastrand::u64(..), read_only);
    let question = format!("{first} SELECT {nonce}, CURRENT_USER(), {ROLE}, DATABASE(), {TELLS}, {settings}");
    let answer = last_row(driver, &question)?;
    Ok(match answer.map(from_row_opt::<(u64, String, Text, Text, bool, Text, Text, Text)>) {
        Some(Ok((answer, user, role, database, tells, plain, of_all, of_engine))) if nonce == answer => {
            let writes = Writes::by([plain, of_all, of_engine]);
            Some((Standing { user, role, database, tells }, writes))
        }
        _ => None,
    })
}

/// By which of its settings a server is asked whether it takes writes. Not all have all of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReadOnly(&'static str);

impl ReadOnly {
    /// To be tried in this order, until the server finds no setting in it that it has not got.
    pub(crate) const WAYS: [Self; 3] = [Self(OF_ENGINE_TOO), Self(OF_SERVER), Self(OF_NOTHING)];
}

impl Default for ReadOnly {
    fn default() -> Self {
        Self(OF_NOTHING)
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

/// The statement that sets the character sets as they are now; whether the server rolls the whole transaction back when a
/// lock wait times out; and how large a packet it takes.
///
/// MySQL's `COM_RESET_CONNECTION` takes them from the server's defaults and not from the log-in: with a server that
/// speaks latin1 by default, the driver's UTF-8 would be read as that from the second loan on.
pub(crate) fn settings(driver: &mut Conn) -> Result<(String, bool, usize)> {
    let question = |on_timeout| format!("SELECT {LETTERS}, {on_timeout}, @@max_allowed_packet");
    let answer = match last_row(driver, &question("@@innodb_rollback_on_timeout")) {
        Err(Error::MySqlError(error)) if error.code == UNKNOWN_VARIABLE => last_row(driver, &question("FALSE")),
        answer => answer,
    };
    let Some(Ok((client, results, collation, on_timeout, largest_packet))) =
        answer?.map(from_row_opt::<(String, Option<String>, String, bool, usize)>)
    else {
        return Err(unusable("the server does not tell its character sets"));
    };
    let results = results.map_or("NULL".into(), |results| format!("'{results}'"));
    let letters = format!(
        "SET character_set_client = '{client}', character_set_results = {results}, \
         collation_connection = '{collation}';"
    );
    Ok((letters, on_timeout, largest_packet))
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
    let (mut answer, mut last) = (driver.query_iter(text)?, None);
    while let Some(rows) = answer.iter() {
        for row in rows {
            last = Some(row?);
        }
    }
    Ok(last)
}

/// ER_UNKNOWN_ERROR.
pub(crate) const UNKNOWN: u16 = 1105;

/// ER_UNKNOWN_SYSTEM_VARIABLE: a server without InnoDB, or an old one.
pub(crate) const UNKNOWN_VARIABLE: u16 = 1193;

/// From this major version on it is MariaDB: MySQL's are lower.
pub(crate) const MARIADB: u16 = 10;

const LETTERS: &str = "@@character_set_client, @@character_set_results, @@collation_connection";

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
