//! Classifies the driver's errors. Add new codes to the tables of this file, and a pooler's texts to `pooler.rs`.

mod pooler;

use crate::error::{RoleError, SettingsError, SeveralFailed};
use cabrank::Fault;
use postgres::Error;
use postgres::error::{DbError, Severity};
use postgres::types::WrongType;
use std::error::Error as StdError;
use std::{io, iter};

/// | error                                                  | fault       | because                                                    |
/// |--------------------------------------------------------|-------------|------------------------------------------------------------|
/// | 40001, 40P01                                           | Retry       | serialization failure, deadlock                            |
/// | a prepared statement is gone or outdated: [`is_stale`] | Retry       | it is prepared anew                                        |
/// | 53300                                                  | Capacity    | too many connections, at the server or this role           |
/// | 57P03                                                  | Unavailable | the server is starting or stopping                         |
/// | 28P01, 28000, 3D000                                    | Permanent   | password, role, database: no retry helps                   |
/// | a refused log-in: [`REFUSED`]                          | Permanent   | the server cannot do what the settings require             |
/// | a pooler's refusal by its text: `pooler.rs`            | by the text | poolers use one code for everything                        |
/// | any other error that ends the session; class 08        | Fatal       | the session is gone                                        |
/// | the server's role, as the driver or we have found it   | WrongRole   | the server is healthy, but lacks the required role         |
/// | several servers have failed: `open/failures.rs`        | that of one | a server that may recover decides, if there is one         |
/// | settings, authentication, certificates                 | Permanent   | the two sides do not agree                                 |
/// | I/O, closed, timed out, not understood                 | Fatal       | the session is gone, or its state is unknown               |
/// | cannot connect, no such name                           | Unavailable | both may be temporary: servers start, names get registered |
/// | all others: SQL, parameters, columns, types, row count | Statement   | the statement failed, the connection is fine               |
///
/// 25006, "read-only transaction", is also a Statement: the holder may have requested one. On return the server's role is verified.
pub(crate) fn fault(error: &Error) -> Fault {
    error.as_db_error().map_or_else(|| of_driver(error), of_refusal)
}

/// The same, for the server's error alone.
pub(crate) fn of_refusal(refusal: &DbError) -> Fault {
    match refusal {
        _ if is_stale(refusal) => Fault::Retry,
        _ => of_server(refusal.code().code(), ends_session(refusal), refusal.message()),
    }
}

/// Whether the server dropped this prepared statement, or a schema change made it outdated.
pub(crate) fn is_stale(error: &DbError) -> bool {
    match error.code().code() {
        _ if ends_session(error) => false,
        // The name is unknown, or taken.
        "26000" | "42P05" => true,
        // "cached plan must not change result type", in any language.
        "0A000" => error.routine() == Some("RevalidateCachedQuery"),
        // A type, function or table that it uses was dropped: internal errors are not translated.
        "XX000" => OUTDATED.iter().any(|text| error.message().starts_with(text)),
        _ => false,
    }
}

/// Whether a value or a parameter does not match the driver's type for it.
pub(crate) fn is_of_type(error: &Error) -> bool {
    causes(error).any(|cause| cause.is::<WrongType>())
}

/// By an error's SQLSTATE, whether it ends the session, and its text.
fn of_server(code: &str, ends: bool, text: &str) -> Fault {
    match code {
        "53300" => Fault::Capacity,
        "57P03" => Fault::Unavailable,
        "28P01" | "28000" | "3D000" => Fault::Permanent,
        "57P01" | "57P02" | "57P05" | "25P03" | "25P04" => Fault::Fatal,
        _ if ends && REFUSED.iter().any(|class| code.starts_with(class)) => Fault::Permanent,
        _ if ends || code.starts_with("08") => pooler::fault(code, text).unwrap_or(Fault::Fatal),
        "40001" | "40P01" => Fault::Retry,
        _ => Fault::Statement,
    }
}

/// The driver exposes the kind of an error only in its text. Errors of parameters and columns may have any source, even an I/O error: the
/// source counts only for the listed kinds.
fn of_driver(error: &Error) -> Fault {
    if error.is_closed() {
        return Fault::Fatal;
    }
    if let Some(several) = cause::<SeveralFailed>(error) {
        return several.fault;
    }
    match error.to_string().as_str() {
        "error performing TLS handshake" => of_handshake(error),
        "error communicating with the server" if is_of_role(error) => Fault::WrongRole,
        "error connecting to server" if is_of_drivers_role(error) => Fault::WrongRole,
        "error communicating with the server" if is_of_settings(error) => Fault::Permanent,
        "error communicating with the server" if is_alert(error) => Fault::Permanent,
        "error communicating with the server"
        | "error parsing response from server"
        | "unexpected message from server"
        | "timeout waiting for server" => Fault::Fatal,
        "error connecting to server" => Fault::Unavailable,
        // In a log-in the last one is a name or password that contains a zero. In a statement it is the same as `Statement`.
        "invalid configuration"
        | "invalid connection string"
        | "authentication error"
        | "error encoding message to server" => Fault::Permanent,
        _ => Fault::Statement,
    }
}

/// A handshake failure is permanent unless the network failed: the two sides do not agree on certificates or versions.
fn of_handshake(error: &Error) -> Fault {
    let is_network = |cause: &(dyn StdError + 'static)| {
        let kind = cause.downcast_ref().map(io::Error::kind);
        kind.is_some_and(|kind| {
            !matches!(kind, io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::Other)
        })
    };
    if causes(error).any(is_network) && !is_of_settings(error) { Fault::Fatal } else { Fault::Permanent }
}

/// Whether the server lacks the required role.
fn is_of_role(error: &Error) -> bool {
    cause::<RoleError>(error).is_some()
}

/// The same, found by the driver for a `target_session_attrs` that was left to it.
fn is_of_drivers_role(error: &Error) -> bool {
    causes(error).any(|cause| {
        let refused = cause.downcast_ref().map(io::Error::kind) == Some(io::ErrorKind::PermissionDenied);
        refused && ["database does not allow writes", "database is not read only"].contains(&&*cause.to_string())
    })
}

fn is_of_settings(error: &Error) -> bool {
    cause::<SettingsError>(error).is_some()
}

/// Whether the server refused our certificate, or the lack of one. With TLS 1.3 it does so when the handshake is complete on our side.
fn is_alert(error: &Error) -> bool {
    causes(error).any(|cause| {
        let text = cause.to_string().to_ascii_lowercase();
        text.contains("alert") && ALERTS.iter().any(|alert| text.contains(alert))
    })
}

/// An I/O error's `source` skips its inner error.
fn cause<T: StdError + 'static>(error: &Error) -> Option<&T> {
    causes(error).find_map(|cause| {
        let within = || cause.downcast_ref().and_then(io::Error::get_ref)?.downcast_ref();
        cause.downcast_ref().or_else(within)
    })
}

fn causes(error: &Error) -> impl Iterator<Item = &(dyn StdError + 'static)> {
    iter::successors(error.source(), |&cause| cause.source())
}

/// Servers before PostgreSQL 9.6, and some poolers, send the severity only in their own language.
fn ends_session(error: &DbError) -> bool {
    match error.parsed_severity() {
        Some(severity) => matches!(severity, Severity::Fatal | Severity::Panic),
        None => matches!(error.severity(), "FATAL" | "PANIC"),
    }
}

/// The prefixes of the SQLSTATEs with which a server refuses a log-in permanently. For statements they have no such meaning.
const REFUSED: &[&str] = &[
    "0A",    // A protocol or feature that it lacks.
    "22",    // An invalid value of a parameter.
    "28",    // The user, and the way to log in.
    "3D",    // The database.
    "3F",    // A schema.
    "42",    // An unknown or protected parameter; a database without access.
    "55000", // A database that accepts no connections.
    "55P02", // A parameter that is set at the server's start.
    "58P01", // A library that must be loaded first.
    "P0",    // A log-in trigger that raises an error.
];

const OUTDATED: &[&str] = &["cache lookup failed for ", "could not open relation with OID "];

/// In the spelling of `rustls` and OpenSSL, in lower case.
const ALERTS: &[&str] = &[
    "certificate",
    "unknown ca",
    "unknownca",
    "access denied",
    "accessdenied",
    "handshake failure",
    "handshakefailure",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::provoke;

    const SESSION_GOES_ON: bool = false;
    const SESSION_ENDS: bool = true;

    #[test]
    fn each_sqlstate_has_the_fault_of_the_table() {
        for (code, expected) in [
            ("40001", Fault::Retry),
            ("40P01", Fault::Retry),
            ("53300", Fault::Capacity),
            ("57P03", Fault::Unavailable),
            ("28P01", Fault::Permanent),
            ("28000", Fault::Permanent),
            ("3D000", Fault::Permanent),
            ("57P01", Fault::Fatal),
            ("57P02", Fault::Fatal),
            ("25P03", Fault::Fatal),
            ("08006", Fault::Fatal),
            ("08P01", Fault::Fatal),
            ("57014", Fault::Statement),
            ("23505", Fault::Statement),
            ("25P02", Fault::Statement),
            ("25006", Fault::Statement),
            ("55P03", Fault::Statement),
            ("22023", Fault::Statement),
            ("42704", Fault::Statement),
            ("58P01", Fault::Statement),
            ("P0001", Fault::Statement),
            ("XX000", Fault::Statement),
        ] {
            assert_eq!(of_server(code, SESSION_GOES_ON, "no"), expected, "SQLSTATE {code}");
        }
    }

    #[test]
    fn an_error_that_ends_the_session_is_fatal_or_a_refusal_for_good() {
        for (code, expected) in [
            ("40001", Fault::Fatal),
            ("57P04", Fault::Fatal),
            ("53200", Fault::Fatal),
            ("XX000", Fault::Fatal),
            ("53300", Fault::Capacity),
            ("57P03", Fault::Unavailable),
            ("0A000", Fault::Permanent),
            ("22023", Fault::Permanent),
            ("22P02", Fault::Permanent),
            ("42501", Fault::Permanent),
            ("42601", Fault::Permanent),
            ("42704", Fault::Permanent),
            ("55000", Fault::Permanent),
            ("55P02", Fault::Permanent),
            ("58P01", Fault::Permanent),
            ("P0001", Fault::Permanent),
        ] {
            assert_eq!(of_server(code, SESSION_ENDS, "no"), expected, "SQLSTATE {code}");
        }
    }

    #[test]
    fn a_poolers_words_count_at_the_end_of_a_session_alone() {
        assert_eq!(of_server("XX000", SESSION_ENDS, "Tenant or user not found"), Fault::Permanent);
        assert_eq!(of_server("XX000", SESSION_GOES_ON, "Tenant or user not found"), Fault::Statement);
    }

    #[test]
    fn an_alert_over_our_certificate_is_permanent_and_any_other_trouble_of_tls_is_not() {
        for (text, expected) in [
            ("received fatal alert: CertificateRequired", Fault::Permanent),
            ("received fatal alert: UnknownCA", Fault::Permanent),
            ("tlsv13 alert certificate required:ssl/record/rec_layer_s3.c:1605", Fault::Permanent),
            ("tlsv1 alert unknown ca", Fault::Permanent),
            ("received fatal alert: BadRecordMac", Fault::Fatal),
            ("received corrupt message", Fault::Fatal),
        ] {
            assert_eq!(fault(&provoke(io::Error::new(io::ErrorKind::InvalidData, text))), expected, "{text}");
        }
    }

    #[test]
    fn a_server_in_another_role_and_settings_that_contradict_each_other_are_known_by_what_lies_behind() {
        let role = provoke(io::Error::other(RoleError("the server is in recovery".into())));
        assert_eq!(fault(&role), Fault::WrongRole);
        let settings = provoke(io::Error::other(SettingsError("they contradict each other")));
        assert_eq!(fault(&settings), Fault::Permanent);
    }

    /// A canary: these texts are the driver's, and the only sign of an error's kind.
    #[test]
    fn the_driver_still_words_its_errors_so() {
        assert_eq!(fault(&provoke(io::ErrorKind::BrokenPipe.into())), Fault::Fatal);
        assert_eq!(fault(&Error::__private_api_timeout()), Fault::Fatal);
        let parsing = "port=many".parse::<postgres::Config>().expect_err("no number");
        assert_eq!(fault(&parsing), Fault::Permanent);
        let config = postgres::Config::new().connect(postgres::NoTls).err().expect("no host");
        assert_eq!((config.to_string().as_str(), fault(&config)), ("invalid configuration", Fault::Permanent));
        let refused = postgres::Config::new().host("127.0.0.1").port(1).user("x").connect(postgres::NoTls);
        assert_eq!(fault(&refused.err().expect("nobody listens")), Fault::Unavailable);
    }
}
