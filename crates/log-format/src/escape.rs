//! Which characters a line may hold as they are, and how the others are written.
//!
//! Three places have three rules: a key, a value (quoted where needed) and a message (never quoted).
//! In none of them can a text end the line, reach a terminal as a control, or look like ` key=`.

#[cfg(test)]
mod tests;

use crate::buffer::{Buffer, repeat};

/// Appends a key: `[A-Za-z0-9_.]` as it is, any other character as `_`; never empty.
pub(crate) fn push_key(out: &mut Buffer, name: &str) {
    let name = name.strip_prefix("r#").unwrap_or(name);
    let start = out.len();
    for c in name.chars() {
        let byte = u8::try_from(c).ok().filter(|&it| is_key_byte(it));
        out.put(&[byte.unwrap_or(b'_')]);
    }
    if out.len() == start {
        out.put(b"_");
    }
}

/// Appends the value of `key`, quoted if it is empty or holds a character that must not stand bare.
pub(crate) fn push_value(out: &mut Buffer, spaceless: bool, value: &str) {
    let is_bare = out.push_unless(value, |word| {
        beyond_ascii(word) | below(b'!', word) | zero_where(b'"', word) | equals_or_backslash(word)
    });
    if !is_bare || value.is_empty() {
        push_unusual_value(out, spaceless, value);
    }
}

#[cold]
fn push_unusual_value(out: &mut Buffer, spaceless: bool, value: &str) {
    if !value.is_empty() && !value.chars().any(must_be_quoted) {
        out.push(value.as_bytes());
        return;
    }
    out.put(b"\"");
    push_escaped(out, value, |c| {
        matches!(c, '"' | '=' | '\\') || (spaceless && c == ' ') || is_unsafe(c)
    });
    out.put(b"\"");
}

/// Appends a message, or a part of one: spaces and quotes stay, `=` and unsafe characters do not.
pub(crate) fn push_message(out: &mut Buffer, text: &str) {
    let is_bare = out.push_unless(text, |word| {
        beyond_ascii(word) | below(b' ', word) | equals_or_backslash(word)
    });
    if !is_bare {
        push_escaped(out, text, |c| matches!(c, '=' | '\\') || is_unsafe(c));
    }
}

/// Whether values of `key` write a space as `\x20`, so that `grep -o "model=[^ ]*"` takes them whole.
pub(crate) fn is_spaceless_key(key: &[u8]) -> bool {
    matches!(
        key,
        b"worker_id" | b"model" | b"tool" | b"phase" | b"provider"
    )
}

/// Whether a key may hold this byte.
pub(crate) fn is_key_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.')
}

/// Whether this character forces a value into quotes.
pub(crate) fn must_be_quoted(c: char) -> bool {
    matches!(c, ' ' | '"' | '=' | '\\') || is_unsafe(c)
}

/// Whether this character never stands raw in a line, in no place.
///
/// Controls (C0, DEL, C1), line and paragraph separators, bidi controls, and characters that show
/// nothing: soft hyphen, zero-width ones (also the joiner inside some emoji), annotations and tags.
pub(crate) fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

// Each of these sets the highest bit of the bytes it is named for, and perhaps of others above such a byte; all but the
// first take the word for ASCII.

/// Delete and whatever is not ASCII.
fn beyond_ascii(word: u64) -> u64 {
    word | word.wrapping_add(repeat(1))
}

fn below(byte: u8, word: u64) -> u64 {
    word.wrapping_sub(repeat(byte))
}

fn zero_where(byte: u8, word: u64) -> u64 {
    (word ^ repeat(byte)).wrapping_sub(repeat(1))
}

fn equals_or_backslash(word: u64) -> u64 {
    zero_where(b'=', word) | zero_where(b'\\', word)
}

fn push_escaped(out: &mut Buffer, text: &str, escapes: impl Fn(char) -> bool) {
    let mut copied = 0;
    for (at, c) in text.char_indices().filter(|&(_, c)| escapes(c)) {
        out.push(&text.as_bytes()[copied..at]);
        push_escape(out, c);
        copied = at + c.len_utf8();
    }
    out.push(&text.as_bytes()[copied..]);
}

fn push_escape(out: &mut Buffer, c: char) {
    match c {
        '\n' => out.put(b"\\n"),
        '\r' => out.put(b"\\r"),
        '\t' => out.put(b"\\t"),
        '"' => out.put(b"\\\""),
        '\\' => out.put(b"\\\\"),
        '=' => out.put(b"\\x3d"),
        ' ' => out.put(b"\\x20"),
        // ASCII: `\u{1b}`.
        _ => c.escape_unicode().for_each(|it| out.put(&[it as u8])),
    }
}
