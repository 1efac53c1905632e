//! Texts that change the meaning of statements prepared afterwards. For each statement the server keeps the database, the SQL mode and
//! the character sets in which it was prepared.

use super::lexer::word;

/// Whether `text`, which is not known to be harmless, may change the meaning of the same statement prepared afterwards. The contents of
/// procedures are not seen.
pub(crate) fn rebinds(text: &str) -> bool {
    let mut rest = text.as_bytes();
    while !rest.is_empty() {
        let (found, after) = word(rest);
        // Includes comments and strings, because either may be executed.
        if WORDS.iter().any(|word| found.eq_ignore_ascii_case(word.as_bytes())) {
            return true;
        }
        rest = if found.is_empty() { &rest[1..] } else { after };
    }
    false
}

const WORDS: &[&str] = &[
    "use",
    "sql_mode",
    "names",
    "charset",
    "character",
    "character_set_client",
    "character_set_connection",
    "collation_connection",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_database_the_mode_and_the_letters_are_found_in_a_text() {
        for text in [
            "USE shop",
            "SET @a = 1; use `shop`",
            "/*! USE shop */",
            "SET SESSION sql_mode = ''",
            "SET @@SQL_MODE='ANSI'",
            "set names latin1",
            "SET CHARACTER SET utf8mb4",
            "SET charset utf8mb4",
            "SET character_set_connection = latin1, @a = 1",
        ] {
            assert!(rebinds(text), "{text}");
        }
    }

    #[test]
    fn what_changes_neither_costs_nothing() {
        for text in [
            "",
            "SET @a = 1",
            "BEGIN",
            "COMMIT",
            "CREATE TEMPORARY TABLE t (user INT, names_of_all INT)",
            "SET autocommit = 0",
            "CALL refuse()",
            "SET time_zone = '+01:00'",
        ] {
            assert!(!rebinds(text), "{text}");
        }
    }
}
