//! Splits a text of SQL into tokens, as PostgreSQL's lexer does; returns `None` if that is not possible with certainty.

pub(super) enum Token<'a> {
    /// A keyword or a name.
    Word { name: &'a [u8], quoted: bool },
    /// A string, a number, a parameter.
    Literal,
    /// A single character; a cast `::` is [`CAST`].
    Mark(u8),
}

/// Means `::`. No text of SQL contains this byte outside of quotes.
pub(super) const CAST: u8 = 0;

/// Splits the text as PostgreSQL's `scan.l` does.
pub(super) struct Lexer<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0 }
    }

    /// The next token, `Some(None)` at the end, `None` if the text cannot be split with certainty.
    pub(super) fn next(&mut self) -> Option<Option<Token<'a>>> {
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

    /// Whether a backslash escapes in such a string depends on a setting, and on the string before: such strings are uncertain.
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

    /// The text between two quotes, in which a doubled quote means itself.
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
