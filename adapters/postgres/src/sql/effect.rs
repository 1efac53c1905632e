//! Determines the effect of a text of SQL on its session.
//!
//! Not a parser: it scans the tokens (`lexer.rs`) for anything that could change a session behind the tag of a harmless command. If it is
//! uncertain it says so, which costs a reset.

use super::lasting::is_lasting;
use super::lexer::{CAST, Lexer, Token};
use super::words::{EXPECTING, PAIRS, VERBS, is_harmless_function, is_keyword};

/// How long a text's effect may last, the shortest first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Effect {
    /// The session is unchanged.
    #[default]
    None,
    /// `SET LOCAL`: until the end of the transaction.
    Transaction,
    /// Possibly until the end of the session, unless a reset undoes it.
    Session,
    /// Until the end of the session, and no reset undoes it.
    Lasting,
}

/// The possible effect of running `text`. Less than [`Effect::Session`] requires no `INTO` except that of an `INSERT` or `MERGE`, no
/// `CREATE` or `EXECUTE`, no `SET` that outlives the transaction, no `pg_settings`, and calls only of functions known to be harmless.
pub(crate) fn effect(text: &[u8]) -> Effect {
    scan(text).unwrap_or_else(|| if is_lasting(text) { Effect::Lasting } else { Effect::Session })
}

/// `None` as soon as it is uncertain.
fn scan(text: &[u8]) -> Option<Effect> {
    let mut lexer = Lexer::new(text);
    let mut before = Before::default();
    while let Some(token) = lexer.next()? {
        match token {
            Token::Word { name, quoted } => before.word(name, quoted)?,
            Token::Mark(mark) => before.mark(mark)?,
            Token::Literal => before.other(),
        }
    }
    Some(before.effect)
}

/// The context before the current token.
#[derive(Default)]
struct Before<'a> {
    last: Last<'a>,
    statement: Statement<'a>,
    parens: Parens,
    effect: Effect,
}

#[derive(Clone, Copy, Default)]
enum Last<'a> {
    #[default]
    Other,
    Word(Name<'a>),
    /// A name and a dot.
    Dot(Name<'a>),
    Cast,
    /// An opening parenthesis.
    Opened,
    /// A closing parenthesis.
    Closed(Paren),
}

/// A name, perhaps qualified.
#[derive(Clone, Copy)]
struct Name<'a> {
    schema: Option<&'a [u8]>,
    name: &'a [u8],
    quoted: bool,
    /// A list of columns or a type's modifier may follow it, and a parenthesis does not make it a call.
    declared: bool,
    /// It is at the beginning of a statement.
    heads: bool,
    /// The word right before it, if it is a plain one.
    before: &'a [u8],
}

impl Name<'_> {
    fn is(&self, keyword: &str) -> bool {
        !self.quoted && self.schema.is_none() && self.name.eq_ignore_ascii_case(keyword.as_bytes())
    }

    fn follows(&self, keyword: &str) -> bool {
        self.before.eq_ignore_ascii_case(keyword.as_bytes())
    }
}

/// The state of the current statement.
#[derive(Default)]
struct Statement<'a> {
    begun: bool,
    /// Its first word.
    head: &'a [u8],
    set: Set,
    /// There was a `JOIN` or `MERGE`, whose `ON` begins an expression.
    joined: bool,
    merges: bool,
    /// There was a `CASE`, whose `THEN` begins an expression.
    cased: bool,
    /// After `WITH`: its main statement has begun.
    verb: bool,
}

impl Statement<'_> {
    fn is(&self, keyword: &str) -> bool {
        self.head.eq_ignore_ascii_case(keyword.as_bytes())
    }
}

#[derive(Default, PartialEq)]
enum Set {
    #[default]
    No,
    /// `SET` was the last token.
    Begun,
    /// `SET LOCAL` or the like, unless a dot follows, which makes it the name of a setting.
    Bounded,
}

/// The content of a parenthesis.
#[derive(Clone, Copy, Default, PartialEq)]
enum Paren {
    #[default]
    Plain,
    /// A call, which `FILTER` and `OVER` may follow.
    Call,
    /// `DISTINCT ON (..)`, which an expression may follow.
    Lead,
}

/// The open ones, two bits each.
#[derive(Default)]
struct Parens(u128, u32);

impl Parens {
    fn open(&mut self, paren: Paren) -> Option<()> {
        self.1 = Some(self.1 + 1).filter(|&depth| depth <= 64)?;
        self.0 = self.0 << 2 | paren as u128;
        Some(())
    }

    fn close(&mut self) -> Option<Paren> {
        self.1 = self.1.checked_sub(1)?;
        let paren = [Paren::Plain, Paren::Call, Paren::Lead][(self.0 & 3) as usize];
        self.0 >>= 2;
        Some(paren)
    }
}

impl<'a> Before<'a> {
    fn word(&mut self, name: &'a [u8], quoted: bool) -> Option<()> {
        let is = |keyword: &str| !quoted && name.eq_ignore_ascii_case(keyword.as_bytes());
        if is("into") && !self.inserts() || is("create") || is("execute") || name.eq_ignore_ascii_case(b"pg_settings") {
            return None;
        }
        let first = !std::mem::replace(&mut self.statement.begun, true);
        if first && is("do") {
            return None;
        }
        let name = Name {
            schema: match self.last {
                Last::Dot(outer) if outer.schema.is_some() || outer.quoted && outer.name != b"pg_catalog" => {
                    Some(&b"?"[..])
                }
                Last::Dot(outer) => Some(outer.name),
                _ => None,
            },
            name,
            quoted,
            declared: self.is_declared() || !quoted && self.is_clause(name) || first && is("copy"),
            heads: first || matches!(self.last, Last::Opened) || self.ends_with(),
            before: match self.last {
                Last::Word(before) if !before.quoted && before.schema.is_none() => before.name,
                _ => b"",
            },
        };
        let statement = &mut self.statement;
        if first && !quoted {
            statement.head = name.name;
        }
        statement.set = match statement.set {
            Set::Begun if is("local") || is("transaction") || is("constraints") => Set::Bounded,
            Set::Begun => return None,
            // Setting this one, even for a transaction only, seeds `random` from then on.
            Set::Bounded if quoted || is("seed") || is("u") => return None,
            _ if first && is("set") => Set::Begun,
            _ => Set::No,
        };
        if statement.set == Set::Bounded && is("local") {
            self.effect = Effect::Transaction;
        }
        statement.merges |= is("merge");
        statement.joined |= is("join") || is("merge");
        statement.cased |= is("case");
        statement.verb |= self.parens.1 == 0 && VERBS.iter().any(|verb| is(verb));
        self.last = Last::Word(name);
        Some(())
    }

    /// Whether the last word was the `INSERT` or `MERGE` of a statement, rather than a label of that name.
    fn inserts(&self) -> bool {
        matches!(self.last, Last::Word(word) if word.heads && (word.is("insert") || word.is("merge")))
    }

    /// Whether the last token was the end of the `WITH` part.
    fn ends_with(&self) -> bool {
        let outermost = self.parens.1 == 0 && matches!(self.last, Last::Closed(_));
        outermost && self.statement.is("with") && !self.statement.verb
    }

    fn is_declared(&self) -> bool {
        match self.last {
            Last::Word(word) => ["as", "with", "recursive", "into", "copy"].iter().any(|keyword| word.is(keyword)),
            Last::Dot(outer) => outer.declared,
            Last::Cast => true,
            Last::Opened | Last::Closed(_) | Last::Other => false,
        }
    }

    /// Whether this word, which may also be a function's name, is at a place where no call is possible.
    fn is_clause(&self, name: &[u8]) -> bool {
        let is = |word: &str| name.eq_ignore_ascii_case(word.as_bytes());
        match self.last {
            Last::Closed(paren) => {
                paren == Paren::Call && (is("over") || is("filter")) || paren != Paren::Lead && is("join")
            }
            Last::Word(before) if is("join") => {
                before.quoted || !(is_keyword(before.name) || EXPECTING.iter().any(|word| before.is(word)))
            }
            Last::Word(before) if before.is("not") && is("materialized") => before.follows("as"),
            Last::Word(before) if before.is("on") && is("conflict") => !self.statement.joined,
            Last::Word(before) if before.is("then") && is("insert") => self.statement.merges && !self.statement.cased,
            Last::Word(before) if is("stdin") && before.is("from") || is("stdout") && before.is("to") => {
                self.statement.is("copy") && self.parens.1 == 0
            }
            Last::Word(before) => PAIRS.iter().any(|(first, second)| before.is(first) && is(second)),
            _ => false,
        }
    }

    fn mark(&mut self, mark: u8) -> Option<()> {
        let named = self.statement.set == Set::Bounded && mark == b'.';
        if named || std::mem::take(&mut self.statement.set) == Set::Begun {
            return None;
        }
        self.statement.begun = true;
        self.last = match (mark, self.last) {
            (b'(', _) => {
                let paren = self.opens()?;
                self.parens.open(paren)?;
                Last::Opened
            }
            (b')', _) => Last::Closed(self.parens.close()?),
            (b'.', Last::Word(name)) => Last::Dot(name),
            (CAST, _) => Last::Cast,
            _ => Last::Other,
        };
        if mark == b';' {
            self.statement = Statement::default();
        }
        Some(())
    }

    fn other(&mut self) {
        self.last = Last::Other;
        self.statement.begun = true;
        self.statement.set = Set::No;
    }

    /// A parenthesis opens. If a function precedes it, it must be a harmless one.
    fn opens(&self) -> Option<Paren> {
        let Last::Word(name) = self.last else { return Some(Paren::Plain) };
        if name.declared {
            return Some(if name.is("filter") { Paren::Call } else { Paren::Plain });
        }
        if !name.quoted && name.schema.is_none() && is_keyword(name.name) {
            return Some(match () {
                () if name.is("group") && name.follows("within") => Paren::Call,
                () if name.is("on") && name.follows("distinct") || name.is("with") => Paren::Lead,
                () => Paren::Plain,
            });
        }
        let mut lower = [0; 64];
        let lower = lower.get_mut(..name.name.len())?;
        lower.copy_from_slice(name.name);
        if !name.quoted {
            lower.make_ascii_lowercase();
        }
        let built_in = name.schema.is_none_or(|schema| schema.eq_ignore_ascii_case(b"pg_catalog"));
        (built_in && is_harmless_function(lower)).then_some(Paren::Call)
    }
}
