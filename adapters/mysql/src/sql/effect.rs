//! Does a text of SQL surely leave the session as it was?
//!
//! Not a parser: it cuts the text into tokens as the servers' lexers do, and looks for what could change a session. Where it
//! is in doubt the answer is no, which costs a reset. Pure. The words are in `words.rs`.

use super::words::{Word, kind};

/// Whether `text` is one SELECT, INSERT, UPDATE, DELETE or REPLACE that touches no variable and calls only functions known to
/// be harmless.
///
/// What an AUTO_INCREMENT column leaves in `LAST_INSERT_ID()` no text tells; the server's answer does.
pub(crate) fn is_harmless(text: &str) -> bool {
    scan(text.as_bytes()).is_some()
}

/// Whether `text` is one SET or USE, with nothing in it that could run something else.
pub(crate) fn only_sets(text: &str) -> bool {
    let text = text.trim();
    let text = text.strip_suffix(';').unwrap_or(text);
    let first = word(text.as_bytes()).0;
    let sets = first.eq_ignore_ascii_case(b"set") || first.eq_ignore_ascii_case(b"use");
    // MariaDB's SET STATEMENT .. FOR runs a statement.
    let statement = || text.as_bytes().windows(9).any(|word| word.eq_ignore_ascii_case(b"statement"));
    sets && text.len() <= LONGEST && !text.contains(['(', ';', '#', '\\']) && !text.contains("/*") && !statement()
}

/// Does it speak of a RESOURCE GROUP?
pub(crate) fn names_resource_group(text: &str) -> bool {
    let text = text.as_bytes();
    text.len() <= LONGEST
        && (0..text.len()).any(|at| {
            let (first, rest) = word(&text[at..]);
            first.eq_ignore_ascii_case(b"resource")
                && skip_blanks(rest).is_none_or(|rest| word(rest).0.eq_ignore_ascii_case(b"group"))
        })
}

/// `None` as soon as there is doubt.
fn scan(text: &[u8]) -> Option<()> {
    let mut rest = skip_blanks(text)?;
    if rest.len() > LONGEST {
        return None;
    }
    let (first, after) = word(rest);
    if kind(first) != Word::Statement {
        return None;
    }
    rest = after;
    let mut last = Last::Keyword;
    loop {
        let before = rest.len();
        rest = skip_blanks(rest)?;
        let apart = rest.len() < before;
        let Some(&byte) = rest.first() else { return Some(()) };
        (last, rest) = match byte {
            b'\'' | b'"' | b'`' => {
                let after = quoted(rest, byte)?;
                // With some settings a name may stand in any but the first kind.
                if byte != b'\'' && kind(&rest[1..rest.len() - after.len() - 1]) == Word::Doubtful {
                    return None;
                }
                (if byte == b'`' && matches!(last, Last::Into) { Last::Table } else { Last::Quoted }, after)
            }
            b'0'..=b'9' => (Last::Name, number(rest)),
            _ if begins_name(byte) => {
                let (name, after) = word(rest);
                (last.then(name)?, after)
            }
            b'(' if last.may_open(apart) => (Last::Other, &rest[1..]),
            // A table's name may be qualified, a function's may not.
            b'.' if matches!(last, Last::Table) => (Last::Into, &rest[1..]),
            b'.' => (Last::Dot, &rest[1..]),
            // Nothing may follow but blanks.
            b';' => return skip_blanks(&rest[1..])?.is_empty().then_some(()),
            // Variables; what opens a block; an escape outside of quotes; the end of a string in C.
            b'(' | b'@' | b'{' | b'\\' | 0 => return None,
            _ => (Last::Other, &rest[1..]),
        };
    }
}

/// What stands before the token that is looked at.
#[derive(Clone, Copy)]
enum Last {
    /// A word after which a parenthesis calls nothing.
    Keyword,
    /// A harmless function, if the parenthesis follows at once: after a blank it might be a stored one of the same name.
    Function,
    /// INTO: a table follows.
    Into,
    /// A table to insert into: a list of columns may follow.
    Table,
    /// Some other name: a parenthesis would be a call.
    Name,
    /// In quotes, which may hold a name too.
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

/// White space and comments, but none that a server would execute.
fn skip_blanks(mut text: &[u8]) -> Option<&[u8]> {
    loop {
        text = match text {
            [b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c, rest @ ..] => rest,
            [b'/', b'*', b'!' | b'M' | b'+', ..] => return None,
            [b'/', b'*', rest @ ..] => {
                let end = rest.windows(2).position(|two| two == b"*/")?;
                // Whether comments nest is a server's own affair.
                if rest[..end].windows(2).any(|two| two == b"/*") {
                    return None;
                }
                &rest[end + 2..]
            }
            // These end with the line, and begin only before a blank: better not to ask.
            [b'#', ..] | [b'-', b'-', ..] => return None,
            _ => return Some(text),
        };
    }
}

/// What follows a quoted string or name; a doubled quote stands for itself. Whether a backslash escapes depends on a setting.
fn quoted(text: &[u8], quote: u8) -> Option<&[u8]> {
    let mut at = 1;
    loop {
        at += text[at..].iter().position(|&byte| byte == quote || byte == b'\\' && quote != b'`')?;
        match (text[at], text.get(at + 1)) {
            (b'\\', _) if quote != b'`' => return None,
            (_, Some(&next)) if next == quote => at += 2,
            _ => return Some(&text[at + 1..]),
        }
    }
}

/// What follows a number, or a name: these may begin with digits, too.
fn number(text: &[u8]) -> &[u8] {
    let end = text.iter().position(|&byte| !continues_name(byte) && byte != b'.').unwrap_or(text.len());
    &text[end..]
}

fn word(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(text.iter().position(|&byte| !continues_name(byte)).unwrap_or(text.len()))
}

fn begins_name(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte == b'$' || byte >= 0x80
}

fn continues_name(byte: u8) -> bool {
    begins_name(byte) || byte.is_ascii_digit()
}

/// A longer text is not looked at, in bytes.
pub(crate) const LONGEST: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_resource_group_is_found_in_a_text() {
        for text in
            ["SET RESOURCE GROUP batch", "/* a */ set resource\n/* b */group batch", "/*!80000 SET RESOURCE GROUP a */"]
        {
            assert!(names_resource_group(text), "{text}");
        }
        for text in
            ["SET @resource = 1", "SELECT resource, count(*) FROM t GROUP BY resource", "SELECT resource_group FROM t"]
        {
            assert!(!names_resource_group(text), "{text}");
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
        assert!(!is_harmless(&format!("SELECT '{}'", "x".repeat(LONGEST))));
    }
}
