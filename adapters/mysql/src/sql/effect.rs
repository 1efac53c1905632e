//! Determines the effect of a text of SQL on its session.
//!
//! Not a parser: it scans the tokens (`lexer.rs`) for anything that could change a session. A text in doubt counts as a change, which costs
//! a reset. The words are in `words.rs`.

use super::lexer::{Lexer, Token, skip_blanks, word};
use super::words::{Word, kind};

/// The extent of a text's effect, the least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Effect {
    /// The session is unchanged.
    None,
    /// A setting or the current database changes, until the next reset.
    Setting,
    /// A setting changes that determines how later texts are read, or whether they commit.
    Meaning,
    /// Any effect that a text can have.
    Anything,
}

/// The possible effect of running `text`.
pub(crate) fn effect(text: &str) -> Effect {
    match () {
        () if is_harmless(text) => Effect::None,
        () if !only_sets(text) => Effect::Anything,
        () if changes_meanings(text) => Effect::Meaning,
        () => Effect::Setting,
    }
}

/// Whether `text` is one BEGIN or START TRANSACTION, and nothing else.
pub(crate) fn begins_transaction(text: &str) -> bool {
    text.len() <= LONGEST && scan_begin(text.as_bytes()).is_some()
}

/// Whether `text` is one SELECT, INSERT, UPDATE, DELETE or REPLACE that touches no variable and calls only functions known to
/// be harmless.
///
/// No text shows whether an AUTO_INCREMENT column sets `LAST_INSERT_ID()`; the server's answer does.
fn is_harmless(text: &str) -> bool {
    scan(text.as_bytes()).is_some()
}

/// Whether `text` is one SET or USE that cannot run anything else.
fn only_sets(text: &str) -> bool {
    let text = text.trim();
    let text = text.strip_suffix(';').unwrap_or(text);
    let first = word(text.as_bytes()).0;
    let sets = first.eq_ignore_ascii_case(b"set") || first.eq_ignore_ascii_case(b"use");
    // MariaDB's SET STATEMENT .. FOR runs a statement.
    let statement = || text.as_bytes().windows(9).any(|word| word.eq_ignore_ascii_case(b"statement"));
    sets && text.len() <= LONGEST && !text.contains(['(', ';', '#', '\\']) && !text.contains("/*") && !statement()
}

/// `None` if the text contains anything but one BEGIN or START TRANSACTION.
fn scan_begin(text: &[u8]) -> Option<()> {
    let mut lexer = Lexer::new(text);
    let mut next_is = |expected: &[u8]| {
        matches!(lexer.next()??, Token::Word(word) if word.eq_ignore_ascii_case(expected)).then_some(())
    };
    let (first, _) = word(skip_blanks(text)?);
    if first.eq_ignore_ascii_case(b"begin") {
        next_is(b"begin")?;
    } else {
        next_is(b"start")?;
        next_is(b"transaction")?;
    }
    // WORK, or the characteristics. A block, which begins with the same word in MariaDB, contains statements.
    while let Some(token) = lexer.next()? {
        match token {
            Token::Word(_) | Token::Mark(b',') => {}
            Token::Mark(b';') => return lexer.next()?.is_none().then_some(()),
            _ => return None,
        }
    }
    Some(())
}

/// Whether the text contains the name of a setting that determines how later texts are read, or whether they commit.
fn changes_meanings(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    ["autocommit", "completion_type", "sql_mode", "names", "charset", "character"]
        .iter()
        .any(|word| text.contains(word))
}

/// `None` if the text may change its session.
fn scan(text: &[u8]) -> Option<()> {
    let text = skip_blanks(text)?;
    if text.len() > LONGEST {
        return None;
    }
    let mut lexer = Lexer::new(text);
    match lexer.next()?? {
        Token::Word(first) if kind(first) == Word::Statement => {}
        _ => return None,
    }
    let mut last = Last::Keyword;
    while let Some(token) = lexer.next()? {
        last = match token {
            // With some settings every kind except the first may contain a name.
            Token::Quoted(quote, name) if quote != b'\'' && kind(name) == Word::Doubtful => return None,
            Token::Quoted(b'`', _) if matches!(last, Last::Into) => Last::Table,
            Token::Quoted(..) => Last::Quoted,
            Token::Number => Last::Name,
            Token::Word(name) => last.then(name)?,
            Token::Mark(b'(') if last.may_open(lexer.apart()) => Last::Other,
            // A table's name may be qualified, a function's may not.
            Token::Mark(b'.') if matches!(last, Last::Table) => Last::Into,
            Token::Mark(b'.') => Last::Dot,
            // Only blanks may follow.
            Token::Mark(b';') => return lexer.next()?.is_none().then_some(()),
            // Variables; the start of a block; an escape outside of quotes; the end of a string in C.
            Token::Mark(b'(' | b'@' | b'{' | b'\\' | 0) => return None,
            Token::Mark(_) => Last::Other,
        };
    }
    Some(())
}

/// The context before the current token.
#[derive(Clone, Copy)]
enum Last {
    /// A word before a parenthesis that is not a call.
    Keyword,
    /// A harmless function, if the parenthesis follows at once: after a blank it might be a stored function of the same name.
    Function,
    /// INTO: a table follows.
    Into,
    /// A table to insert into: a list of columns may follow.
    Table,
    /// Another name: a parenthesis would be a call.
    Name,
    /// In quotes, which may contain a name too.
    Quoted,
    Dot,
    Other,
}

impl Last {
    fn then(self, name: &[u8]) -> Option<Self> {
        Some(match (self, kind(name)) {
            (_, Word::Doubtful) => return None,
            (Self::Into, _) => Self::Table,
            (Self::Dot, _) => Self::Name,
            (_, Word::Into) => Self::Into,
            (_, Word::Keyword) => Self::Keyword,
            (_, Word::Function) => Self::Function,
            (_, Word::Statement | Word::Other) => Self::Name,
        })
    }

    fn may_open(self, apart: bool) -> bool {
        match self {
            Self::Keyword | Self::Table | Self::Other => true,
            Self::Function => !apart,
            Self::Name | Self::Quoted | Self::Dot | Self::Into => false,
        }
    }
}

/// Longer texts, in bytes, are not scanned.
pub(super) const LONGEST: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_begins_a_transaction_and_no_other_is_told() {
        for text in ["BEGIN", "begin work;", " /* now */ Start Transaction Read Only, WITH CONSISTENT SNAPSHOT ; "] {
            assert!(begins_transaction(text), "{text}");
        }
        for text in [
            "",
            "COMMIT",
            "START SLAVE",
            "START GROUP_REPLICATION",
            "BEGIN; COMMIT",
            "BEGIN NOT ATOMIC SELECT 1; END",
            "SELECT 'BEGIN'",
            "BEGINNING",
            "`BEGIN`",
        ] {
            assert!(!begins_transaction(text), "{text}");
        }
    }

    #[test]
    fn each_text_has_the_least_effect_that_is_certain() {
        for (text, expected) in [
            ("SELECT 7", Effect::None),
            ("INSERT INTO t (x) VALUES (1);", Effect::None),
            ("USE shop", Effect::Setting),
            ("SET SESSION time_zone = '+00:00';", Effect::Setting),
            ("SET @a = 'b'", Effect::Setting),
            ("SET NAMES utf8mb4", Effect::Meaning),
            ("SET SESSION sql_mode = 'TRADITIONAL'", Effect::Meaning),
            ("set @@autocommit = 1", Effect::Meaning),
            ("SET completion_type = 'CHAIN'", Effect::Meaning),
            // Contains a word of a setting.
            ("USE names_db", Effect::Meaning),
            ("SET @a = f()", Effect::Anything),
            ("SET @a = 1; BEGIN", Effect::Anything),
            ("SET /* now */ @a = 1", Effect::Anything),
            ("SET STATEMENT max_statement_time = 1 FOR CALL f", Effect::Anything),
            ("BEGIN", Effect::Anything),
            ("CALL f", Effect::Anything),
            ("", Effect::Anything),
        ] {
            assert_eq!(effect(text), expected, "{text}");
        }
    }

    #[test]
    fn plain_statements_are_harmless() {
        for text in [
            "SELECT 1",
            "select name, count(*) from customer where id in (1, 2) and (a or b) group by name having max(x) > 3 limit 5;",
            "SELECT 'it''s', \"quoted\", `a``b` FROM `t` /* a comment */ WHERE x = ? FOR UPDATE",
            "INSERT INTO account (id, money) VALUES (?, ?), (3, 0) ON DUPLICATE KEY UPDATE money = VALUES(money)",
            "INSERT IGNORE INTO `shop`.`account` (id) SELECT id FROM other",
            "REPLACE INTO shop.account VALUES (1, concat('a', now()))",
            "UPDATE account SET money = money + 1 WHERE id = 7",
            "DELETE FROM account WHERE id = 0x1F OR d < date_sub(now(), interval 1 day)",
            "/* tag */ SELECT money FROM account WHERE id = 1e3",
            "SELECT a.id FROM account a JOIN (SELECT 1 AS x) b ON a.id = b.x",
        ] {
            assert!(is_harmless(text), "{text}");
        }
    }

    #[test]
    fn whatever_could_change_a_session_is_in_doubt() {
        for text in [
            "",
            "SET autocommit = 0",
            "BEGIN",
            "CREATE TEMPORARY TABLE t (x INT)",
            "SELECT 1; SET @a = 1",
            "SELECT @a := 1",
            "SELECT 1 INTO @a",
            "SELECT @@version",
            "SELECT GET_LOCK('a', 1)",
            "SELECT get_lock ('a', 1)",
            "SELECT `get_lock`('a', 1)",
            "SELECT \"get_lock\"('a', 1)",
            "SELECT now ()",
            "SELECT shop.sets()",
            "SELECT shop.count(1)",
            "SELECT LAST_INSERT_ID(7)",
            "SELECT SQL_CALC_FOUND_ROWS id FROM account",
            "SELECT NEXT VALUE FOR s",
            "SELECT s.nextval",
            "SELECT 7sets()",
            "SELECT 1e5get_lock('a', 1)",
            "SELECT 1 /*! INTO @a */",
            "SELECT 1 /*M! INTO @a */",
            "SELECT /*+ SET_VAR(a = 1) */ 1",
            "SELECT 1 /* /* */ */",
            "SELECT 1 -- 1",
            "SELECT 1 # 1",
            r"SELECT 'a\' , get_lock(1, 2), ' '",
            "SELECT 'open",
            "INSERT INTO t (a) VALUES (sets())",
            "INSERT INTO t (x) VALUES (1) RETURNING id",
            "UPDATE `performance_schema`.`threads` SET instrumented = 'NO'",
            "SELECT regexp_like('a', 'b')",
            "UPDATE performance_schema.threads SET instrumented = 'NO'",
            "CALL sets()",
            "DO GET_LOCK('a', 1)",
            "LOCK TABLES account READ",
            "WITH x AS (SELECT 1) SELECT * FROM x",
        ] {
            assert!(!is_harmless(text), "{text}");
        }
        assert!(!is_harmless(&format!("SELECT '{}'", "x".repeat(16 * 1024))));
    }
}
