//! Splits a text of SQL into tokens, as the servers' lexers do; returns `None` if that is not possible with certainty.

pub(super) enum Token<'a> {
    /// A keyword or a name.
    Word(&'a [u8]),
    /// The content of quotes of this kind: a string or a name.
    Quoted(u8, &'a [u8]),
    /// A number, or a name that begins with digits.
    Number,
    /// A single character.
    Mark(u8),
}

pub(super) struct Lexer<'a> {
    rest: &'a [u8],
    apart: bool,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self { rest: text, apart: false }
    }

    /// The next token, `Some(None)` at the end, `None` if the text cannot be split with certainty.
    pub(super) fn next(&mut self) -> Option<Option<Token<'a>>> {
        let rest = skip_blanks(self.rest)?;
        self.apart = rest.len() < self.rest.len();
        let Some(&first) = rest.first() else { return Some(None) };
        let (token, rest) = match first {
            b'\'' | b'"' | b'`' => {
                let after = quoted(rest, first)?;
                (Token::Quoted(first, &rest[1..rest.len() - after.len() - 1]), after)
            }
            b'0'..=b'9' => (Token::Number, number(rest)),
            _ if begins_name(first) => {
                let (name, after) = word(rest);
                (Token::Word(name), after)
            }
            mark => (Token::Mark(mark), &rest[1..]),
        };
        self.rest = rest;
        Some(Some(token))
    }

    /// Whether there were blanks before the last token.
    pub(super) fn apart(&self) -> bool {
        self.apart
    }
}

/// White space and comments, except those that a server would execute.
pub(super) fn skip_blanks(mut text: &[u8]) -> Option<&[u8]> {
    loop {
        text = match text {
            [b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c, rest @ ..] => rest,
            [b'/', b'*', b'!' | b'M' | b'+', ..] => return None,
            [b'/', b'*', rest @ ..] => {
                let end = rest.windows(2).position(|two| two == b"*/")?;
                // Whether comments nest depends on the server.
                if rest[..end].windows(2).any(|two| two == b"/*") {
                    return None;
                }
                &rest[end + 2..]
            }
            // These end with their line, and begin only before a blank: they are uncertain.
            [b'#', ..] | [b'-', b'-', ..] => return None,
            _ => return Some(text),
        };
    }
}

/// The text after a quoted string or name, in which a doubled quote means itself. Whether a backslash escapes depends on a setting.
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

/// The text after a number, or after a name, which may also begin with digits.
fn number(text: &[u8]) -> &[u8] {
    let end = text.iter().position(|&byte| !continues_name(byte) && byte != b'.').unwrap_or(text.len());
    &text[end..]
}

/// The name or keyword at the beginning, which may be empty, and the rest.
pub(super) fn word(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(text.iter().position(|&byte| !continues_name(byte)).unwrap_or(text.len()))
}

fn begins_name(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte == b'$' || byte >= 0x80
}

fn continues_name(byte: u8) -> bool {
    begins_name(byte) || byte.is_ascii_digit()
}
