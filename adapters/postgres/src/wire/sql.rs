//! Does a text of SQL surely leave the session as it was?
//!
//! Not a parser: it cuts the text into tokens just as PostgreSQL's lexer does, and looks for what could change a session
//! behind the tag of a harmless command. Where it is in doubt the answer is no, which costs a reset.

use super::harmless::{EXPECTING, PAIRS, is_harmless_function, is_keyword};

/// Whether nothing in `text` can change the session: no `INTO` but that of an `INSERT`, no `CREATE` or `EXECUTE`, no
/// `SET` that outlives the transaction, no `pg_settings`, and only calls of functions known to be harmless.
pub(super) fn is_harmless(text: &[u8]) -> bool {
    scan(text).is_some()
}

/// `None` as soon as there is doubt.
fn scan(text: &[u8]) -> Option<()> {
    let mut lexer = Lexer { text, at: 0 };
    let mut before = Before::default();
    while let Some(token) = lexer.next()? {
        match token {
            Token::Word { name, quoted } => before.word(name, quoted)?,
            Token::Mark(mark) => before.mark(mark)?,
            Token::Literal => before.other(),
        }
    }
    Some(())
}

enum Token<'a> {
    /// A keyword or a name.
    Word { name: &'a [u8], quoted: bool },
    /// A string, a number, a parameter.
    Literal,
    /// A character that stands for itself; a cast `::` comes as [`CAST`].
    Mark(u8),
}

/// Stands for `::`. No text of SQL holds this byte outside of quotes.
const CAST: u8 = 0;

/// What stands before the token that is looked at.
#[derive(Default)]
struct Before<'a> {
    last: Last<'a>,
    /// The statement began with `SET`, and nothing has followed yet.
    set: bool,
    /// A statement has begun.
    begun: bool,
}

#[derive(Clone, Copy, Default)]
enum Last<'a> {
    #[default]
    Other,
    Word(Name<'a>),
    /// A name and a dot.
    Dot(Name<'a>),
    Cast,
    /// A parenthesis that closes.
    Closed,
}

/// A name, perhaps qualified.
#[derive(Clone, Copy)]
struct Name<'a> {
    schema: Option<&'a [u8]>,
    name: &'a [u8],
    quoted: bool,
    /// A list of columns or a type's modifier may follow it, but a parenthesis does not make it a call.
    declared: bool,
}

impl Name<'_> {
    fn is(&self, keyword: &str) -> bool {
        !self.quoted && self.schema.is_none() && self.name.eq_ignore_ascii_case(keyword.as_bytes())
    }
}

impl<'a> Before<'a> {
    fn word(&mut self, name: &'a [u8], quoted: bool) -> Option<()> {
        let is = |keyword: &str| !quoted && name.eq_ignore_ascii_case(keyword.as_bytes());
        let follows = |keyword: &str| matches!(self.last, Last::Word(word) if word.is(keyword));
        let into = is("into");
        if into && !follows("insert") && !follows("merge") || is("create") || is("execute") {
            return None;
        }
        if name.eq_ignore_ascii_case(b"pg_settings") {
            return None;
        }
        if std::mem::take(&mut self.set) && !["local", "transaction", "constraints"].into_iter().any(is) {
            return None;
        }
        let first = !std::mem::replace(&mut self.begun, true);
        self.set = first && is("set");
        let declared = match self.last {
            Last::Word(word) => ["as", "with", "recursive", "into", "copy"].iter().any(|keyword| word.is(keyword)),
            Last::Dot(outer) => outer.declared,
            Last::Cast => true,
            Last::Closed | Last::Other => false,
        };
        let declared = declared || !quoted && self.is_clause(name) || first && is("copy");
        let schema = match self.last {
            Last::Dot(outer) if outer.schema.is_some() => Some(&b"?"[..]),
            Last::Dot(outer) => Some(outer.name),
            _ => None,
        };
        self.last = Last::Word(Name { schema, name, quoted, declared });
        Some(())
    }

    /// Does this word, which might also be the name of a function, stand where no call can stand?
    fn is_clause(&self, name: &[u8]) -> bool {
        let is_one_of = |words: &[&str]| words.iter().any(|word| name.eq_ignore_ascii_case(word.as_bytes()));
        match self.last {
            Last::Closed => is_one_of(&["over", "filter", "join"]),
            Last::Word(before) if is_one_of(&["join"]) => {
                before.quoted || !(is_keyword(before.name) || EXPECTING.iter().any(|word| before.is(word)))
            }
            Last::Word(before) => PAIRS.iter().any(|(first, second)| before.is(first) && is_one_of(&[second])),
            _ => false,
        }
    }

    fn mark(&mut self, mark: u8) -> Option<()> {
        if mark == b'(' {
            self.call()?;
        }
        self.last = match (mark, self.last) {
            (b'.', Last::Word(name)) => Last::Dot(name),
            (CAST, _) => Last::Cast,
            (b')', _) => Last::Closed,
            _ => Last::Other,
        };
        self.begun = mark != b';';
        if std::mem::take(&mut self.set) {
            return None;
        }
        Some(())
    }

    fn other(&mut self) {
        self.last = Last::Other;
        self.begun = true;
    }

    /// A parenthesis opens: is what stands before it a function, and a harmless one?
    fn call(&self) -> Option<()> {
        let Last::Word(name) = self.last else { return Some(()) };
        let mut lower = [0; 64];
        let lower = lower.get_mut(..name.name.len())?;
        lower.copy_from_slice(name.name);
        if !name.quoted {
            lower.make_ascii_lowercase();
        }
        let built_in = name.schema.is_none_or(|schema| schema.eq_ignore_ascii_case(b"pg_catalog"));
        (name.declared || built_in && is_harmless_function(lower)).then_some(())
    }
}

/// Cuts the text as PostgreSQL's `scan.l` does.
struct Lexer<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Lexer<'a> {
    /// The next token, `Some(None)` at the end, `None` if the text cannot be cut with certainty.
    fn next(&mut self) -> Option<Option<Token<'a>>> {
        self.skip_blanks()?;
        let Some(&first) = self.text.get(self.at) else { return Some(None) };
        let token = match first {
            0 => return None,
            b'\'' => self.plain_string()?,
            b'"' => Token::Word { name: self.quoted(b'"')?, quoted: true },
            b'$' => self.dollar()?,
            b'0'..=b'9' => {
                self.take_while(|byte| byte.is_ascii_digit() || byte == b'.');
                Token::Literal
            }
            byte if begins_name(byte) => self.word()?,
            b':' if self.text.get(self.at + 1) == Some(&b':') => {
                self.at += 2;
                Token::Mark(CAST)
            }
            mark => {
                self.at += 1;
                Token::Mark(mark)
            }
        };
        Some(Some(token))
    }

    fn word(&mut self) -> Option<Token<'a>> {
        let name = self.take_while(continues_name);
        match (self.text.get(self.at), name) {
            (Some(b'\''), b"e" | b"E") => self.escape_string(),
            (Some(b'\''), b"b" | b"B" | b"x" | b"X" | b"n" | b"N") => self.plain_string(),
            // `U&'..'` and `U&".."` can spell anything.
            (Some(b'&'), b"u" | b"U") => None,
            _ => Some(Token::Word { name, quoted: false }),
        }
    }

    /// Whether a backslash escapes in such a string depends on a setting, and on the string before: better not to ask.
    fn plain_string(&mut self) -> Option<Token<'a>> {
        let text = self.quoted(b'\'')?;
        (!text.contains(&b'\\')).then_some(Token::Literal)
    }

    fn escape_string(&mut self) -> Option<Token<'a>> {
        self.at += 1;
        loop {
            match (self.text.get(self.at)?, self.text.get(self.at + 1)) {
                (b'\\', Some(_)) | (b'\'', Some(b'\'')) => self.at += 2,
                (b'\'', _) => {
                    self.at += 1;
                    return Some(Token::Literal);
                }
                _ => self.at += 1,
            }
        }
    }

    /// What stands between two quotes; a doubled one stands for itself.
    fn quoted(&mut self, quote: u8) -> Option<&'a [u8]> {
        let begin = self.at + 1;
        self.at = begin;
        loop {
            self.at += self.text[self.at..].iter().position(|&byte| byte == quote)?;
            if self.text.get(self.at + 1) != Some(&quote) {
                break;
            }
            self.at += 2;
        }
        self.at += 1;
        Some(&self.text[begin..self.at - 1])
    }

    /// A parameter `$1`, or a string between two `$tag$`.
    fn dollar(&mut self) -> Option<Token<'a>> {
        let begin = self.at;
        self.at += 1;
        if self.text.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.take_while(|byte| byte.is_ascii_digit());
            return Some(Token::Literal);
        }
        self.take_while(|byte| continues_name(byte) && byte != b'$');
        if self.text.get(self.at) != Some(&b'$') {
            return None;
        }
        self.at += 1;
        let fence = &self.text[begin..self.at];
        let end = self.text[self.at..].windows(fence.len()).position(|window| window == fence)?;
        self.at += end + fence.len();
        Some(Token::Literal)
    }

    /// White space and comments, of which the bracketed ones nest.
    fn skip_blanks(&mut self) -> Option<()> {
        loop {
            match self.text.get(self.at..) {
                Some([b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c, ..]) => self.at += 1,
                Some([b'-', b'-', ..]) => {
                    self.take_while(|byte| byte != b'\n' && byte != b'\r');
                }
                Some([b'/', b'*', ..]) => {
                    let mut depth = 0;
                    loop {
                        match self.text.get(self.at..)? {
                            [b'/', b'*', ..] => (depth, self.at) = (depth + 1, self.at + 2),
                            [b'*', b'/', ..] => (depth, self.at) = (depth - 1, self.at + 2),
                            [] => return None,
                            _ => self.at += 1,
                        }
                        if depth == 0 {
                            break;
                        }
                    }
                }
                _ => return Some(()),
            }
        }
    }

    fn take_while(&mut self, belongs: impl Fn(u8) -> bool) -> &'a [u8] {
        let rest = &self.text[self.at..];
        let length = rest.iter().position(|&byte| !belongs(byte)).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }
}

fn begins_name(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

fn continues_name(byte: u8) -> bool {
    begins_name(byte) || byte.is_ascii_digit() || byte == b'$'
}
