//! What stands under a name: where it lies, and whether it is a secret.

use crate::{
    base64,
    ends::Ends,
    keys::{Kind, squashed},
    redactor::REDACTED,
    scan::{Span, find, has_digit},
};

/// Texts in a list that are looked at.
const MAX_ITEMS: usize = 64;
/// How much of a value is looked at to tell a secret from a word.
const LOOKED_AT: usize = 128;
/// The same for a header, which has words before its secret.
const LOOKED_AT_IN_HEADER: usize = 1024;

/// A quote, as deep in escapes as it stands: `"`, `\"`, `\\\"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Quote {
    pub(crate) backslashes: usize,
    pub(crate) mark: u8,
}

/// How a name and its value are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Joint {
    /// `name=value`.
    Tight,
    /// `name: value`, `name = value`.
    Loose,
    /// `--name value`.
    Option,
}

/// A name in a text and how it stands there.
struct Name<'a> {
    text: &'a [u8],
    ends: &'a Ends,
    from: usize,
    word: &'a [u8],
    kind: Kind,
    /// The quotes around it.
    quote: Option<(Quote, (usize, usize))>,
}

/// The secrets that stand under the name at `from..to`.
pub(crate) fn under(
    text: &[u8],
    ends: &Ends,
    (mut from, mut to): (usize, usize),
    kind: Kind,
) -> Vec<Span> {
    let mut dashes = 0;
    while from < to && matches!(text[from], b'-' | b'.') {
        dashes += usize::from(text[from] == b'-');
        from += 1;
    }
    while from < to && matches!(text[to - 1], b'-' | b'.') {
        to -= 1;
    }
    let quote =
        quote_at(text, to).filter(|_| from > 0 && is_mark(text[from - 1 - dashes.min(from - 1)]));
    let name = Name {
        text,
        ends,
        from,
        word: &text[from..to],
        kind,
        quote,
    };
    let mut at = quote.map_or(to, |(_, (_, end))| end);
    if text.get(at) == Some(&b']') && quote.is_some() {
        at += 1; // `environ["PASSWORD"] = …`.
    }
    let is_option = dashes > 0 && dashes <= 2;
    if from > 0 && text[from - 1] == b'<' && text.get(at) == Some(&b'>') {
        return name.element(at + 1);
    }
    let before = at;
    at = skip_blanks(text, at);
    match separator(text, at) {
        Some((after, is_colon)) => {
            let value = skip_blanks(text, after);
            let is_loose = is_colon || value > after || at > before;
            name.values(value, if is_loose { Joint::Loose } else { Joint::Tight })
        }
        // In a list of arguments the next one is the value.
        None if is_option && quote.is_some() && text.get(at) == Some(&b',') => {
            let value = skip_whitespace(text, at + 1);
            match quote_at(text, value) {
                Some(_) => name.values(value, Joint::Option),
                None => Vec::new(),
            }
        }
        None if is_option && quote.is_none() && at > to => name.values(at, Joint::Option),
        None => Vec::new(),
    }
}

impl Name<'_> {
    fn values(&self, at: usize, joint: Joint) -> Vec<Span> {
        let text = self.text;
        let mut at = at;
        for wrapper in [&b"Some("[..], b"Ok("] {
            if text[at..].starts_with(wrapper) {
                at += wrapper.len();
            }
        }
        if let Some((quote, (_, start))) = quote_at(text, at) {
            if self.ends_at(start) {
                return Vec::new();
            }
            let end = self.ends.quoted(text, start, quote);
            return self.quoted(start, end, joint).into_iter().collect();
        }
        if text.get(at) == Some(&b'[') && !text[at..].starts_with(REDACTED.as_bytes()) {
            return self.list(at + 1);
        }
        self.bare(at, joint).into_iter().collect()
    }

    /// Whether the quote before `start` ends the text that the name stands in, as in `"a":"password="`.
    fn ends_at(&self, start: usize) -> bool {
        let ends = |it: &u8| matches!(it, b',' | b'}' | b']' | b':' | b'\n' | b'\r');
        self.quote.is_none() && self.text.get(start).is_none_or(ends)
    }

    /// `["a", "b"]`, of texts alone.
    fn list(&self, mut at: usize) -> Vec<Span> {
        let mut res = Vec::new();
        for _ in 0..MAX_ITEMS {
            at = skip_whitespace(self.text, at);
            let Some((quote, (_, start))) = quote_at(self.text, at) else {
                break;
            };
            if self.ends_at(start) {
                break;
            }
            let end = self.ends.quoted(self.text, start, quote);
            res.extend(self.quoted(start, end, Joint::Loose));
            at = skip_whitespace(
                self.text,
                (end + quote.backslashes + 1).min(self.text.len()),
            );
            if self.text.get(at) != Some(&b',') {
                break;
            }
            at += 1;
        }
        res
    }

    /// `<name>value</name>`.
    fn element(&self, start: usize) -> Vec<Span> {
        const LONGEST: usize = 64 << 10;
        let rest = &self.text[start..self.text.len().min(start + LONGEST)];
        let Some(length) = rest.iter().position(|it| *it == b'<') else {
            return Vec::new();
        };
        let is_closed = rest[length..].starts_with(b"</");
        let found = self.quoted(start, start + length, Joint::Loose);
        found.filter(|_| is_closed).into_iter().collect()
    }

    fn quoted(&self, start: usize, end: usize, joint: Joint) -> Option<Span> {
        let value = &self.text[start..end];
        if is_placeholder(value) || self.is_id(value) {
            return None;
        }
        let is_secret = match self.kind {
            Kind::Secret => !is_literal(value),
            Kind::Authorization => return self.authorization(start, end, true),
            Kind::Cookie => value.len() >= 16 || value.contains(&b'='),
            Kind::Base64 => base64::is_user_and_password(value),
            Kind::Signature => false,
            Kind::Token if joint == Joint::Option => true,
            Kind::Token => {
                let has_blank = value.iter().take(LOOKED_AT).any(u8::is_ascii_whitespace);
                let is_random = value.len() >= 20 || has_digit(value);
                if self.quote.is_some() || joint != Joint::Loose || self.is_variable() {
                    value.len() > 3 && (!has_blank || is_random) && !is_literal(value)
                } else {
                    value.len() >= 6 && !has_blank && is_random && !is_number(value)
                }
            }
        };
        is_secret.then(|| Span::at(self.from, start, end))
    }

    /// Without quotes around it.
    fn bare(&self, start: usize, joint: Joint) -> Option<Span> {
        let text = self.text;
        match self.kind {
            _ if self.quote.is_some() => {} // No header: those have quotes around their values too.
            Kind::Authorization => {
                return self.authorization(start, self.ends.line(text, start), false);
            }
            Kind::Cookie => {
                let end = self.ends.line(text, start);
                let value = &text[start..end];
                let is_cookie = value
                    .iter()
                    .take(LOOKED_AT)
                    .position(|it| *it == b'=')
                    .is_some_and(|equals| {
                        value[..equals].iter().all(u8::is_ascii_graphic) && equals + 1 < value.len()
                    });
                let is_redacted = is_placeholder(value);
                return (is_cookie && !is_redacted).then(|| Span::at(self.from, start, end));
            }
            _ => {}
        }
        let in_query = self.from > 0 && matches!(text[self.from - 1], b'?' | b'&') || {
            let before = &text[self.from.saturating_sub(6)..self.from];
            before.ends_with(b"\\u0026") || before.ends_with(b"&amp;")
        };
        let mut end = self
            .ends
            .bare(text, start, in_query && joint == Joint::Tight);
        if self.quote.is_some() {
            // JSON, or code.
            let ends = |it: &u8| matches!(it, b',' | b'}' | b']' | b')');
            end = text[start..end]
                .iter()
                .position(ends)
                .map_or(end, |it| start + it);
        }
        let value = &text[start..end];
        if value.is_empty() || is_placeholder(value) || self.is_id(value) {
            return None;
        }
        if let (Some((_, quote)), true) = (self.quote, is_number(value)) {
            // JSON: a number becomes a text.
            let span = Span {
                quote: Some(quote),
                ..Span::at(self.from, start, end)
            };
            return (self.kind == Kind::Secret).then_some(span);
        }
        if is_literal(value) {
            return None;
        }
        let is_secret = match (self.kind, joint) {
            (Kind::Signature, Joint::Tight) => in_query && value.len() >= 16,
            (Kind::Base64, _) => base64::is_user_and_password(value),
            (Kind::Secret | Kind::Token, Joint::Tight) if in_query => {
                value.len() > 1 && !is_number(value) || self.kind == Kind::Secret
            }
            (_, Joint::Option) => !is_word_of_prose(value) && !value.starts_with(b"-"),
            (Kind::Secret, Joint::Tight) => !self.is_code(value),
            (Kind::Token, Joint::Tight) if self.is_variable() => {
                value.len() > 3 && !self.is_code(value)
            }
            (Kind::Token, Joint::Tight) => self.is_random(value, 6),
            (Kind::Secret, Joint::Loose) => {
                self.is_random(value, 3) || (self.quote.is_none() && self.is_lone_word(start, end))
            }
            (Kind::Token, Joint::Loose) => self.is_random(value, 8),
            _ => false,
        };
        is_secret.then(|| Span::at(self.from, start, end))
    }

    /// A scheme stays, as it is no secret and says much.
    fn authorization(&self, start: usize, end: usize, is_quoted: bool) -> Option<Span> {
        const SCHEMES: &[&str] = &[
            "bearer",
            "basic",
            "digest",
            "token",
            "apikey",
            "api-key",
            "key",
            "negotiate",
            "ntlm",
            "hawk",
            "oauth",
            "aws4-hmac-sha256",
            "sharedkey",
            "sharedaccesssignature",
            "goog4-rsa-sha256",
            "splunk",
            "bot",
            "jwt",
            "sso-key",
            "genie-key",
            "dpop",
            "ghost",
        ];
        let value = &self.text[start..end];
        let word = value.iter().take(LOOKED_AT);
        let scheme = word
            .copied()
            .position(|it| matches!(it, b' ' | b'+' | b'%'));
        let known = scheme.filter(|it| {
            let word = value[..*it].to_ascii_lowercase();
            SCHEMES.iter().any(|it| it.as_bytes() == word)
        });
        if let Some(scheme) = known {
            let blank = if value[scheme..].starts_with(b"%20") {
                3
            } else {
                1
            };
            let from = skip_blanks(self.text, start + scheme + blank).min(end);
            let proof = &self.text[from..end];
            let is_prose = !is_quoted && is_sentence(proof);
            return (!is_placeholder(proof) && !is_prose).then(|| Span::at(self.from, from, end));
        }
        if is_placeholder(value) || is_literal(value) {
            return None;
        }
        let looked_at = &value[..value.len().min(LOOKED_AT_IN_HEADER)];
        let has_blank = looked_at.iter().any(u8::is_ascii_whitespace);
        let is_secret = if is_quoted {
            !has_blank || has_digit(looked_at)
        } else {
            !has_blank && has_digit(looked_at) && !self.is_code(value)
        };
        is_secret.then(|| Span::at(self.from, start, end))
    }

    /// Whether it only says which session: coding agents number theirs with UUIDs, by which they are gone on with.
    fn is_id(&self, value: &[u8]) -> bool {
        let is_at_place = |(n, it): (usize, &u8)| match n {
            8 | 13 | 18 | 23 => *it == b'-',
            _ => it.is_ascii_hexdigit(),
        };
        value.len() == 36
            && value.iter().enumerate().all(is_at_place)
            && squashed(self.word).ends_with("sessionid")
    }

    /// Whether the name is one of a shell's variables.
    fn is_variable(&self) -> bool {
        !self.word.iter().any(u8::is_ascii_lowercase)
    }

    /// Whether it is as no word and no piece of code is.
    fn is_random(&self, value: &[u8], min: usize) -> bool {
        let looked_at = &value[..value.len().min(LOOKED_AT)];
        let is_odd = looked_at.iter().any(|it| b"!@#$%^&*+=~?".contains(it));
        value.len() >= min
            && (has_digit(looked_at) || (is_odd && self.kind == Kind::Secret) || value.len() >= 40)
            && !is_number(value)
            && !self.is_code(value)
    }

    /// Whether it is rather a variable, a call or a type.
    fn is_code(&self, value: &[u8]) -> bool {
        let looked_at = &value[..value.len().min(LOOKED_AT)];
        let is_call = looked_at.iter().any(|it| b"([{".contains(it));
        let is_path = find(looked_at, b"::").is_some() || find(looked_at, b"->").is_some();
        let starts = [
            &b"&"[..],
            b"self.",
            b"this.",
            b"process.",
            b"os.",
            b"env.",
            b"config.",
            b"std.",
            b"!",
            b"=",
            b">",
        ];
        // `password=password`, `token = self.token`.
        let repeats = squashed(looked_at).ends_with(&squashed(self.word)) && !has_digit(looked_at);
        let ends_statement = self.text.get(self.end_of(value)) == Some(&b';')
            && looked_at
                .iter()
                .all(|it| it.is_ascii_alphanumeric() || matches!(it, b'_' | b'.'))
            && !has_digit(looked_at);
        is_call
            || is_path
            || repeats
            || ends_statement
            || starts.iter().any(|it| value.starts_with(it))
    }

    fn end_of(&self, value: &[u8]) -> usize {
        // `value` lies in `text`.
        value.as_ptr() as usize - self.text.as_ptr() as usize + value.len()
    }

    /// Whether a word in small letters is all that the line still holds, as `password: swordfish` has it.
    fn is_lone_word(&self, start: usize, end: usize) -> bool {
        const WORDS: &[&str] = &[
            "required",
            "optional",
            "missing",
            "invalid",
            "expired",
            "incorrect",
            "wrong",
            "inherit",
            "unset",
            "set",
            "empty",
            "hidden",
            "string",
            "str",
            "bool",
            "int",
            "number",
            "bytes",
            "any",
            "object",
            "changed",
            "reset",
            "text",
            "file",
            "env",
            "secret",
            "password",
            "unknown",
            "default",
            "never",
            "yes",
            "no",
            "on",
            "off",
            "ok",
        ];
        let value = &self.text[start..end];
        let is_word = value.len() >= 4 && value.iter().all(u8::is_ascii_lowercase);
        let ends_line = matches!(
            &self.text[end..],
            [] | [b'\n' | b'\r', ..] | [b'\\', b'n' | b'r', ..]
        );
        is_word
            && ends_line
            && !WORDS.iter().any(|it| it.as_bytes() == value)
            && !self.is_code(value)
    }
}

/// Whether nobody would take it for a secret: a gap to be filled, a variable, or what this crate writes.
pub(crate) fn is_placeholder(value: &[u8]) -> bool {
    let upper = |it: &u8| it.is_ascii_uppercase() || it.is_ascii_digit() || *it == b'_';
    match value {
        []
        | [b'<' | b'{', ..]
        | [b'$', b'{' | b'(', ..]
        | [b'%', b'(' | b's', ..]
        | [b'*', b'*', ..]
        | [b'.', b'.', b'.', ..]
        | [b'x', b'x', b'x', ..]
        | [b'X', b'X', b'X', ..] => true,
        [b'$', name @ ..] => name.iter().all(upper),
        [b'[', ..] => {
            value.starts_with(b"[redacted") || value.starts_with(b"[REDACTED") || value == b"[key]"
        }
        _ => {
            let text = value[..value.len().min(8)].to_ascii_lowercase();
            text.starts_with(b"your-")
                || text.starts_with(b"your_")
                || text == b"redacted"
                || value.starts_with("…".as_bytes())
        }
    }
}

fn is_literal(value: &[u8]) -> bool {
    let words: [&[u8]; 8] = [
        b"null",
        b"none",
        b"nil",
        b"true",
        b"false",
        b"undefined",
        b"nan",
        b"n/a",
    ];
    value.len() <= 9 && words.contains(&&*value.to_ascii_lowercase())
}

fn is_number(value: &[u8]) -> bool {
    value.len() <= 20
        && has_digit(value)
        && value
            .iter()
            .all(|it| it.is_ascii_digit() || b"+-.eE_,".contains(it))
}

/// Whether a word after an option goes on with a sentence about it, or stands for a value.
fn is_word_of_prose(value: &[u8]) -> bool {
    const WORDS: &[&str] = &[
        "to", "or", "and", "is", "for", "in", "with", "from", "if", "on", "as", "option",
        "options", "flag", "argument", "that", "which", "when", "the", "a", "an", "must", "can",
        "will", "may", "at", "of", "by", "value", "are", "was", "not", "instead", "here", "does",
        "has", "takes", "needs", "so", "but", "it", "nor", "without", "then",
    ];
    let stands_for_one = value
        .iter()
        .all(|it| it.is_ascii_uppercase() || *it == b'_');
    stands_for_one || WORDS.iter().any(|it| it.as_bytes() == value)
}

/// Words, as after `Authorization: Basic access is …`.
fn is_sentence(text: &[u8]) -> bool {
    let mut words = text.split(|it| *it == b' ').filter(|it| !it.is_empty());
    let first = text.split(|it| *it == b' ').next().unwrap_or_default();
    words.nth(1).is_some()
        && !has_digit(first)
        && !first.contains(&b'=')
        && first
            .iter()
            .all(|it| it.is_ascii_alphabetic() || b",.'".contains(it))
}

/// The argument of a command that begins at or behind `at`, without its quotes.
pub(crate) fn word(text: &[u8], ends: &Ends, at: usize) -> (usize, usize) {
    let at = skip_blanks(text, at);
    match quote_at(text, at) {
        Some((quote, (_, start))) => (start, ends.quoted(text, start, quote)),
        None => (at, ends.bare(text, at, false)),
    }
}

fn is_mark(byte: u8) -> bool {
    matches!(byte, b'"' | b'\'' | b'`')
}

/// A quote at this place and where it lies.
fn quote_at(text: &[u8], at: usize) -> Option<(Quote, (usize, usize))> {
    const DEEPEST: usize = 64;
    let rest = text.get(at..)?;
    let backslashes = rest
        .iter()
        .take(DEEPEST)
        .take_while(|it| **it == b'\\')
        .count();
    let mark = *rest.get(backslashes)?;
    // `\\"` is an escaped backslash and then a quote.
    let is_whole = (backslashes + 1).is_power_of_two();
    (matches!(mark, b'"' | b'\'') && is_whole)
        .then_some((Quote { backslashes, mark }, (at, at + backslashes + 1)))
}

/// What joins a name and its value: where that ends, and whether it is a colon.
fn separator(text: &[u8], at: usize) -> Option<(usize, bool)> {
    let rest = &text[at..];
    match rest {
        [b'?', b':', ..] | [b'=', b'>', ..] | [b':', b'=', ..] => Some((at + 2, true)),
        [b'=', b'=' | b'~', ..] | [b':', b':', ..] | [b':', b'/', b'/', ..] => None,
        [b'=', ..] => Some((at + 1, false)),
        [b':', ..] => Some((at + 1, true)),
        _ => {
            let forms: [(&[u8], bool); 6] = [
                (b"%3D", false),
                (b"%3d", false),
                (b"%3A", true),
                (b"%3a", true),
                (b"\\u003d", false),
                (b"\\x3d", false),
            ];
            let found = forms.iter().find(|(form, _)| rest.starts_with(form));
            found.map(|(form, is_colon)| (at + form.len(), *is_colon))
        }
    }
}

fn skip_blanks(text: &[u8], at: usize) -> usize {
    const MOST: usize = 64;
    at + text[at..]
        .iter()
        .take(MOST)
        .take_while(|it| matches!(it, b' ' | b'\t'))
        .count()
}

fn skip_whitespace(text: &[u8], at: usize) -> usize {
    const MOST: usize = 256;
    at + text[at..]
        .iter()
        .take(MOST)
        .take_while(|it| it.is_ascii_whitespace())
        .count()
}
