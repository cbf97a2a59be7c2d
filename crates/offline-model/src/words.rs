//! A task's text as words, breaks and backticked pieces.

/// The marks that end a step if another begins behind them.
const BREAKS: [char; 5] = [',', ';', '.', '!', '?'];

/// A piece of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    pub(crate) kind: Kind,
    /// The piece; without its backticks if it had any.
    pub(crate) text: &'a str,
    /// Where it begins in the whole text, backtick included.
    pub(crate) start: usize,
    /// Where it ends in the whole text, backtick included.
    pub(crate) end: usize,
}

/// What a [`Token`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Word,
    /// Stood in backticks, on one line.
    Quoted,
    /// A new line, or punctuation that a space or the end follows.
    Break,
}

impl<'a> Token<'a> {
    /// The piece as a word to compare: not in backticks, no punctuation.
    pub(crate) fn word(self) -> Option<&'a str> {
        (self.kind == Kind::Word).then_some(self.text)
    }

    /// Whether it is one of these words, without regard to case.
    pub(crate) fn is_one_of(self, words: &[&str]) -> bool {
        self.word()
            .is_some_and(|word| words.iter().any(|it| it.eq_ignore_ascii_case(word)))
    }
}

/// Walks over a text, token by token. Copy it to look ahead.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Words<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Words<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// What has not been walked over yet.
    pub(crate) fn rest(self) -> &'a str {
        &self.text[self.at..]
    }

    /// The next token, or `None` at the end.
    pub(crate) fn next_token(&mut self) -> Option<Token<'a>> {
        let spaces = |it: char| it != '\n' && it.is_whitespace();
        self.at = self.text.len() - self.rest().trim_start_matches(spaces).len();
        let rest = self.rest();
        match rest.chars().next()? {
            '\n' | ',' | ';' => return Some(self.take(Kind::Break, 1)),
            '`' => {
                // If there is no second one on the line, this one is a character like any other.
                let inner = &rest[1..];
                let end = inner.find(['`', '\n']);
                if let Some(end) = end.filter(|end| inner[*end..].starts_with('`')) {
                    return Some(self.take(Kind::Quoted, end + 2));
                }
            }
            _ => {}
        }
        let run = &rest[..rest.find(char::is_whitespace).unwrap_or(rest.len())];
        Some(match run.trim_end_matches(BREAKS).len() {
            0 => self.take(Kind::Break, run.len()),
            n_bytes => self.take(Kind::Word, n_bytes),
        })
    }

    /// The next word, or `None` if something else comes.
    pub(crate) fn next_word(&mut self) -> Option<&'a str> {
        self.next_token()?.word()
    }

    /// Takes the next word if it is one of `words`.
    pub(crate) fn take_one_of(&mut self, words: &[&str]) -> bool {
        let mut ahead = *self;
        let found = ahead
            .next_token()
            .is_some_and(|token| token.is_one_of(words));
        if found {
            *self = ahead;
        }
        found
    }

    /// Takes the rest of the line.
    pub(crate) fn take_line(&mut self) -> &'a str {
        let rest = self.rest();
        let line = &rest[..rest.find('\n').unwrap_or(rest.len())];
        self.at += line.len();
        line.trim()
    }

    fn take(&mut self, kind: Kind, n_bytes: usize) -> Token<'a> {
        let start = self.at;
        self.at += n_bytes;
        let text = &self.text[start..self.at];
        let text = match kind {
            Kind::Quoted => &text[1..text.len() - 1],
            Kind::Word | Kind::Break => text,
        };
        Token {
            kind,
            text,
            start,
            end: self.at,
        }
    }
}
