//! Texts of SQL: from the rules of a grammar, and by mutation of real statements. Between their tokens stands anything that the dialect
//! allows there.

use fastrand::Rng;

/// The alternatives for a word with an `@`; blanks separate the parts of each.
pub type Rule = (&'static str, &'static [&'static str]);

/// One dialect.
#[derive(Debug, Clone, Copy)]
pub struct Grammar {
    /// Its own rules, in addition to those that all dialects share.
    pub rules: &'static [Rule],
    /// The texts that may stand between two tokens, besides a blank.
    pub gaps: &'static [&'static str],
    /// Real statements, one in each line.
    pub corpus: &'static str,
    /// The functions that the scanner calls harmless, separated by blanks.
    pub functions: &'static str,
    /// The texts that may follow the name of one of them, one in each line. There are columns `a`, a number, and `b`, a text.
    pub arguments: &'static str,
}

/// An endless source of texts.
#[derive(Debug)]
pub struct Texts {
    grammar: Grammar,
    rules: Vec<(&'static str, Vec<&'static str>)>,
    rng: Rng,
    corpus: Vec<Vec<String>>,
    functions: Vec<&'static str>,
    arguments: Vec<&'static str>,
    turn: usize,
    called: Option<&'static str>,
}

impl Texts {
    /// All texts depend on these two arguments alone.
    pub fn new(grammar: Grammar, mut rng: Rng) -> Self {
        let corpus = grammar.corpus.lines().map(|line| line.split_whitespace().map(str::to_owned).collect());
        let mut rules: Vec<(&str, Vec<&str>)> = Vec::new();
        for (name, alternatives) in SHARED.iter().chain(grammar.rules) {
            match rules.iter_mut().find(|(known, _)| known == name) {
                Some((_, known)) => known.extend(*alternatives),
                None => rules.push((name, alternatives.to_vec())),
            }
        }
        let functions: Vec<_> = grammar.functions.split_ascii_whitespace().collect();
        rules.push(("harmless", functions.clone()));
        let mut arguments: Vec<_> = grammar.arguments.lines().collect();
        rng.shuffle(&mut arguments);
        Self { grammar, rules, rng, corpus: corpus.collect(), functions, arguments, turn: 0, called: None }
    }

    /// The next text, of any kind.
    pub fn next_text(&mut self) -> String {
        self.called = None;
        if self.rng.bool() {
            return self.call();
        }
        let mut tokens = Vec::new();
        match self.rng.u8(..3) {
            0 => self.expand("statement", 0, &mut tokens),
            1 => tokens = self.real(),
            _ => {
                let (head, tail) = (self.real(), self.real());
                let (until, from) = (self.rng.usize(..=head.len()), self.rng.usize(..=tail.len()));
                tokens.extend(head[..until].iter().chain(&tail[from..]).cloned());
            }
        }
        for _ in 0..self.rng.usize(..5).saturating_sub(2) {
            self.mutate(&mut tokens);
        }
        self.join(&tokens)
    }

    /// The next text that is worth a server's time: a harmless one, or one in ten of the others.
    pub fn next_for_server(&mut self, is_harmless: impl Fn(&str) -> bool) -> String {
        loop {
            let text = self.next_text();
            if is_harmless(&text) || self.rng.u8(..10) == 0 {
                return text;
            }
        }
    }

    /// The function, if the last text was a plain call of one.
    pub fn called(&self) -> Option<&'static str> {
        self.called
    }

    /// A plain call of each harmless function in turn, with each of the arguments in turn. Most are refused, because the arguments do not
    /// fit.
    fn call(&mut self) -> String {
        let function = self.functions[self.turn % self.functions.len()];
        let arguments = self.arguments[self.turn / self.functions.len() % self.arguments.len()];
        self.turn += 1;
        self.called = Some(function);
        format!("SELECT {function}{arguments} FROM t")
    }

    fn real(&mut self) -> Vec<String> {
        self.rng.choice(&self.corpus).cloned().unwrap_or_default()
    }

    /// Deep down it takes the first alternative, which must not nest.
    fn expand(&mut self, rule: &str, depth: u32, tokens: &mut Vec<String>) {
        let found = self.rules.iter().find(|(name, _)| *name == rule);
        let (_, alternatives) = found.unwrap_or_else(|| panic!("the grammar has no rule {rule}"));
        let chosen = alternatives[if depth > 8 { 0 } else { self.rng.usize(..alternatives.len()) }];
        for part in chosen.split_whitespace() {
            match part.strip_prefix('@') {
                Some(rule) if !rule.is_empty() && self.is_rule(rule) => self.expand(rule, depth + 1, tokens),
                _ => tokens.push(part.to_owned()),
            }
        }
    }

    fn is_rule(&self, name: &str) -> bool {
        self.rules.iter().any(|(rule, _)| *rule == name)
    }

    fn mutate(&mut self, tokens: &mut Vec<String>) {
        let at = self.rng.usize(..=tokens.len());
        match self.rng.u8(..5) {
            0 if at < tokens.len() => drop(tokens.remove(at)),
            1 if at < tokens.len() => tokens.insert(at, tokens[at].clone()),
            2 if !tokens.is_empty() => {
                let (one, other) = (self.rng.usize(..tokens.len()), self.rng.usize(..tokens.len()));
                tokens.swap(one, other);
            }
            2 => {}
            3 => {
                let (rule, _) = self.rules[self.rng.usize(..self.rules.len())];
                let mut part = Vec::new();
                self.expand(rule, 5, &mut part);
                tokens.splice(at..at, part);
            }
            _ => {
                let mut others = self.real();
                if !others.is_empty() {
                    tokens.insert(at, others.swap_remove(self.rng.usize(..others.len())));
                }
            }
        }
    }

    fn join(&mut self, tokens: &[String]) -> String {
        let mut text = String::new();
        for token in tokens {
            match self.rng.u8(..20) {
                0 => text.extend(token.chars().map(|c| if self.rng.bool() { c.to_ascii_uppercase() } else { c })),
                1 => text.push_str(&token.to_lowercase()),
                _ => text.push_str(token),
            }
            match self.rng.u8(..12) {
                0 => text.push_str(self.grammar.gaps[self.rng.usize(..self.grammar.gaps.len())]),
                1 if !token.ends_with(char::is_alphanumeric) => {}
                _ => text.push(' '),
            }
        }
        text
    }
}

/// Plain SQL. Each dialect has the rules `soils`, `function`, `name`, `setting` and `text`.
const SHARED: &[Rule] = &[
    (
        "statement",
        &[
            "SELECT @expr",
            "SELECT @items FROM @from",
            "INSERT INTO t ( a ) VALUES ( @expr )",
            "DELETE FROM t WHERE @expr",
            "WITH @name AS ( @statement ) @statement",
            "@statement ; @statement",
            "EXPLAIN @statement",
            "SET @setting",
        ],
    ),
    ("items", &["a", "*", "@expr AS @name", "@expr @name", "@items , @items"]),
    ("from", &["t", "t @name", "( @statement ) @name"]),
    (
        "expr",
        &[
            "1",
            "a",
            "'x'",
            "@call",
            "@soils",
            "( @expr )",
            "@expr + @expr",
            "@expr AND @expr",
            "NOT @expr",
            "CASE WHEN @expr THEN @expr ELSE @expr END",
            "( SELECT @expr )",
            "EXISTS ( @statement )",
            "@expr IN ( @expr , @expr )",
            "@expr LIKE @expr",
            "@text",
        ],
    ),
    (
        "call",
        &[
            "@function ( @expr )",
            "@function ( )",
            "@function ( @expr , @expr )",
            "@harmless( @expr )",
            "@harmless( @expr , @expr )",
        ],
    ),
];
