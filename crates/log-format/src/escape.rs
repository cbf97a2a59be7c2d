//! Which characters a line may hold as they are, and how the others are written.
//!
//! Three places have three rules: a key, a value (quoted where needed) and a message (never quoted).
//! In none of them can a text end the line, reach a terminal as a control, or look like ` key=`.

#[cfg(test)]
mod tests;

/// Appends a key: `[A-Za-z0-9_.]` as it is, any other character as `_`; never empty.
pub(crate) fn push_key(out: &mut Vec<u8>, name: &str) {
    let name = name.strip_prefix("r#").unwrap_or(name);
    let start = out.len();
    for c in name.chars() {
        out.push(
            u8::try_from(c)
                .ok()
                .filter(|&it| is_key_byte(it))
                .unwrap_or(b'_'),
        );
    }
    if out.len() == start {
        out.push(b'_');
    }
}

/// Appends the value of `key`, quoted if it is empty or holds a character that must not stand bare.
pub(crate) fn push_value(out: &mut Vec<u8>, spaceless: bool, value: &str) {
    if all_bytes(value, is_bare) && !value.is_empty() {
        out.extend_from_slice(value.as_bytes());
    } else {
        push_unusual_value(out, spaceless, value);
    }
}

#[cold]
fn push_unusual_value(out: &mut Vec<u8>, spaceless: bool, value: &str) {
    if !value.is_empty() && !value.chars().any(must_be_quoted) {
        out.extend_from_slice(value.as_bytes());
        return;
    }
    out.push(b'"');
    push_escaped(out, value, |c| {
        matches!(c, '"' | '=' | '\\') || (spaceless && c == ' ') || is_unsafe(c)
    });
    out.push(b'"');
}

/// Appends a message, or a part of one: spaces and quotes stay, `=` and unsafe characters do not.
pub(crate) fn push_message(out: &mut Vec<u8>, text: &str) {
    if all_bytes(text, is_bare_in_message) {
        out.extend_from_slice(text.as_bytes());
    } else {
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

/// ASCII that no value needs quotes for.
#[expect(
    clippy::needless_bitwise_bool,
    reason = "a branch would keep it from looking at many bytes at once"
)]
fn is_bare(byte: u8) -> bool {
    is_visible(byte) & (byte != b'"') & (byte != b'=') & (byte != b'\\')
}

/// ASCII that a message holds as it is.
#[expect(
    clippy::needless_bitwise_bool,
    reason = "a branch would keep it from looking at many bytes at once"
)]
fn is_bare_in_message(byte: u8) -> bool {
    (is_visible(byte) | (byte == b' ')) & (byte != b'=') & (byte != b'\\')
}

fn is_visible(byte: u8) -> bool {
    byte.wrapping_sub(b'!') < 0x7f - b'!'
}

/// Whether every byte is as `is_plain` says: sixteen at once, as most texts are short and plain.
#[inline]
fn all_bytes(text: &str, is_plain: impl Fn(u8) -> bool + Copy) -> bool {
    let bytes = text.as_bytes();
    let (chunks, rest) = bytes.as_chunks::<16>();
    if !chunks.iter().all(|it| all_of(it, is_plain)) {
        return false;
    }
    // The rest again with what stands before it, rather than byte by byte.
    match (bytes.last_chunk::<16>(), bytes.last_chunk::<8>()) {
        (Some(end), _) => rest.is_empty() || all_of(end, is_plain),
        (None, Some(end)) => {
            rest.first_chunk::<8>()
                .is_none_or(|it| all_of(it, is_plain))
                && all_of(end, is_plain)
        }
        (None, None) => rest.iter().all(|it| is_plain(*it)),
    }
}

#[inline]
fn all_of<const N: usize>(bytes: &[u8; N], is_plain: impl Fn(u8) -> bool) -> bool {
    bytes.iter().fold(true, |all, it| all & is_plain(*it))
}

fn push_escaped(out: &mut Vec<u8>, text: &str, escapes: impl Fn(char) -> bool) {
    let mut copied = 0;
    for (at, c) in text.char_indices().filter(|&(_, c)| escapes(c)) {
        out.extend_from_slice(&text.as_bytes()[copied..at]);
        push_escape(out, c);
        copied = at + c.len_utf8();
    }
    out.extend_from_slice(&text.as_bytes()[copied..]);
}

fn push_escape(out: &mut Vec<u8>, c: char) {
    match c {
        '\n' => out.extend_from_slice(b"\\n"),
        '\r' => out.extend_from_slice(b"\\r"),
        '\t' => out.extend_from_slice(b"\\t"),
        '"' => out.extend_from_slice(b"\\\""),
        '\\' => out.extend_from_slice(b"\\\\"),
        '=' => out.extend_from_slice(b"\\x3d"),
        ' ' => out.extend_from_slice(b"\\x20"),
        _ => out.extend(c.escape_unicode().map(|it| it as u8)), // ASCII: `\u{1b}`.
    }
}
