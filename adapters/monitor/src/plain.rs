//! Names, call sites and errors are texts of others. Here they become texts that show what they are and no more: no control character,
//! no mark that turns the direction of writing, no password, no SQL, and of bounded length.

use std::error::Error;
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

/// An error, with what lies behind it. The user's code makes its texts, so it may panic.
pub(crate) fn error(error: &(dyn Error + 'static)) -> String {
    let told = catch_unwind(AssertUnwindSafe(|| chain(error)));
    text(&without_secrets(&told.unwrap_or_else(|_| "an error whose text cannot be had: it panics".to_owned())))
}

/// A span as a person says it.
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

/// So many of something.
pub(crate) fn count(count: usize, thing: &str) -> String {
    format!("{count} {thing}{}", if count == 1 { "" } else { "s" })
}

fn chain(error: &(dyn Error + 'static)) -> String {
    let mut told = error.to_string();
    let mut behind = error.source();
    while let Some(error) = behind {
        let text = error.to_string();
        // Others repeat in their own text what lies behind.
        if !told.contains(&text) {
            told = format!("{told}: {text}");
        }
        behind = error.source();
    }
    told
}

/// What would not be seen, or would change how the rest is seen.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{feff}')
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{e0000}'..='\u{e007f}')
}

/// An error on connecting may have the URL in it, and one of a hook its statement.
fn without_secrets(told: &str) -> String {
    without_sql(&without_values(&without_url_passwords(told)))
}

/// `scheme://user:password@host`.
fn without_url_passwords(told: &str) -> String {
    let mut plain = String::new();
    let mut rest = told;
    while let Some((before, after)) = rest.split_once("://") {
        plain.push_str(before);
        plain.push_str("://");
        let authority = after.find(|c: char| c.is_whitespace() || "/?#\"'".contains(c)).unwrap_or(after.len());
        rest = match after[..authority].rfind('@') {
            Some(at) => {
                let user = after[..at].split(':').next().unwrap_or_default();
                plain.push_str(user);
                if user.len() < at {
                    plain.push_str(":***");
                }
                &after[at..]
            }
            // A password may have a character in it that ends an authority.
            None => match after.split_whitespace().next().and_then(|word| word.rfind('@')) {
                Some(at) => {
                    plain.push_str("***");
                    &after[at..]
                }
                None => after,
            },
        };
    }
    plain.push_str(rest);
    plain
}

/// `password=...` and the like, quoted or not.
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
        let rest = &told[behind..];
        let assigned =
            rest.trim_start().strip_prefix(['=', ':']).map(str::trim_start).filter(|value| !value.is_empty());
        plain.push_str(&told[from..behind]);
        from = behind;
        if let Some(value) = assigned {
            let end = match value.chars().next() {
                Some(quote @ ('\'' | '"')) => value[1..].find(quote).map_or(value.len(), |end| end + 2),
                _ => value.find(|c: char| c.is_whitespace() || ",;&)".contains(c)).unwrap_or(value.len()),
            };
            plain.push_str("=***");
            from = told.len() - value.len() + end;
        }
    }
    plain.push_str(&told[from..]);
    plain
}

/// From the first word on that begins a statement, for where it ends nobody can say. Words of plain English, such as "set" and
/// "with", count in capitals alone.
fn without_sql(told: &str) -> String {
    let begins = |word: &str| SQL.contains(&&*word.to_ascii_uppercase()) || CAPITALS.contains(&word);
    let start = words(told).find(|(_, word)| begins(word)).map(|(at, _)| at);
    // What drivers put before a piece of the statement.
    let piece = PIECES.iter().filter_map(|lead| told.find(lead).map(|at| at + lead.len())).min();
    match start.into_iter().chain(piece).min() {
        Some(at) => format!("{}(SQL is not shown)", &told[..at]),
        None => told.to_owned(),
    }
}

/// Each with its place.
fn words(told: &str) -> impl Iterator<Item = (usize, &str)> {
    let words = told.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| !word.is_empty());
    words.map(|word| (word.as_ptr() as usize - told.as_ptr() as usize, word))
}

const LONGEST: usize = 300;
const SECRETS: &[&str] = &["password", "passwd", "pwd", "secret", "token", "api_key", "apikey"];
/// Words with which statements begin, and plain texts do not.
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
            ("postgres://me:hun/ter2@db/app", "postgres://***@db/app"),
            ("host=db user=me password=hunter2 dbname=app", "host=db user=me password=*** dbname=app"),
            ("Password: 'hunter 2', and more", "Password=***, and more"),
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
