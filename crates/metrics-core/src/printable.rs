//! Foreign text inside a message of ours: short, and nothing in it that a terminal obeys.

/// At most `max_chars` characters of `text`, `…` where it was cut, and escapes for what does not print.
pub(crate) fn printable(text: &str, max_chars: usize) -> String {
    let mut res = String::new();
    let mut chars = text.chars();
    for it in chars.by_ref().take(max_chars) {
        match it {
            // The messages hold these themselves.
            '"' | '\'' | '\\' => res.push(it),
            _ => res.extend(it.escape_debug()),
        }
    }
    if chars.next().is_some() {
        res.push('…');
    }
    res
}
