//! What a conversation came to.

use crate::model::{Message, Role};

/// What a worker has to show when its agent said nothing.
pub const NO_RESULT: &str = "(No result generated)";
const MAX_OUTPUTS: usize = 3;
const MAX_OUTPUT_CHARS: usize = 2000;
const MAX_SUMMARY_CHARS: usize = 150;

/// The last non-empty assistant message; else the last tool outputs; else [`NO_RESULT`].
pub(crate) fn extract_result(messages: &[Message]) -> String {
    if let Some(answer) = last_answer(messages) {
        return messages[answer].content.clone();
    }
    last_outputs(messages).unwrap_or_else(|| NO_RESULT.to_owned())
}

/// The same where the assistant was interrupted: what it said last, and what its tools said since.
pub(crate) fn extract_partial(messages: &[Message]) -> String {
    let Some(said) = last_answer(messages) else {
        return extract_result(messages);
    };
    let text = &messages[said].content;
    match last_outputs(&messages[said..]) {
        Some(outputs) => format!("{text}\n\n{outputs}"),
        None => text.clone(),
    }
}

fn last_answer(messages: &[Message]) -> Option<usize> {
    messages
        .iter()
        .rposition(|it| it.role == Role::Assistant && !it.content.trim().is_empty())
}

fn last_outputs(messages: &[Message]) -> Option<String> {
    let mut outputs: Vec<_> = messages
        .iter()
        .rev()
        .filter(|it| it.role == Role::Tool && !it.content.trim().is_empty())
        .take(MAX_OUTPUTS)
        .map(|it| cut(&it.content, MAX_OUTPUT_CHARS))
        .collect();
    outputs.reverse();
    (!outputs.is_empty()).then(|| {
        format!(
            "(No answer; the last tool outputs:)\n\n{}",
            outputs.join("\n\n")
        )
    })
}

/// The beginning of a text as one line of at most 150 characters.
pub(crate) fn summary_of(text: &str) -> String {
    let mut line = String::new();
    // More words than fit need not be looked at.
    for word in text.split_whitespace().take(MAX_SUMMARY_CHARS) {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    cut(&line, MAX_SUMMARY_CHARS)
}

/// At most `max` characters, the last one `…` where more were there.
pub(crate) fn cut(text: &str, max: usize) -> String {
    if text.chars().nth(max).is_none() {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(max - 1).collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::{NO_RESULT, extract_partial, extract_result, summary_of};
    use crate::model::{Message, Role};

    #[test]
    fn the_last_word_of_the_assistant_is_the_result() {
        let mut messages = vec![
            Message::text(Role::User, "task"),
            Message::text(Role::Assistant, "first"),
            Message::text(Role::Assistant, "last"),
            Message::text(Role::Assistant, " \n"),
        ];
        assert_eq!(extract_result(&messages), "last");
        messages.truncate(1);
        assert_eq!(extract_result(&messages), NO_RESULT);
    }

    #[test]
    fn without_an_answer_the_last_three_outputs_are_the_result() {
        let long = "x".repeat(3000);
        let messages: Vec<_> = ["one", "two", "three", &long]
            .map(|it| Message::tool_output("id", it))
            .into();
        let result = extract_result(&messages);
        assert!(!result.contains("one") && result.contains("two\n\nthree\n\nxxx"));
        assert_eq!(result.matches('x').count(), 1999);
    }

    #[test]
    fn what_was_found_after_the_last_word_belongs_to_a_partial_result() {
        let mut messages = vec![
            Message::tool_output("id", "early"),
            Message::text(Role::Assistant, "I shall look."),
        ];
        assert_eq!(extract_partial(&messages), "I shall look.");
        messages.push(Message::tool_output("id", "late"));
        let both = "I shall look.\n\n(No answer; the last tool outputs:)\n\nlate";
        assert_eq!(extract_partial(&messages), both);
        assert_eq!(
            extract_partial(&messages[..1]),
            extract_result(&messages[..1])
        );
    }

    #[test]
    fn a_summary_is_one_short_line() {
        assert_eq!(summary_of("The result\n is  42."), "The result is 42.");
        assert_eq!(summary_of(&"é".repeat(1_000_000)).chars().count(), 150);
        assert_eq!(summary_of(""), "");
    }
}
