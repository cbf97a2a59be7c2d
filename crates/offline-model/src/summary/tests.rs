//! Which requests ask for a summary, and what they get.

use proptest::prelude::*;
use worker_runner::{ChatRequest, Message, Role, ToolDefinition};

use super::{summarize, text_to_summarize};

fn asked(content: &str, tools: &[ToolDefinition]) -> Option<String> {
    let messages = [Message::text(Role::User, content)];
    let request = ChatRequest {
        messages: &messages,
        tools,
    };
    text_to_summarize(request).map(|it| it.trim().to_owned())
}

#[test]
fn a_summary_is_asked_for_without_tools() {
    let text = "Summarize in 150 characters:\nno more.\n\nThe result.\n\nMore.";
    assert_eq!(asked(text, &[]).as_deref(), Some("The result.\n\nMore."));
    assert_eq!(
        asked("Summarize:\r\n\r\nThe result.", &[]).as_deref(),
        Some("The result.")
    );
    assert_eq!(asked("Summarize the outage", &[]), None);
    assert_eq!(asked("calculate 7*6\n\nSummarize", &[]), None);
    let tool = ToolDefinition {
        name: "calculate".to_owned(),
        description: String::new(),
        parameters: serde_json::json!({}),
    };
    assert_eq!(asked(text, &[tool]), None);
}

#[test]
fn a_summary_is_the_beginning() {
    assert_eq!(summarize("The result\n is 42.\n"), "The result is 42.");
    assert_eq!(summarize(" \n"), "The result is empty.");

    let words = "word ".repeat(100);
    assert_eq!(summarize(&words), format!("{}…", "word ".repeat(30).trim()));
    let sentences = "It is so. ".repeat(100);
    assert_eq!(summarize(&sentences), "It is so. ".repeat(15).trim());
    assert_eq!(summarize(&"x".repeat(1 << 20)), "x".repeat(149) + "…");

    // A sentence of just 150 characters, with more behind it.
    let sentence = format!("{}.", "y".repeat(149));
    assert_eq!(summarize(&format!("{sentence} And more.")), sentence);
    assert_eq!(summarize("Version 1.2. ").as_str(), "Version 1.2.");
}

proptest! {
    #[test]
    fn a_summary_fits_and_is_never_empty(text in r"([\PC\s]|\. ){0,400}") {
        let summary = summarize(&text);
        prop_assert!(summary.chars().count() <= 150);
        prop_assert!(!summary.is_empty() && !summary.contains('\n'));
    }
}
