//! What no reset undoes: the functions whose traces last as long as the session, by name.
//!
//! Looked for only in texts that are in doubt anyway. A name counts wherever it stands, be it in the body of a `DO` or in a
//! literal that is executed: in vain it costs a log-in.

/// Does this text name such a function, or set the seed of `random`?
pub(super) fn is_lasting(text: &[u8]) -> bool {
    let (mut at, mut begins, mut sets) = (0, true, false);
    while let Some(&byte) = text.get(at) {
        let length = text[at..].iter().position(|&byte| !is_of_name(byte)).unwrap_or(text.len() - at);
        if length == 0 {
            begins = byte == b';' || begins && byte.is_ascii_whitespace();
            at += 1;
            continue;
        }
        let word = &text[at..at + length];
        let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
        if FUNCTIONS.iter().any(|name| is(name)) || sets && is("seed") {
            return true;
        }
        sets = begins && is("set") || sets && is("session") || is("set_config");
        (at, begins) = (at + length, false);
    }
    false
}

fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}

/// The last column says what would reach the next holder.
const FUNCTIONS: &[&str] = &[
    "dblink_connect",   // A connection to another server, with the last holder's rights there.
    "dblink_connect_u", // The same.
    "pg_create_physical_replication_slot", // A temporary slot, which has the server keep its log.
    "pg_create_logical_replication_slot", // The same.
    "pg_copy_physical_replication_slot", // The same.
    "pg_copy_logical_replication_slot", // The same.
    "pg_replication_origin_session_setup", // The origin under which all that is written is replicated.
    "pg_backup_start",  // A backup that has begun, and fails others that begin or end one.
    "pg_start_backup",  // The same, before PostgreSQL 15.
    "setseed",          // What `random` returns.
    "set_user",         // Another role, by the extension of this name, which refuses to be reset.
    "set_user_u",       // The same.
    "set_session_auth", // The same, for good.
    "sepgsql_setcon",   // The label under which the session's rights are looked up.
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_counts_wherever_it_stands() {
        for text in [
            "SELECT setseed(0.5)",
            "SELECT pg_catalog.\"setseed\"/**/(0.5)",
            "SELECT SetSeed (0.5)",
            "DO $$ BEGIN PERFORM setseed(0.5); END $$",
            "DO $$ BEGIN EXECUTE 'SELECT setseed(0.5)'; END $$",
            "SELECT dblink_connect('other', 'host=elsewhere')",
            "SELECT f(), pg_backup_start('x')",
            "SET seed = 0.5",
            "BEGIN; COMMIT ; \n set SESSION seed TO 0.5",
            "SELECT set_config('seed', '0.5', false)",
        ] {
            assert!(is_lasting(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn a_part_of_a_name_or_a_column_does_not() {
        for text in [
            "",
            "SELECT my_setseed(0.5), setseed2(1), éset_user()",
            "UPDATE game SET seed = new_seed()",
            "SELECT dblink('host=elsewhere', 'SELECT 1'), dblink_disconnect()",
            "SET search_path = seed",
            "SELECT set_config('my.seed', '0.5', false)",
        ] {
            assert!(!is_lasting(text.as_bytes()), "{text}");
        }
    }
}
