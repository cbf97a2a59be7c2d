//! What holds for any bytes: for `cargo xtask fuzz`, and for the tests that replay what it found.

use crate::{
    LogLine,
    buffer::Buffer,
    escape::{is_spaceless_key, is_unsafe, push_key, push_message, push_value},
    parse_line,
};

/// A name, and what panics where something does not hold.
pub type Target = (&'static str, fn(&[u8]));

/// The targets of this crate.
pub const TARGETS: &[Target] = &[("log_line", log_line)];

/// A line that is read holds nothing that could end it or colour a terminal, and reads the same when written again. A fault
/// stands within its line.
fn log_line(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let line = text.strip_suffix('\n').unwrap_or(&text);
    match parse_line(&text) {
        Ok(parsed) => {
            assert!(!line.contains(is_unsafe), "{line:?}");
            let written = write(&parsed);
            assert_eq!(parse_line(&written).as_ref(), Ok(&parsed), "{written}");
        }
        Err(error) => {
            assert!(
                (1..=line.chars().count() + 1).contains(&error.column),
                "{error}"
            );
        }
    }
}

fn write(line: &LogLine<'_>) -> String {
    let mut res = Buffer::new();
    push_message(&mut res, &line.message);
    for (key, value) in &line.fields {
        if res.len() > 0 {
            res.put(b" ");
        }
        push_key(&mut res, key);
        res.put(b"=");
        push_value(&mut res, is_spaceless_key(key.as_bytes()), value);
    }
    let rest = String::from_utf8_lossy(res.as_bytes());
    let space = if rest.is_empty() { "" } else { " " };
    format!("{} {}{space}{rest}", line.timestamp, line.level)
}

#[cfg(test)]
#[path = "../../../fuzz/replay.rs"]
mod tests;
