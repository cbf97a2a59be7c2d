//! Takes the escapes out of a message or a value.

use std::borrow::Cow;

use super::{Failure, LogLineReason};
use crate::escape::{is_unsafe, must_be_quoted};

/// A whole message: no quotes around it, no raw `=`.
pub(super) fn message(text: &str) -> Result<Cow<'_, str>, Failure> {
    let is_plain = |it| matches!(it, b' '..=b'<' | b'>'..=b'[' | b']'..=b'~');
    if all(text, is_plain) {
        return Ok(Cow::Borrowed(text));
    }
    match text
        .char_indices()
        .find(|(_, c)| *c == '=' || is_unsafe(*c))
    {
        Some((at, _)) => Err((at, LogLineReason::RawCharacter)),
        None => unescape(text),
    }
}

/// The value at the beginning of `rest`, and its length in bytes with quotes.
pub(super) fn value(rest: &str) -> Result<(Cow<'_, str>, usize), Failure> {
    let Some(inside) = rest.strip_prefix('"') else {
        return bare(rest);
    };
    let len = quoted_len(inside)?;
    let end = len + 2;
    if !matches!(rest.as_bytes().get(end), None | Some(b' ')) {
        return Err((end, LogLineReason::AfterQuote));
    }
    let text = unescape(&inside[..len]).map_err(|(at, why)| (at + 1, why))?;
    Ok((text, end))
}

fn bare(rest: &str) -> Result<(Cow<'_, str>, usize), Failure> {
    let text = rest.split(' ').next().unwrap_or(rest);
    if text.is_empty() {
        return Err((0, LogLineReason::EmptyValue));
    }
    let is_plain = |it| matches!(it, b'!' | b'#'..=b'<' | b'>'..=b'[' | b']'..=b'~');
    if all(text, is_plain) {
        return Ok((Cow::Borrowed(text), text.len()));
    }
    match text.char_indices().find(|(_, c)| must_be_quoted(*c)) {
        Some((at, _)) => Err((at, LogLineReason::RawCharacter)),
        None => Ok((Cow::Borrowed(text), text.len())),
    }
}

/// Whether all bytes are plain, as those of most texts: without an early end this is seen of many at a time.
fn all(text: &str, is_plain: impl Fn(u8) -> bool) -> bool {
    text.bytes().fold(true, |all, it| all & is_plain(it))
}

/// The length of a quoted text up to its closing quote; offsets of failures count the opening one.
fn quoted_len(inside: &str) -> Result<usize, Failure> {
    let mut escaped = false;
    for (at, c) in inside.char_indices() {
        match c {
            _ if is_unsafe(c) || c == '=' => return Err((at + 1, LogLineReason::RawCharacter)),
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Ok(at),
            _ => {}
        }
    }
    Err((inside.len() + 1, LogLineReason::UnclosedQuote))
}

fn unescape(text: &str) -> Result<Cow<'_, str>, Failure> {
    let mut rest = text;
    let mut res = String::new();
    while let Some(at) = rest.find('\\') {
        let failure = (text.len() - rest.len() + at, LogLineReason::Escape);
        let (c, len) = escape(&rest[at + 1..]).ok_or(failure)?;
        res.push_str(&rest[..at]);
        res.push(c);
        rest = &rest[at + 1 + len..];
    }
    if rest.len() == text.len() {
        return Ok(Cow::Borrowed(text));
    }
    res.push_str(rest);
    Ok(Cow::Owned(res))
}

/// The character an escape stands for, and the escape's length without its backslash.
fn escape(after: &str) -> Option<(char, usize)> {
    let simple = |c| Some((c, 1));
    match *after.as_bytes().first()? {
        b'n' => simple('\n'),
        b'r' => simple('\r'),
        b't' => simple('\t'),
        b'"' => simple('"'),
        b'\\' => simple('\\'),
        b'x' => Some((hex(after.get(1..3)?)?, 3)),
        b'u' => {
            let digits = after.strip_prefix("u{")?.split('}').next()?;
            let end = 2 + digits.len();
            (after.as_bytes().get(end) == Some(&b'}')).then_some(())?;
            Some((hex(digits)?, end + 1))
        }
        _ => None,
    }
}

fn hex(digits: &str) -> Option<char> {
    let valid = (1..=6).contains(&digits.len()) && digits.bytes().all(|it| it.is_ascii_hexdigit());
    valid
        .then(|| u32::from_str_radix(digits, 16).ok())
        .flatten()
        .and_then(char::from_u32)
}
