//! What an error of the driver means for the pool.

use cabrank::Fault;
use postgres::Error;
use postgres::error::SqlState;

/// | error                                                  | fault       | because                                               |
/// |--------------------------------------------------------|-------------|-------------------------------------------------------|
/// | 40001, 40P01                                           | Retry       | serialization failure, deadlock                       |
/// | 53300                                                  | Capacity    | too many connections, at the server or for this role  |
/// | 57P03                                                  | Unavailable | the server is starting or stopping                    |
/// | 28P01, 28000, 3D000, bad settings                      | Permanent   | password, role, database: nothing heals by itself     |
/// | 57P01, 57P02, 57P05, 25P03, 25P04, class 08            | Fatal       | the server has ended the session                      |
/// | I/O, closed, timed out, not understood                 | Fatal       | the session is gone, or its state is unknown          |
/// | cannot connect                                         | Unavailable | nobody listens there, or no such name                 |
/// | all others: SQL, parameters, columns, types, row count | Statement   | the statement failed, the connection is well          |
pub(crate) fn fault(error: &Error) -> Fault {
    match error.code() {
        Some(code) => of_state(code),
        None => of_kind(error),
    }
}

fn of_state(state: &SqlState) -> Fault {
    match state.code() {
        "40001" | "40P01" => Fault::Retry,
        "53300" => Fault::Capacity,
        "57P03" => Fault::Unavailable,
        "28P01" | "28000" | "3D000" => Fault::Permanent,
        "57P01" | "57P02" | "57P05" | "25P03" | "25P04" => Fault::Fatal,
        code if code.starts_with("08") => Fault::Fatal,
        _ => Fault::Statement,
    }
}

/// The driver shows the kind of an error only in its text. Errors of parameters and columns may have any source, an I/O
/// error too, so that the source tells nothing.
fn of_kind(error: &Error) -> Fault {
    if error.is_closed() {
        return Fault::Fatal;
    }
    match error.to_string().as_str() {
        "error communicating with the server"
        | "error parsing response from server"
        | "unexpected message from server"
        | "timeout waiting for server"
        | "error performing TLS handshake" => Fault::Fatal,
        "error connecting to server" => Fault::Unavailable,
        "invalid configuration" | "invalid connection string" | "authentication error" => Fault::Permanent,
        _ => Fault::Statement,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::provoke;
    use std::io;

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
            ("55P03", Fault::Statement),
        ] {
            assert_eq!(of_state(&SqlState::from_code(code)), expected, "SQLSTATE {code}");
        }
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
