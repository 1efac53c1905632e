//! Classifies the driver's errors.

use crate::error::RoleError;
use cabrank::Fault;
use mysql::{DriverError, Error, MySqlError};
use std::io::ErrorKind;

/// | error                                                      | fault       | because                                                  |
/// |------------------------------------------------------------|-------------|----------------------------------------------------------|
/// | deadlock, lock wait time-out, changed snapshot (`RETRY`)   | Retry       | the transaction may run again, after a ROLLBACK          |
/// | a prepared statement is gone or outdated ([`is_stale`])    | Retry       | the next use prepares it again                           |
/// | the server is full, for all or for this user, or has       | Capacity    | the pool works with the connections it has               |
/// | neither thread nor memory for one more (`FULL`)            |             |                                                          |
/// | the server has a full disk or is offline (`UNAVAILABLE`)   | Unavailable | the server may serve again later                         |
/// | user, password, database, right to connect (`REFUSED`)     | Permanent   | no retry helps                                           |
/// | the server ends the session (`ENDED`)                      | Fatal       | the end of the stream follows                            |
/// | the server lacks the required role ([`RoleError`])         | WrongRole   | the server is healthy, and its sessions still work       |
/// | a node of Galera is detached ([`is_detached`])             | WrongRole   | it takes no statements until it is back in its cluster   |
/// | any other error of the server                              | Statement   | the statement failed, the connection is fine             |
/// | refused, not found, timed out while connecting             | Unavailable | the server may come back                                 |
/// | a wrong number or kind of parameters, a failed conversion, | Statement   | detected before anything was sent, or after all was read |
/// | a packet too large to be sent                              |             |                                                          |
/// | a wrong URL, an unknown way to log in, TLS unavailable,    | Permanent   | no retry helps                                           |
/// | a statement of `init` that fails, a certificate that is    |             |                                                          |
/// | not trusted, an impossible log-in request (`open/`)        |             |                                                          |
/// | any other error of the socket, the protocol or the driver  | Fatal       | it is unknown which command the next reply answers       |
///
/// A write refused by a read-only server ([`is_read_only`]) means `WrongRole` if a primary is required; `role.rs` decides that.
pub(crate) fn fault(error: &Error) -> Fault {
    match error {
        Error::MySqlError(error) if is_detached(error) => Fault::WrongRole,
        Error::MySqlError(error) => server(error.code),
        Error::DriverError(error) => driver(error),
        Error::FromValueError(_) | Error::FromRowError(_) => Fault::Statement,
        Error::UrlError(_) => Fault::Permanent,
        // Our own: no TLS in this build, a failed `init` statement, an error that recurs at each log-in.
        Error::IoError(error) if matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::InvalidInput) => {
            Fault::Permanent
        }
        Error::IoError(error) if error.get_ref().is_some_and(|error| error.is::<RoleError>()) => Fault::WrongRole,
        // Input and output, the codec, TLS.
        _ => Fault::Fatal,
    }
}

/// Whether the server dropped a prepared statement, or failed to adapt it to its changed tables.
pub(crate) fn is_stale(error: &Error) -> bool {
    matches!(error, Error::MySqlError(error) if STALE.contains(&error.code))
}

/// Whether the server refuses this write because it is itself read-only, which no holder can cause, and not because the transaction is
/// (1792).
pub(crate) fn is_read_only(error: &Error) -> bool {
    let Error::MySqlError(error) = error else { return false };
    match error.code {
        // Some option forbids it. The text may be in any language; the option's name is always the same.
        1290 => ["read-only", "read_only"].iter().any(|option| error.message.contains(option)),
        1836 => true,
        _ => false,
    }
}

/// Whether a Galera node refuses all statements because it is not part of its cluster's primary component.
fn is_detached(error: &MySqlError) -> bool {
    error.code == 1047 && error.message.contains("WSREP")
}

/// Whether the server has reached its limit of prepared statements, over all sessions.
pub(crate) fn is_for_want_of_room(error: &Error) -> bool {
    matches!(error, Error::MySqlError(error) if error.code == STATEMENTS_FULL)
}

/// Whether the server rolled the whole transaction back with this error. `on_timeout`: it does so when a lock wait times out
/// (`innodb_rollback_on_timeout`).
pub(crate) fn ends_transaction(code: u16, on_timeout: bool) -> bool {
    matches!(code, DEADLOCK | RECORD_CHANGED | XA_DEADLOCK | LOCKS_FULL) || on_timeout && code == LOCK_WAIT
}

fn server(code: u16) -> Fault {
    match code {
        _ if RETRY.contains(&code) || STALE.contains(&code) => Fault::Retry,
        _ if FULL.contains(&code) => Fault::Capacity,
        _ if UNAVAILABLE.contains(&code) => Fault::Unavailable,
        _ if REFUSED.contains(&code) => Fault::Permanent,
        _ if ENDED.contains(&code) => Fault::Fatal,
        _ => Fault::Statement,
    }
}

fn driver(error: &DriverError) -> Fault {
    match error {
        DriverError::ConnectTimeout | DriverError::CouldNotConnect(_) => Fault::Unavailable,
        DriverError::MismatchedStmtParams(..)
        | DriverError::Params(_)
        | DriverError::MixedParams
        | DriverError::PacketTooLarge // From `error::told`: a command was too large. A too large answer is a `CodecError`.
        | DriverError::BulkExecute(_)
        | DriverError::ReadOnlyTransNotSupported => Fault::Statement,
        DriverError::TlsNotSupported
        | DriverError::UnknownAuthPlugin(_)
        | DriverError::OldMysqlPasswordDisabled
        | DriverError::CleartextPluginDisabled => Fault::Permanent,
        _ => Fault::Fatal,
    }
}

const DEADLOCK: u16 = 1213;
const RECORD_CHANGED: u16 = 1020; // MariaDB with innodb_snapshot_isolation: another session wrote since the snapshot.
const XA_DEADLOCK: u16 = 1614;
const LOCKS_FULL: u16 = 1206; // No room for more locks.
const LOCK_WAIT: u16 = 1205;
const STATEMENTS_FULL: u16 = 1461; // max_prepared_stmt_count.

const RETRY: &[u16] = &[
    DEADLOCK,
    RECORD_CHANGED,
    XA_DEADLOCK,
    LOCK_WAIT, // Timed out: only the statement is rolled back, unless the server is set to do more.
    3572,      // NOWAIT found a lock (MariaDB says 1205).
    3101,      // Group replication rolled back at commit.
];

const STALE: &[u16] = &[
    1243, // No statement with that number.
    1615, // Prepared again three times, and outdated again: a migration, or a too small `table_definition_cache`.
];

const FULL: &[u16] = &[
    1040, // Too many connections.
    1203, // max_user_connections.
    1226, // A limit of this user's account.
    1135, // Cannot create a thread.
    1037,
    1041, // Out of memory.
    STATEMENTS_FULL,
];

const UNAVAILABLE: &[u16] = &[
    1021, // The disk is full: it waits until space is freed.
    3032, // Offline mode.
    3168, // The server is not available.
];

const REFUSED: &[u16] = &[
    1044, // No right to this database.
    1045, // Wrong user or password.
    1049, // No such database.
    1129, // Host blocked after many errors: further attempts make it worse.
    1130, // Host not allowed.
    1251, // The server requires another way to log in.
    1275, // It refuses the old kind of password, which this account has.
    1524, // A plugin for logging in is not loaded.
    1698, // Wrong user, without a password.
    1820, 1862, // Password expired: only a new one is accepted, or no log-in.
    3118, // Account locked.
    3159, // TLS is required.
    3955, // Account blocked after failed logins.
    4151, // Account locked (MariaDB).
];

const ENDED: &[u16] = &[
    1053, // Shutting down.
    1152, 1184, // Connection aborted.
    1153, // Packet too large: the server hangs up.
    1156, 1157, 1158, 1159, 1160, 1161, // Packets out of order, errors and time-outs of the network.
    1835, // Malformed packet.
    1927, // Killed (MariaDB).
    3169, // Killed.
    4031, // wait_timeout, interactive_timeout.
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::wrong_role;
    use std::io;

    #[test]
    fn each_code_of_the_server_has_the_fault_of_the_table() {
        let refused: &[u16] =
            &[1044, 1045, 1049, 1129, 1130, 1251, 1275, 1524, 1698, 1820, 1862, 3118, 3159, 3955, 4151];
        let ended: &[u16] = &[1053, 1152, 1153, 1156, 1157, 1158, 1159, 1160, 1161, 1184, 1835, 1927, 3169, 4031];
        // Literal codes: the code's own lists would always agree with the code.
        for (codes, expected) in [
            (&[1020, 1205, 1213, 1243, 1614, 1615, 3101, 3572][..], Fault::Retry),
            (&[1037, 1040, 1041, 1135, 1203, 1226, 1461], Fault::Capacity),
            (&[1021, 3032, 3168], Fault::Unavailable),
            (refused, Fault::Permanent),
            (ended, Fault::Fatal),
            (&[1062, 1064, 1146, 1206, 1317, 3024], Fault::Statement),
        ] {
            for &code in codes {
                let error = Error::MySqlError(MySqlError { state: "HY000".into(), message: String::new(), code });
                assert_eq!(fault(&error), expected, "code {code}");
            }
        }
    }

    #[test]
    fn a_refused_write_is_about_the_server_if_the_server_itself_is_read_only() {
        let by = |option: &str| {
            format!("The MySQL server is running with the {option} option so it cannot execute this statement")
        };
        for (code, text, expected) in [
            (1290, by("--read-only"), true),
            (1290, by("--super-read-only"), true),
            (1290, by("--read_only"), true),
            (1290, by("--read-only=NO_LOCK_NO_ADMIN"), true),
            (
                1290,
                "Der MySQL-Server läuft mit der Option --read-only und kann diese Anweisung nicht ausführen".into(),
                true,
            ),
            (1290, by("--secure-file-priv"), false),
            (1290, by("--skip-grant-tables"), false),
            (1836, "Running in read-only mode".into(), true),
            (1792, "Cannot execute statement in a READ ONLY transaction.".into(), false),
            (1036, "Table 't' is read only".into(), false),
            (1062, "Duplicate entry 'read_only' for key 'name'".into(), false),
        ] {
            let error = Error::MySqlError(MySqlError { state: "HY000".into(), message: text.clone(), code });
            assert_eq!(is_read_only(&error), expected, "{code}: {text}");
            assert_eq!(fault(&error), Fault::Statement, "where no role is asked for");
        }
        assert_eq!(fault(&wrong_role("it is read-only".into())), Fault::WrongRole);
    }

    #[test]
    fn a_node_that_is_detached_from_its_cluster_is_no_server_to_stay_with() {
        for (code, message, expected) in [
            (1047, "WSREP has not yet prepared node for application use", Fault::WrongRole),
            (1047, "Unknown command", Fault::Statement),
            (1146, "Table 'WSREP' doesn't exist", Fault::Statement),
        ] {
            let error = Error::MySqlError(MySqlError { state: "08S01".into(), message: message.into(), code });
            assert_eq!(fault(&error), expected, "{code}: {message}");
        }
    }

    #[test]
    fn a_lock_wait_that_timed_out_leaves_the_transaction_open() {
        assert!(!ends_transaction(1205, false) && !ends_transaction(3572, true));
        assert!(ends_transaction(1205, true), "unless the server is set so");
        assert!(ends_transaction(1213, false) && ends_transaction(1206, false));
    }

    #[test]
    fn an_error_of_the_connection_is_fatal_and_a_slip_of_the_caller_is_not() {
        assert_eq!(fault(&Error::IoError(io::ErrorKind::WouldBlock.into())), Fault::Fatal);
        assert_eq!(fault(&Error::DriverError(DriverError::UnexpectedPacket)), Fault::Fatal);
        assert_eq!(fault(&Error::DriverError(DriverError::MismatchedStmtParams(1, 2))), Fault::Statement);
        assert_eq!(fault(&Error::DriverError(DriverError::PacketTooLarge)), Fault::Statement);
        assert_eq!(fault(&Error::DriverError(DriverError::MixedParams)), Fault::Statement);
        assert_eq!(fault(&Error::DriverError(DriverError::CouldNotConnect(None))), Fault::Unavailable);
        assert_eq!(fault(&Error::DriverError(DriverError::UnknownAuthPlugin("x".into()))), Fault::Permanent);
    }
}
