//! Names, call sites and errors are foreign texts. Here they become texts that are safe to show: without control characters, marks that
//! change the writing direction, passwords or SQL, and of bounded length.

use std::error::Error;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::time::Duration;

/// A name or a remark.
pub(crate) fn text(text: &str) -> String {
    let mut plain = String::new();
    for (count, c) in text.chars().enumerate() {
        if count == LONGEST {
            plain.push('…');
            break;
        }
        if is_unseen(c) { plain.extend(c.escape_unicode()) } else { plain.push(c) }
    }
    plain
}

pub(crate) fn site(site: &Location<'_>) -> String {
    text(&site.to_string())
}

/// An error with its sources. Its texts come from the user's code, which may panic.
pub(crate) fn error(error: &(dyn Error + 'static)) -> String {
    let told = catch_unwind(AssertUnwindSafe(|| chain(error)));
    text(&without_secrets(&told.unwrap_or_else(|_| "an error whose text panics".to_owned())))
}

/// A span in a readable form.
pub(crate) fn span(span: Duration) -> String {
    let seconds = span.as_secs_f64();
    match span.as_secs() {
        0 if span < Duration::from_millis(1) => "less than 1 ms".to_owned(),
        0 => format!("{} ms", span.as_millis()),
        1..=59 => format!("{seconds:.1} s"),
        60..=3_599 => format!("{} min {} s", span.as_secs() / 60, span.as_secs() % 60),
        more => format!("{} h {} min", more / 3_600, more % 3_600 / 60),
    }
}

/// A count with its noun.
pub(crate) fn count(count: usize, thing: &str) -> String {
    format!("{count} {thing}{}", if count == 1 { "" } else { "s" })
}

fn chain(error: &(dyn Error + 'static)) -> String {
    let mut told = error.to_string();
    let mut behind = error.source();
    while let Some(error) = behind {
        let text = error.to_string();
        // Some errors repeat their source in their own text.
        if !told.contains(&text) {
            told = format!("{told}: {text}");
        }
        behind = error.source();
    }
    told
}

/// Whether it is invisible or changes the appearance of other characters.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{feff}')
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{e0000}'..='\u{e007f}')
}

/// A connection error may contain the URL, and a hook's error its statement.
fn without_secrets(told: &str) -> String {
    without_sql(&without_values(&without_url_passwords(told)))
}

/// `scheme://user:password@host`, and the same without a scheme.
fn without_url_passwords(told: &str) -> String {
    let (mut plain, mut rest) = (String::new(), told);
    while let Some(word) = rest.split_inclusive(char::is_whitespace).next() {
        let end = match password(word, rest) {
            Some(password) => {
                plain.push_str(&rest[..password.start]);
                plain.push_str("***");
                password.end
            }
            None => {
                plain.push_str(word);
                word.len()
            }
        };
        rest = &rest[end..];
    }
    plain
}

/// The place of the password in this word, with which `rest` begins. A password may contain any character, including those that end a
/// user's name or a host: it ends at the word's last `@`.
fn password(word: &str, rest: &str) -> Option<Range<usize>> {
    let scheme = word.find("://").map(|at| at + "://".len());
    let begin = scheme.unwrap_or(0);
    let start = begin + word[begin..].find(':')? + 1;
    if let Some(at) = word.rfind('@') {
        return (start <= at).then_some(start..at);
    }
    // A password may also contain a space. The host is followed by a number.
    let mut behind = word[start..].split(|c: char| !c.is_alphanumeric());
    let is_host = word[begin..].starts_with('[') || behind.next()?.bytes().all(|byte| byte.is_ascii_digit());
    (scheme.is_some() && !is_host).then(|| start..rest.find('@').unwrap_or(word.trim_end().len()))
}

/// `password=...` and similar, quoted or not, also in JSON.
fn without_values(told: &str) -> String {
    let lower = told.to_ascii_lowercase();
    let mut plain = String::new();
    let mut from = 0;
    while let Some((at, key)) = SECRETS
        .iter()
        .filter_map(|key| lower[from..].find(key).map(|at| (from + at, key)))
        .min_by_key(|&(at, key)| (at, std::cmp::Reverse(key.len())))
    {
        let behind = at + key.len();
        let rest = told[behind..].trim_start_matches(['"', '\'', ' ']);
        let assigned = rest.strip_prefix(['=', ':']).map(str::trim_start).filter(|value| !value.is_empty());
        plain.push_str(&told[from..behind]);
        from = behind;
        if let Some(value) = assigned {
            plain.push_str("=***");
            from = told.len() - value.len() + end_of_value(value);
        }
    }
    plain.push_str(&told[from..]);
    plain
}

/// A doubled quote, or any character after a backslash, is part of the value. Without quotes the value ends at a space, because it may
/// contain anything else.
fn end_of_value(value: &str) -> usize {
    let open = value.strip_prefix("Some(").map_or(0, |inner| value.len() - inner.len());
    let quote = match value[open..].chars().next() {
        Some('{') => Some('}'),
        first => first.filter(|c| matches!(c, '\'' | '"')),
    };
    let begin = open + usize::from(quote.is_some());
    let mut chars = value[begin..].char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match quote {
            _ if c == '\\' => _ = chars.next(),
            Some(quote) if c == quote && chars.next_if(|(_, next)| *next == quote).is_none() => {
                return begin + at + quote.len_utf8();
            }
            None if c.is_whitespace() => return value[..begin + at].trim_end_matches(PUNCTUATION).len(),
            _ => {}
        }
    }
    if quote.is_some() { value.len() } else { value.trim_end_matches(PUNCTUATION).len() }
}

/// Cuts the text at the first word that begins a statement, because the statement's end cannot be found. Common English words, such as
/// "set" and "with", count only in capitals.
fn without_sql(told: &str) -> String {
    let begins = |word: &str| SQL.contains(&&*word.to_ascii_uppercase()) || CAPITALS.contains(&word);
    let start = words(told).find(|(_, word)| begins(word)).map(|(at, _)| at);
    // Drivers put these before a part of the statement.
    let piece = PIECES.iter().filter_map(|lead| told.find(lead).map(|at| at + lead.len())).min();
    // SQLite's format: the message, the whole statement, and the place in it.
    let whole = told.find(" in ").filter(|_| told.contains(" at offset ")).map(|at| at + " in ".len());
    match start.into_iter().chain(piece).chain(whole).min() {
        Some(at) => format!("{}(SQL is not shown)", &told[..at]),
        None => told.to_owned(),
    }
}

/// Each word with its place.
fn words(told: &str) -> impl Iterator<Item = (usize, &str)> {
    let words = told.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| !word.is_empty());
    words.map(|word| (word.as_ptr() as usize - told.as_ptr() as usize, word))
}

const LONGEST: usize = 300;
const SECRETS: &[&str] =
    &["password", "passwd", "pass", "pwd", "secret", "token", "api_key", "apikey", "credential", "signature"];
/// May follow a value at its end.
const PUNCTUATION: [char; 7] = [',', ';', ')', ']', '}', '"', '\''];
/// Words that begin statements, but not plain texts.
const SQL: &[&str] = &["SELECT", "INSERT", "PRAGMA", "TRUNCATE", "VACUUM", "SAVEPOINT"];
const CAPITALS: &[&str] = &[
    "UPDATE", "DELETE", "CREATE", "ALTER", "DROP", "SET", "GRANT", "REVOKE", "CALL", "EXECUTE", "WITH", "BEGIN",
    "COMMIT", "ROLLBACK", "ATTACH", "DO", "COPY", "LOAD", "REPLACE", "MERGE", "LISTEN", "DECLARE", "USE",
];
const PIECES: &[&str] = &["syntax error in ", "to use near '", "near \"", "Statement: ", "statement: ", "query: "];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_not_be_seen_is_written_out() {
        assert_eq!(text("a\u{202e}b\u{0}c\nd\u{200b}"), "a\\u{202e}b\\u{0}c\\u{a}d\\u{200b}");
        assert_eq!(text("<script>'\"&"), "<script>'\"&", "that is for the page to show as it is");
        assert_eq!(text(&"x".repeat(1_000)).chars().count(), LONGEST + 1);
    }

    #[test]
    fn no_password_is_shown() {
        for (told, shown) in [
            ("cannot reach postgres://me:hunter2@db:5432/app?x=1", "cannot reach postgres://me:***@db:5432/app?x=1"),
            ("mysql://me@db/app", "mysql://me@db/app"),
            ("redis://:s3cr3t@db", "redis://:***@db"),
            ("postgres://me:hun/ter2@db/app", "postgres://me:***@db/app"),
            ("postgres://me:hun@ter/2@db/app", "postgres://me:***@db/app"),
            ("\"postgres://me:hun'ter\"2@db/app\": not a URL", "\"postgres://me:***@db/app\": not a URL"),
            ("no URL: postgres://me:hun ter2@db/app (port)", "no URL: postgres://me:***@db/app (port)"),
            ("no URL: postgres://me:hunter2 .", "no URL: postgres://me:*** ."),
            ("me:hunter2@tcp(db:3306)/app", "me:***@tcp(db:3306)/app"),
            ("postgres://a:one@x/app,postgres://b:two@y/app", "postgres://a:***@y/app"),
            ("http://db:5432/app?password=hun&ter2: refused", "http://db:5432/app?password=*** refused"),
            ("postgres://me@[::1]:5432, postgres://[::1]:5432/", "postgres://me@[::1]:5432, postgres://[::1]:5432/"),
            ("cannot reach postgres://db: refused", "cannot reach postgres://db: refused"),
            ("host=db user=me password=hunter2 dbname=app", "host=db user=me password=*** dbname=app"),
            ("Password: 'hunter 2', and more", "Password=***, and more"),
            ("password='hun\\'ter 2' dbname=app", "password=*** dbname=app"),
            ("Pwd='hun''ter 2' Db=app", "Pwd=*** Db=app"),
            ("PWD={hun ter}}2};", "PWD=***;"),
            ("password=hun,ter;2 dbname=app", "password=*** dbname=app"),
            ("password=hun\\ ter2 dbname=app", "password=*** dbname=app"),
            ("{\"user\":\"me\",\"password\":\"hun\\\"ter 2\"}", "{\"user\":\"me\",\"password=***}"),
            ("Opts { pass: Some(\"hunter 2\"), port: 1 }", "Opts { pass=***), port: 1 }"),
            ("token: Some(secrét) x", "token=***) x"),
            ("password='hunter 2", "password=***"),
            ("password authentication failed for user \"me\"", "password authentication failed for user \"me\""),
            (
                "Access denied for user 'me'@'localhost' (using password: YES)",
                "Access denied for user 'me'@'localhost' (using password=***)",
            ),
        ] {
            assert_eq!(without_secrets(told), shown);
        }
    }

    #[test]
    fn no_sql_is_shown() {
        for (told, shown) in [
            ("near \"SELEC\": syntax error in SELEC 1 at offset 0", "near \"(SQL is not shown)"),
            ("no such table: t in select a from t at offset 14", "no such table: t in (SQL is not shown)"),
            ("no such table: t in update t set a = 'x' at offset 7", "no such table: t in (SQL is not shown)"),
            (
                "You have an error in your SQL syntax; check the manual for the right syntax to use near 'SELEC 1' at line 1",
                "You have an error in your SQL syntax; check the manual for the right syntax to use near '(SQL is not shown)",
            ),
            ("failed: SET ROLE 'x'", "failed: (SQL is not shown)"),
            ("connection refused (os error 111)", "connection refused (os error 111)"),
            (
                "the set-up of the session left a transaction open: commit it there, or begin it",
                "the set-up of the session left a transaction open: commit it there, or begin it",
            ),
        ] {
            assert_eq!(without_secrets(told), shown);
        }
    }

    #[test]
    fn spans_are_said_as_persons_say_them() {
        for (millis, said) in
            [(0, "less than 1 ms"), (41, "41 ms"), (3_210, "3.2 s"), (63_000, "1 min 3 s"), (7_260_000, "2 h 1 min")]
        {
            assert_eq!(span(Duration::from_millis(millis)), said);
        }
    }
}
