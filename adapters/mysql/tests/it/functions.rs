//! The functions that the adapter treats as built-in are built-in. Otherwise a stored function could replace one of them.

#[allow(dead_code, unused_imports, reason = "of the adapter's words only the list of functions is looked at")]
#[path = "../../src/sql/words.rs"]
mod words;

use crate::server::{Server, on_each_server};
use cabrank_mysql::mysql::Error;
use cabrank_mysql::mysql::prelude::Queryable;

fn every_listed_function_is_one_of_the_servers_own(server: &Server) {
    let mut conn = server.aside();
    for function in words::FUNCTIONS.split_ascii_whitespace() {
        // Too many arguments for any of them, so the call fails with the message of the function that is called.
        let call = format!("SELECT {function}({})", ["1"; 40].join(","));
        if let Err(Error::MySqlError(error)) = conn.query_drop(call) {
            assert_ne!(error.code, NO_SUCH_FUNCTION, "{function}");
        }
    }
    let error = conn.query_drop("SELECT regexp_unlike(1)").unwrap_err();
    assert!(matches!(error, Error::MySqlError(error) if error.code == NO_SUCH_FUNCTION), "it can be told");
}

/// ER_SP_DOES_NOT_EXIST.
const NO_SUCH_FUNCTION: u16 = 1305;

cabrank_testing::tests! {
    on_each_server:
        every_listed_function_is_one_of_the_servers_own,
}
