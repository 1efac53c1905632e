//! Functions whose effects no reset undoes, because they last as long as the session.
//!
//! Searched only in texts that are uncertain anyway. A name counts everywhere, even in the body of a `DO` or in a literal that is
//! executed: a false match costs a log-in.

/// Whether this text names such a function, or loads a library. A text that spells a name or a block by numbers (`U&"set\005fuser"`) may
/// name any.
pub(super) fn is_lasting(text: &[u8]) -> bool {
    let (mut at, mut follows_do) = (0, false);
    while at < text.len() {
        let length = text[at..].iter().position(|&byte| !is_of_name(byte)).unwrap_or(text.len() - at);
        let (word, rest) = text[at..].split_at(length);
        // If a dollar tag opens a block, its first word follows.
        let word = word.rsplit(|&byte| byte == b'$').next().unwrap_or(word);
        let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
        let is_spelt_by_numbers = match rest {
            [b'&', b'"', ..] => is("u"),
            [b'&', b'\'', ..] => follows_do && is("u"),
            [b'\'', ..] => follows_do && is("e"),
            _ => false,
        };
        if is_spelt_by_numbers
            || is("load") && is_literal(rest.trim_ascii_start())
            || FUNCTIONS.iter().any(|name| is(name))
        {
            return true;
        }
        if length > 0 {
            follows_do = is("do");
        }
        at += length.max(1);
    }
    false
}

/// `LOAD` takes nothing else.
fn is_literal(rest: &[u8]) -> bool {
    matches!(rest, [b'\'' | b'$', ..] | [b'e' | b'E', b'\'', ..])
}

fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}

/// The comments name what the next holder would inherit.
const FUNCTIONS: &[&str] = &[
    "dblink_connect",   // A connection to another server, with the last holder's rights there.
    "dblink_connect_u", // The same.
    "pg_create_physical_replication_slot", // A temporary slot, which makes the server keep its log.
    "pg_create_logical_replication_slot", // The same.
    "pg_copy_physical_replication_slot", // The same.
    "pg_copy_logical_replication_slot", // The same.
    "pg_replication_origin_session_setup", // The origin of all replicated writes.
    "pg_backup_start",  // A started backup, which fails others that begin or end one.
    "pg_start_backup",  // The same, before PostgreSQL 15.
    "set_user",         // Another role, by the extension of this name, which refuses to be reset.
    "set_user_u",       // The same.
    "set_session_auth", // The same, permanently.
    "sepgsql_setcon",   // The label that determines the session's rights.
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_counts_wherever_it_stands() {
        for text in [
            "SELECT set_user('Ada')",
            "SELECT public.\"pg_backup_start\"/**/('x')",
            "SELECT PG_Backup_Start ('x')",
            "DO $$ BEGIN PERFORM set_user('Ada'); END $$",
            "DO $$ BEGIN EXECUTE 'SELECT set_user(''Ada'')'; END $$",
            "DO $$BEGIN LOAD 'auto_explain'; END$$",
            "DO $$ BEGIN EXECUTE 'load''auto_explain'''; END $$",
            "DO $$ BEGIN EXECUTE $x$LOAD\n$y$auto_explain$y$ $x$; END $$",
            "SELECT U&\"set\\005fuser\"('Ada')",
            "DO u&'..'",
            "DO E'..'",
            "SELECT dblink_connect('other', 'host=elsewhere')",
            "SELECT f(), pg_backup_start('x')",
        ] {
            assert!(is_lasting(text.as_bytes()), "{text}");
        }
    }

    /// A second copy, because a missing row shows nowhere else.
    #[test]
    fn each_function_of_the_table_is_found() {
        for name in [
            "dblink_connect",
            "dblink_connect_u",
            "pg_create_physical_replication_slot",
            "pg_create_logical_replication_slot",
            "pg_copy_physical_replication_slot",
            "pg_copy_logical_replication_slot",
            "pg_replication_origin_session_setup",
            "pg_backup_start",
            "pg_start_backup",
            "set_user",
            "set_user_u",
            "set_session_auth",
            "sepgsql_setcon",
        ] {
            assert!(is_lasting(format!("SELECT {name}('x')").as_bytes()), "{name}");
        }
    }

    #[test]
    fn a_part_of_a_name_or_a_column_does_not() {
        for text in [
            "",
            "SELECT my_set_user(0.5), set_user2(1), éset_user()",
            "CREATE TABLE machine (load int, \"load\" text DEFAULT 'low', name text DEFAULT U&'\\00e9')",
            "SELECT f(u & 1), load = 'low', E'a\\n'",
            "SELECT dblink('host=elsewhere', 'SELECT 1'), dblink_disconnect()",
        ] {
            assert!(!is_lasting(text.as_bytes()), "{text}");
        }
    }
}
