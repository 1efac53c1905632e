//! Effects that no reset undoes, by the words that cause them. The connection of a holder who uses them is replaced.
//!
//! Each row was found by experiment: a session does it, `COM_RESET_CONNECTION` follows, and the next holder still sees the effect.
//! Effects that the reset undoes have no row: locks of any kind, handlers, temporary tables, prepared statements, variables.

use super::effect::LONGEST;
use super::lexer::{skip_blanks, word};

/// The lasting effect of a text that is not known to be harmless, the least first.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Lasting {
    #[default]
    No,
    /// The text runs something that it does not show, or is too long to be scanned.
    Hidden,
    Yes,
}

pub(crate) fn lasting(text: &str) -> Lasting {
    let text = text.as_bytes();
    if text.len() > LONGEST {
        return Lasting::Hidden;
    }
    let begins = |at: &usize| *at == 0 || word(&text[at - 1..*at]).0.is_empty();
    // Includes comments and strings, because either may be executed.
    (0..text.len()).filter(begins).map(|at| of_word(&text[at..])).max().unwrap_or_default()
}

/// The effect of the word at the beginning, with the next word.
fn of_word(text: &[u8]) -> Lasting {
    let (first, rest) = word(text);
    let is = |known: &&str| first.eq_ignore_ascii_case(known.as_bytes());
    let follows = |second: &&str| {
        // An executable comment can contain the second word.
        skip_blanks(rest).is_none_or(|rest| word(rest).0.eq_ignore_ascii_case(second.as_bytes()))
    };
    if ROWS.iter().any(|(known, second)| is(known) && (second.is_empty() || second.iter().any(follows))) {
        Lasting::Yes
    } else if HIDING.iter().any(is) {
        Lasting::Hidden
    } else {
        Lasting::No
    }
}

/// A word, and the words one of which must follow it (none: anything may follow).
const ROWS: &[(&str, &[&str])] = &[
    // MySQL: the reset leaves the thread in the group.
    ("resource", &["group"]),
    // After XA PREPARE, MariaDB's reset leaves the session tied to the branch: its tables return error 1031, and a consistent snapshot
    // ends the server. MySQL, with `xa_detach_on_prepare` off, answers each statement with 1399.
    ("xa", &["start", "begin", "end", "prepare", "commit", "rollback", "recover"]),
    // MariaDB: the profiles stay, and contain the texts of the statements.
    ("profiling", &[]),
];

/// Words that run a procedure, or a text from elsewhere.
const HIDING: &[&str] = &["call", "execute"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_reset_undoes_is_found_in_a_text() {
        for text in [
            "SET RESOURCE GROUP batch",
            "/* a */ set resource\n/* b */group batch",
            "/*!80000 SET RESOURCE GROUP a */",
            "XA START 'a'",
            "xa\tbegin 'a'",
            "SELECT 1; XA /* b */ END 'a'",
            "/*M!100000 XA PREPARE 'a' */",
            "XA/*! PREPARE 'a' */",
            "BEGIN NOT ATOMIC XA COMMIT 'a' ONE PHASE; END",
            "PREPARE a FROM 'XA ROLLBACK ''a'''",
            "CALL a(); XA RECOVER",
            "SET @@SESSION.profiling = 1",
        ] {
            assert_eq!(lasting(text), Lasting::Yes, "{text}");
        }
    }

    #[test]
    fn what_a_text_does_not_show_is_hidden() {
        for text in [
            "CALL shop.sets()",
            "execute a",
            "EXECUTE IMMEDIATE @a",
            "SET STATEMENT max_statement_time = 1 FOR CALL sets()",
        ] {
            assert_eq!(lasting(text), Lasting::Hidden, "{text}");
        }
        assert_eq!(lasting(&format!("SET @a = '{}'", "x".repeat(16 * 1024))), Lasting::Hidden);
    }

    #[test]
    fn names_that_only_look_like_it_cost_no_connection() {
        for text in [
            "SET @resource = 1",
            "SELECT resource, count(*) FROM t GROUP BY resource",
            "SELECT resource_group FROM t",
            "SELECT @a, xa FROM t",
            "SET @relaxa = 1; COMMIT",
            "SHOW PROFILES",
            "SELECT GET_LOCK('a', 1)",
            "LOCK INSTANCE FOR BACKUP",
            "FLUSH TABLES WITH READ LOCK",
            "HANDLER t OPEN",
            "CREATE TEMPORARY TABLE t (recall INT)",
            "",
        ] {
            assert_eq!(lasting(text), Lasting::No, "{text}");
        }
    }
}
