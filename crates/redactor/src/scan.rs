//! One pass over a text: the places worth a look, and what each of them comes to.

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

use crate::{
    base64,
    ends::Ends,
    keys::{self, STEMS},
    redactor::{Own, REDACTED},
    shapes::{self, Body, Shape},
    url, values,
};

/// Names longer than this are looked at as far as this.
const MAX_NAME_BYTES: usize = 80;
/// The longest private key is much shorter.
const MAX_PEM_BYTES: usize = 64 << 10;

/// A secret in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    /// Where what makes it one begins, such as its name.
    pub(crate) from: usize,
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// The quotes that what replaces it needs, as they stand elsewhere in the text.
    pub(crate) quote: Option<(usize, usize)>,
}

impl Span {
    /// Writes what stands in its place.
    pub(crate) fn write(&self, text: &[u8], out: &mut Vec<u8>) {
        let quote = self
            .quote
            .map_or(&b""[..], |(start, end)| &text[start..end]);
        out.extend_from_slice(quote);
        out.extend_from_slice(REDACTED.as_bytes());
        out.extend_from_slice(quote);
    }
}

/// What a place may be.
#[derive(Debug, Clone)]
enum Anchor {
    Name,
    Shape(Shape),
    Middle(usize, usize, Body),
    Parts(&'static [(usize, usize)]),
    Jwt,
    Pem,
    Url,
    Bearer,
    Basic,
    CommandUser,
    Value,
}

/// All places worth a look, found in one pass.
pub(crate) struct Anchors {
    automaton: Option<AhoCorasick>,
    patterns: Vec<(String, Anchor)>,
}

impl Anchors {
    pub(crate) fn new(own: &Own) -> Self {
        let mut patterns: Vec<(String, Anchor)> = Vec::new();
        let names = STEMS.iter().map(|it| (*it).to_owned());
        patterns.extend(names.map(|it| (it, Anchor::Name)));
        // A name of one's own is known by its end, however its words are joined.
        for key in &own.keys {
            let end: String = key.chars().rev().take(3).collect();
            patterns.push((end.chars().rev().collect(), Anchor::Name));
        }
        let known = shapes::known()
            .into_iter()
            .chain(own.shapes.iter().cloned());
        patterns.extend(known.map(|it| (it.prefix.clone(), Anchor::Shape(it))));
        for (middle, before, after, body) in shapes::MIDDLES {
            patterns.push(((*middle).to_owned(), Anchor::Middle(*before, *after, *body)));
        }
        patterns.extend(
            shapes::in_parts()
                .into_iter()
                .map(|(it, parts)| (it, Anchor::Parts(parts))),
        );
        patterns.extend(own.values.iter().map(|it| (it.clone(), Anchor::Value)));
        for (text, anchor) in [
            ("eyJ", Anchor::Jwt),
            ("PRIVATE KEY", Anchor::Pem),
            ("://", Anchor::Url),
            ("bearer", Anchor::Bearer),
            ("basic", Anchor::Basic),
            ("-u ", Anchor::CommandUser),
            ("--user ", Anchor::CommandUser),
            ("--user=", Anchor::CommandUser),
        ] {
            patterns.push((text.to_owned(), anchor));
        }
        let automaton = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::Standard)
            .kind(Some(AhoCorasickKind::DFA))
            .build(patterns.iter().map(|(text, _)| text));
        Self {
            // It fails only for more patterns than fit into memory's addresses.
            automaton: automaton.ok(),
            patterns,
        }
    }
}

/// A text being looked at.
pub(crate) struct Scan<'a> {
    text: &'a [u8],
    anchors: &'a Anchors,
    own: &'a Own,
    spans: Vec<Span>,
    ends: Ends,
    /// Names before this were looked at.
    names_done: usize,
    /// Where the run of characters ends that was too plain for a secret; so that no run is read again and again.
    plain_until: usize,
}

impl<'a> Scan<'a> {
    pub(crate) fn new(text: &'a [u8], anchors: &'a Anchors, own: &'a Own) -> Self {
        Self {
            text,
            anchors,
            own,
            spans: Vec::new(),
            ends: Ends::default(),
            names_done: 0,
            plain_until: 0,
        }
    }

    pub(crate) fn run(mut self) -> Vec<Span> {
        let anchors = self.anchors;
        let Some(automaton) = &anchors.automaton else {
            return Vec::new();
        };
        for found in automaton.find_overlapping_iter(self.text) {
            let (start, end) = (found.start(), found.end());
            // What begins within a secret belongs to it.
            let last = self.spans.last();
            if last.is_some_and(|it| (it.start..it.end).contains(&start)) {
                continue;
            }
            let (pattern, anchor) = &anchors.patterns[found.pattern().as_usize()];
            match anchor {
                Anchor::Name => self.name(start, end),
                Anchor::Bearer => self.bearer(start, end),
                Anchor::Basic => self.basic(start, end),
                Anchor::Url => self.url(start, end),
                // All else is written in one way only.
                _ if &self.text[start..end] != pattern.as_bytes() => {}
                Anchor::Shape(shape) => self.shape(start, end, shape),
                Anchor::Middle(before, after, body) => {
                    self.middle((start, end), *before, *after, *body);
                }
                Anchor::Parts(parts) => self.parts(start, parts),
                Anchor::Jwt => self.jwt(start),
                Anchor::Pem => self.pem(start, end),
                Anchor::CommandUser => self.command_user(start, end),
                Anchor::Value => self.push(Span::at(start, start, end)),
            }
        }
        in_order(self.spans)
    }

    /// Behind another secret everything is the beginning of a word.
    fn begins_word(&self, at: usize) -> bool {
        begins_word(self.text, at) || (at > 0 && at == self.covered())
    }

    fn covered(&self) -> usize {
        self.spans.last().map_or(0, |it| it.end)
    }

    /// What begins at `from` and goes on at `at`, without a secret before it. One that was found behind it takes nothing away.
    fn uncovered(&self, from: usize, at: usize) -> usize {
        let covered = self.covered();
        if covered <= at {
            from.max(covered)
        } else {
            from
        }
    }

    fn push(&mut self, span: Span) {
        if span.start < span.end {
            self.spans.push(span);
        }
    }

    fn name(&mut self, start: usize, end: usize) {
        if end <= self.names_done {
            return;
        }
        let is_name = |it: &u8| it.is_ascii_alphanumeric() || matches!(it, b'_' | b'-' | b'.');
        let before = self.text[..start].iter().rev().take(MAX_NAME_BYTES);
        let mut from = start - before.take_while(|it| is_name(it)).count();
        from = self.uncovered(from + escape_length(self.text, from), start);
        // The stem itself may end behind the name, as `sig=` does.
        let text = &self.text[start..];
        let to = start
            + text
                .iter()
                .take(MAX_NAME_BYTES)
                .take_while(|it| is_name(it))
                .count();
        if to <= from {
            return;
        }
        self.names_done = to;
        let name = &self.text[from..to];
        let Some(kind) = keys::kind(name, &self.own.keys) else {
            return;
        };
        for span in values::under(self.text, &self.ends, (from, to), kind) {
            self.push(span);
        }
    }

    fn shape(&mut self, start: usize, end: usize, shape: &Shape) {
        let is_plain =
            shape.prefix.len() < 4 && shape.prefix.bytes().all(|it| it.is_ascii_alphanumeric());
        if (is_plain && is_within_base64(self.text, start))
            || (!shape.keeps_prefix && !self.begins_word(start))
            || start < self.plain_until
        {
            return;
        }
        let to = run(self.text, start, end, shape.body);
        let body = &self.text[end..to];
        if shape.is_exact {
            let is_word = !self
                .text
                .get(to)
                .is_some_and(|it| it.is_ascii_alphanumeric() || *it == b'_');
            if body.len() == shape.min && has_digit(body) && is_word {
                self.push(Span::at(start, start, to));
            }
            return;
        }
        if body.len() < shape.min {
            return;
        }
        let digits = body.iter().filter(|it| it.is_ascii_digit()).take(3).count();
        let is_random = digits > 0
            && (shape.prefix.len() > 3
                || digits == 3
                || body.iter().any(u8::is_ascii_uppercase)
                || shape.body == Body::Hex);
        if is_random {
            let kept = if shape.keeps_prefix { end } else { start };
            self.push(Span::at(start, kept, to));
        } else {
            self.plain_until = to;
        }
    }

    fn middle(&mut self, (start, end): (usize, usize), before: usize, after: usize, body: Body) {
        const LONGEST: usize = 100;
        let text = self.text;
        let head = text[..start].iter().rev().take(LONGEST);
        let from = start - head.take_while(|it| body.has(**it)).count();
        // What looks like an escape may reach into what was found.
        let from = (from + escape_length(text, from)).min(start);
        let tail = text[end..]
            .iter()
            .take(LONGEST)
            .take_while(|it| body.has(**it))
            .count();
        if start - from < before || tail < after || !has_digit(&text[from..end + tail]) {
            return;
        }
        let from = self.uncovered(from, start);
        self.push(Span::at(from, from, end + tail));
    }

    fn parts(&mut self, start: usize, parts: &[(usize, usize)]) {
        if !self.begins_word(start) || (start > 0 && self.text[start - 1] == b'.') {
            return;
        }
        let mut at = start;
        for (n, (min, max)) in parts.iter().enumerate() {
            if n > 0 {
                if self.text.get(at) != Some(&b'.') {
                    return;
                }
                at += 1;
            }
            let part = self.text[at..]
                .iter()
                .take(max + 1)
                .take_while(|it| Body::Dashed.has(**it))
                .count();
            if !(*min..=*max).contains(&part) {
                return;
            }
            at += part;
        }
        self.push(Span::at(start, start, at));
    }

    fn jwt(&mut self, start: usize) {
        const LEAST: usize = 10;
        if !self.begins_word(start) || start < self.plain_until {
            return;
        }
        let first = run(self.text, start, start, Body::Dashed);
        self.plain_until = first;
        let mut at = first;
        let mut parts = 1;
        while parts < 5 && self.text.get(at) == Some(&b'.') {
            let end = run(self.text, start, at + 1, Body::Dashed);
            // An encrypted one may have no second part.
            let is_part = end - at > LEAST || parts > 1 || self.text.get(end) == Some(&b'.');
            if !is_part {
                break;
            }
            at = end;
            parts += 1;
        }
        if at > first + LEAST && first > start + LEAST {
            self.push(Span::at(start, start, at));
        }
    }

    /// The body between a private key's first and last line; both lines stay.
    fn pem(&mut self, start: usize, end: usize) {
        const BEGIN: &[u8] = b"-----BEGIN ";
        const END: &[u8] = b"-----END";
        const DASHES: &[u8] = b"-----";
        let line = &self.text[start.saturating_sub(40)..start];
        let Some(begin) = find_last(line, BEGIN) else {
            return;
        };
        let from = start - line.len() + begin;
        let rest = &self.text[end..];
        let rest = rest.strip_prefix(b" BLOCK").unwrap_or(rest);
        let Some(rest) = rest.strip_prefix(DASHES) else {
            return;
        };
        let body = self.text.len() - rest.len();
        let window = &rest[..rest.len().min(MAX_PEM_BYTES)];
        let body_end = find(window, DASHES)
            .filter(|it| window[*it..].starts_with(END))
            .filter(|it| !window[..*it].contains(&b'"'));
        // Without its last line it is cut off; then it ends where it looks like a key no more.
        let is_key = |it: &u8| {
            it.is_ascii_alphanumeric() || it.is_ascii_whitespace() || b"+/=\\:,->|".contains(it)
        };
        let length = body_end.unwrap_or_else(|| window.iter().take_while(|it| is_key(it)).count());
        let mut inner = &window[..length];
        if body_end.is_none() {
            // The backslash of an escaped quote is the quote's.
            while let Some(rest) = inner.strip_suffix(b"\\") {
                inner = rest;
            }
            inner = inner.trim_ascii_end();
        }
        let is_done =
            find(inner, REDACTED.as_bytes()).is_some() || inner.iter().all(u8::is_ascii_whitespace);
        if !is_done && inner.len() >= 16 {
            self.push(Span::at(from, body, body + inner.len()));
        }
    }

    fn url(&mut self, start: usize, end: usize) {
        if let Some((from, to)) = url::password(self.text, end) {
            self.push(Span::at(start, from, to));
        }
    }

    fn bearer(&mut self, start: usize, end: usize) {
        const LEAST: usize = 8;
        const LOOKED_AT: usize = 1024;
        let Some(at) = after_space(self.text, end).filter(|_| self.begins_word(start)) else {
            return;
        };
        let token = &self.text[at..self.ends.token(self.text, at)];
        let token = token.strip_suffix(b".").unwrap_or(token);
        if token.len() >= LEAST && has_digit(&token[..token.len().min(LOOKED_AT)]) {
            self.push(Span::at(start, at, at + token.len()));
        }
    }

    fn basic(&mut self, start: usize, end: usize) {
        let Some(at) = after_space(self.text, end).filter(|_| self.begins_word(start)) else {
            return;
        };
        // Longer ones are none.
        let text = &self.text[..self.text.len().min(at + base64::LONGEST + 1)];
        let to = run(text, at, at, Body::Base64);
        if base64::is_user_and_password(&self.text[at..to]) {
            self.push(Span::at(start, at, to));
        }
    }

    /// `curl -u name:password`.
    fn command_user(&mut self, start: usize, end: usize) {
        const FAR: usize = 400;
        let line = &self.text[start.saturating_sub(FAR)..start];
        let line = line.rsplit(|it| *it == b'\n').next().unwrap_or_default();
        if ["curl", "wget", "http "]
            .iter()
            .all(|it| find(line, it.as_bytes()).is_none())
        {
            return;
        }
        let (from, to) = values::word(self.text, &self.ends, end);
        let name = self.text[from..to].iter().take(FAR);
        let Some(colon) = name.copied().position(|it| it == b':') else {
            return;
        };
        let password = &self.text[from + colon + 1..to];
        if !password.is_empty() && !values::is_placeholder(password) {
            self.push(Span::at(start, from + colon + 1, to));
        }
    }
}

impl Span {
    pub(crate) fn at(from: usize, start: usize, end: usize) -> Self {
        Self {
            from,
            start,
            end,
            quote: None,
        }
    }
}

/// Sorted, and those that overlap or touch made one.
fn in_order(mut spans: Vec<Span>) -> Vec<Span> {
    spans.sort_by_key(|it| it.start);
    spans.dedup_by(|next, last| {
        let is_one = next.start <= last.end;
        if is_one {
            last.end = last.end.max(next.end);
            last.from = last.from.min(next.from);
        }
        is_one
    });
    spans
}

/// Where the run of such characters ends, of the word that begins at `word`. A long one may go on in the next lines, as a
/// terminal, a mail or `base64` wraps it.
fn run(text: &[u8], word: usize, start: usize, body: Body) -> usize {
    const WRAPPED_AT: usize = 60;
    const SHORTEST_REST: usize = 8;
    const BEGINNING: usize = 4;
    let length_at = |at: usize| text[at..].iter().take_while(|it| body.has(**it)).count();
    let mut end = start + length_at(start);
    let mut line = word;
    loop {
        if end - line < WRAPPED_AT {
            return end;
        }
        let rest = &text[end..];
        let breaks: [&[u8]; 4] = [b"\r\n", b"\n", b"\\r\\n", b"\\n"];
        let Some(line_break) = breaks.into_iter().find(|it| rest.starts_with(it)) else {
            return end;
        };
        let rest = &rest[line_break.len()..];
        let indent = rest.iter().take(16).take_while(|it| **it == b' ').count();
        let next = end + line_break.len() + indent;
        let next_end = next + length_at(next);
        let is_alone = match text.get(next_end) {
            None => true,
            Some(it) => it.is_ascii_whitespace() || matches!(it, b'"' | b'\'' | b'\\' | b'.'),
        };
        let more = &text[next..next_end];
        let is_mixed = has_digit(more) || more.iter().skip(1).any(u8::is_ascii_uppercase);
        // Another one of its kind is one of its own.
        let is_another = text[word..].get(..BEGINNING) == more.get(..BEGINNING);
        if more.len() < SHORTEST_REST || !is_alone || !is_mixed || is_another {
            return end;
        }
        (line, end) = (next, next_end);
    }
}

/// Whether a word begins here: after no letter or digit, unless that ends an escape.
pub(crate) fn begins_word(text: &[u8], at: usize) -> bool {
    let Some(before) = at.checked_sub(1).map(|it| text[it]) else {
        return true;
    };
    if !(before.is_ascii_alphanumeric() || before == b'_') {
        return true;
    }
    let back = |n: usize| at.checked_sub(n).map(|it| text[it]);
    let is_hex = |n: usize| (1..=n).all(|it| back(it).is_some_and(|it| it.is_ascii_hexdigit()));
    let is_escape = back(2) == Some(b'\\') && matches!(before, b'n' | b'r' | b't' | b'b' | b'f');
    let is_percent = back(3) == Some(b'%') && is_hex(2);
    let is_unicode = back(6) == Some(b'\\') && back(5) == Some(b'u') && is_hex(4);
    let is_byte = back(4) == Some(b'\\') && back(3) == Some(b'x') && is_hex(2);
    is_escape
        || is_percent
        || is_unicode
        || is_byte
        || (before == b'm' && ends_colour(text, at - 1))
}

/// Whether a short word begins here only because `/` and `+` stand between letters in base64.
fn is_within_base64(text: &[u8], at: usize) -> bool {
    const LEAST: usize = 60;
    let before = text[..at].iter().rev();
    let is_base64 =
        |it: &&u8| it.is_ascii_alphanumeric() || matches!(it, b'/' | b'+' | b'\r' | b'\n');
    before.take(LEAST).take_while(is_base64).count() == LEAST
}

/// Whether the `m` here ends a terminal's colour: `ESC [ 3 1 m`.
fn ends_colour(text: &[u8], m: usize) -> bool {
    const LONGEST: usize = 20;
    let before = text[..m].iter().rev().take(LONGEST);
    let n = before
        .take_while(|it| it.is_ascii_digit() || **it == b';')
        .count();
    m.checked_sub(n + 1).is_some_and(|it| text[it] == b'[')
}

/// How much of what stands here is the end of an escape: the `n` of `\npassword`, the `3D` of `%3Dtoken`.
fn escape_length(text: &[u8], at: usize) -> usize {
    match at.checked_sub(1).map(|it| text[it]) {
        Some(b'\\') => match text.get(at) {
            Some(b'n' | b'r' | b't') => 1,
            Some(b'u') if text.len() > at + 5 => 5,
            Some(b'x') if text.len() > at + 3 => 3,
            _ => 0,
        },
        Some(b'%') => text[at..]
            .iter()
            .take(2)
            .take_while(|it| it.is_ascii_hexdigit())
            .count(),
        // `ESC [ 3 1 m`.
        Some(b'[' | b';') => {
            let n = text[at..]
                .iter()
                .take(8)
                .take_while(|it| it.is_ascii_digit())
                .count();
            if n > 0 && text.get(at + n) == Some(&b'm') {
                n + 1
            } else {
                0
            }
        }
        _ => 0,
    }
}

/// The place behind a space, also behind one of a URL's.
fn after_space(text: &[u8], at: usize) -> Option<usize> {
    let rest = &text[at..];
    for space in [&b"%20"[..], b"+"] {
        if rest.starts_with(space) {
            return Some(at + space.len());
        }
    }
    let n = rest
        .iter()
        .take(8)
        .take_while(|it| matches!(it, b' ' | b'\t'))
        .count();
    (n > 0).then_some(at + n)
}

pub(crate) fn has_digit(text: &[u8]) -> bool {
    text.iter().any(u8::is_ascii_digit)
}

pub(crate) fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    memchr::memmem::find(text, what)
}

fn find_last(text: &[u8], what: &[u8]) -> Option<usize> {
    memchr::memmem::rfind(text, what)
}
