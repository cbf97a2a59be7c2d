//! Reads a line back: [`parse_line`].

#[cfg(test)]
pub(crate) mod tests;
mod text;

use std::borrow::Cow;

use tracing::Level;

use crate::escape::is_key_byte;
use crate::format::TELEMETRY_TARGET;
use crate::parse::text::{message, value};
use crate::stamp::{STAMP_LEN, parse_stamp};

/// One line, taken apart. Values are strings; the key says what they mean.
///
/// Borrows from the line; only text that held an escape is copied.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogLine<'a> {
    /// `2025-12-15 03:19:33`, UTC.
    pub timestamp: &'a str,
    /// The same moment in whole seconds since the Unix epoch.
    pub unix_seconds: i64,
    /// The severity.
    pub level: Level,
    /// The message as it was before escaping; may be empty.
    pub message: Cow<'a, str>,
    /// Keys and values (as they were before escaping), in the order of the line.
    pub fields: Vec<(&'a str, Cow<'a, str>)>,
}

impl LogLine<'_> {
    /// The value of `key`.
    ///
    /// A foreign event may repeat a key; the last one counts, as `target=` is always written last.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.fields
            .iter()
            .rev()
            .find(|(it, _)| *it == key)
            .map(|(_, value)| value.as_ref())
    }

    /// Where the event came from; triscope's own events print no target.
    ///
    /// A line is foreign exactly if its last key is `target`: a foreign event's own field of the name
    /// `event` or `target` stands before it and is never taken for the real one.
    pub fn target(&self) -> &str {
        match self.fields.last() {
            Some(("target", target)) => target,
            _ => TELEMETRY_TARGET,
        }
    }

    /// Whether this is one of triscope's own events.
    pub fn is_telemetry(&self) -> bool {
        self.fields.last().is_none_or(|(key, _)| *key != "target")
    }
}

/// Why a text is not a line of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: {reason}")]
pub struct LogLineError {
    /// Where, in characters, from 1.
    pub column: usize,
    /// What is wrong there.
    pub reason: LogLineReason,
}

/// What is wrong at a column of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LogLineReason {
    /// The line does not begin with a valid second stamp.
    #[error("expected a timestamp such as `2025-12-15 03:19:33`")]
    Timestamp,
    /// No level after the stamp.
    #[error("expected a space and one of `ERROR`, `WARN`, `INFO`, `DEBUG`, `TRACE`")]
    Level,
    /// A key is empty or holds a character outside `[A-Za-z0-9_.]`.
    #[error("expected a key of the characters `A-Z a-z 0-9 _ .` and an equals sign")]
    Key,
    /// Nothing after `key=`; an empty value is written `""`.
    #[error("expected a value; an empty one is written `\"\"`")]
    EmptyValue,
    /// A quoted value has no closing quote.
    #[error("the quoted value does not end")]
    UnclosedQuote,
    /// A closing quote is followed by something other than a space or the end.
    #[error("expected a space or the end of the line after the closing quote")]
    AfterQuote,
    /// An unknown or incomplete escape.
    #[error("not an escape this format knows")]
    Escape,
    /// A character that is always escaped stands raw.
    #[error("a character that must be escaped")]
    RawCharacter,
}

/// Reads one line, with or without its `\n`.
///
/// Strict: a line this crate would not have written is an error, never a guess. The example lines of
/// the seed document, which have no `event=`, are read.
pub fn parse_line(line: &str) -> Result<LogLine<'_>, LogLineError> {
    let line = line.strip_suffix('\n').unwrap_or(line);
    let fail = |at: usize, reason| LogLineError {
        column: column(line, at),
        reason,
    };

    let stamp = line.as_bytes().get(..STAMP_LEN).and_then(parse_stamp);
    let unix_seconds = stamp.ok_or_else(|| fail(0, LogLineReason::Timestamp))?;
    let (timestamp, after_stamp) = line.split_at(STAMP_LEN); // A valid stamp is ASCII.

    let word = after_stamp
        .strip_prefix(' ')
        .map(|it| it.split(' ').next().unwrap_or(it));
    let level_error = || fail(STAMP_LEN, LogLineReason::Level);
    let word = word.ok_or_else(level_error)?;
    let level = level(word).ok_or_else(level_error)?;

    // After the level: nothing, or a space and the rest.
    let rest_at = (STAMP_LEN + 1 + word.len() + 1).min(line.len());
    let rest = &line[rest_at..];

    // A message holds no equals sign, so the first one ends the first key.
    let message_len = match rest.find('=') {
        None => rest.len(),
        Some(equals) => rest[..equals].rfind(' ').unwrap_or(0),
    };
    let text = message(&rest[..message_len]).map_err(|(at, why)| fail(rest_at + at, why))?;

    let mut fields = Vec::new();
    let mut at = rest_at + message_len;
    if rest.starts_with(|c| c != ' ') && message_len == 0 {
        let (field, end) = field(line, at).map_err(|(at, why)| fail(at, why))?;
        fields.push(field);
        at = end;
    }
    while at < line.len() {
        // Every field ends at a space or at the end of the line.
        let (field, end) = field(line, at + 1).map_err(|(at, why)| fail(at, why))?;
        fields.push(field);
        at = end;
    }
    Ok(LogLine {
        timestamp,
        unix_seconds,
        level,
        message: text,
        fields,
    })
}

type Failure = (usize, LogLineReason);
type FieldOf<'a> = (&'a str, Cow<'a, str>);

/// The field that begins at byte `at`, and the byte after it.
fn field(line: &str, at: usize) -> Result<(FieldOf<'_>, usize), Failure> {
    let rest = &line[at..];
    let key_len = rest
        .bytes()
        .position(|it| !is_key_byte(it))
        .unwrap_or(rest.len());
    if key_len == 0 || rest.as_bytes().get(key_len) != Some(&b'=') {
        return Err((at + key_len, LogLineReason::Key));
    }
    let value_at = at + key_len + 1;
    let (text, len) = value(&line[value_at..]).map_err(|(it, why)| (value_at + it, why))?;
    Ok(((&rest[..key_len], text), value_at + len))
}

fn level(word: &str) -> Option<Level> {
    [
        Level::ERROR,
        Level::WARN,
        Level::INFO,
        Level::DEBUG,
        Level::TRACE,
    ]
    .into_iter()
    .find(|it| it.as_str() == word)
}

/// The column of byte `at`, in characters from 1.
fn column(line: &str, at: usize) -> usize {
    line.char_indices().take_while(|(it, _)| *it < at).count() + 1
}
