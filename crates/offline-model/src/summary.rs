//! Summaries: the beginning of a text, whole sentences where they fit.

#[cfg(test)]
mod tests;

use worker_runner::{ChatRequest, Role};

use crate::text::cut;

/// The most characters of a summary.
const SUMMARY_CHARS: usize = 150;

/// The text behind the first blank line of a request for a summary; `None` for any other request.
pub(crate) fn text_to_summarize(request: ChatRequest<'_>) -> Option<&str> {
    let last = request.messages.last()?;
    let is_request = request.tools.is_empty()
        && last.role == Role::User
        && last.content.starts_with("Summarize");
    if !is_request {
        return None;
    }
    let mut rest = last.content.as_str();
    loop {
        (_, rest) = rest.split_once('\n')?;
        let line = rest.split('\n').next().unwrap_or_default();
        if line.trim().is_empty() {
            return Some(rest);
        }
    }
}

/// The first sentences of a text that fit a summary, or else as many words, and `…`.
pub(crate) fn summarize(text: &str) -> String {
    let text = with_single_spaces(text);
    if text.is_empty() {
        return "The result is empty.".to_owned();
    }
    if text.chars().count() <= SUMMARY_CHARS {
        return text;
    }
    // One character more, to see whether the last sentence ends there.
    let (beginning, _) = split_at_char(&text, SUMMARY_CHARS + 1);
    let sentence_end = beginning
        .char_indices()
        .rfind(|(at, it)| *it == ' ' && beginning[..*at].ends_with(['.', '!', '?']));
    if let Some((end, _)) = sentence_end {
        return beginning[..end].to_owned();
    }
    // A word may end just where the `…` begins.
    let (beginning, _) = split_at_char(&text, SUMMARY_CHARS);
    match beginning.rfind(' ') {
        Some(end) => format!("{}…", &beginning[..end]),
        None => cut(&text, SUMMARY_CHARS).into_owned(),
    }
}

/// The text's beginning on one line, with more than [`SUMMARY_CHARS`] characters if it has them.
fn with_single_spaces(text: &str) -> String {
    let mut res = String::new();
    let mut n_chars = 0;
    for word in text.split_whitespace() {
        if n_chars > SUMMARY_CHARS {
            break;
        }
        if !res.is_empty() {
            res.push(' ');
            n_chars += 1;
        }
        let (word, _) = split_at_char(word, SUMMARY_CHARS + 1);
        res.push_str(word);
        n_chars += word.chars().count();
    }
    res
}

fn split_at_char(text: &str, n_chars: usize) -> (&str, &str) {
    let at = text.char_indices().nth(n_chars);
    text.split_at(at.map_or(text.len(), |(at, _)| at))
}
