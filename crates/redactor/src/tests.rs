//! What is redacted, what is not, and what it costs.

mod names;
mod normal;
mod properties;
mod secrets;
mod shapes;
mod streams;

use crate::{REDACTED, Redactor};

/// The text as it is written; and what is redacted once stays so.
fn written(text: &str) -> String {
    let redactor = Redactor::new();
    let once = redactor.text(text).into_owned();
    assert_eq!(redactor.text(&once), once, "redacted again");
    once
}

/// The text with `[redacted]` where `‹…›` marks a secret, and the text itself without the marks.
fn marked(text: &str) -> (String, String) {
    let (mut plain, mut expected) = (String::new(), String::new());
    for (n, part) in text.split(['‹', '›']).enumerate() {
        plain.push_str(part);
        expected.push_str(if n % 2 == 1 { REDACTED } else { part });
    }
    (plain, expected)
}
