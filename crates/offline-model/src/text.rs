//! Cutting texts to a length in characters.

use std::borrow::Cow;

/// The text, or as much of it as fits `max_chars` with a `…` behind it.
pub(crate) fn cut(text: &str, max_chars: usize) -> Cow<'_, str> {
    if text.char_indices().nth(max_chars).is_none() {
        return Cow::Borrowed(text);
    }
    let kept = text.char_indices().nth(max_chars.saturating_sub(1));
    let end = kept.map_or(0, |(at, _)| at);
    Cow::Owned(format!("{}…", &text[..end]))
}
