//! What programs print: text, or the stream of a known agent that tells of its own calls.

mod claude;
mod codex;

use std::{fmt, str::FromStr};

use metrics_core::{Clock, ErrorText};
use serde::Deserialize;
use serde_json::Value;

use crate::{command::ProgramCommand, lines::Lines, output::Watch};

/// What a program's standard output is.
///
/// The formats carry no times, so a call begins and ends when its lines arrive.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OutputFormat {
    /// The result itself.
    #[default]
    Text,
    /// What `claude -p --output-format stream-json --verbose` prints, as of Claude Code 2.0 and 2.1.
    ClaudeStreamJson,
    /// What `codex exec --json` prints, as of Codex 0.46 and later.
    CodexJson,
}

impl OutputFormat {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Text, Self::ClaudeStreamJson, Self::CodexJson];

    /// Its name on a command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::ClaudeStreamJson => "claude-stream-json",
            Self::CodexJson => "codex-json",
        }
    }

    pub(crate) fn reader(
        self,
        command: &ProgramCommand,
        clock: Clock,
    ) -> Option<Box<dyn FormatReader>> {
        match self {
            Self::Text => None,
            Self::ClaudeStreamJson => Some(Box::new(claude::ClaudeReader::new(clock))),
            Self::CodexJson => Some(Box::new(codex::CodexReader::new(command))),
        }
    }
}

impl fmt::Display for OutputFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A word that is no [`OutputFormat`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a format; use text, claude-stream-json or codex-json")]
pub struct FormatError(String);

impl FromStr for OutputFormat {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        let known = Self::ALL.into_iter().find(|it| it.as_str() == text);
        known.ok_or_else(|| FormatError(text.chars().take(60).collect()))
    }
}

/// Standard output that has a format, taken apart into lines.
pub(crate) struct Reading {
    lines: Lines,
    reader: Box<dyn FormatReader>,
}

impl Reading {
    pub(crate) fn new(reader: Box<dyn FormatReader>) -> Self {
        Self {
            lines: Lines::default(),
            reader,
        }
    }

    pub(crate) fn end(mut self) -> Said {
        self.lines.end(|line| self.reader.line(line));
        self.reader.end(self.lines.too_long)
    }
}

impl Watch for Option<Reading> {
    fn look(&mut self, bytes: &[u8]) {
        if let Some(it) = self {
            it.lines.push(bytes, |line| it.reader.line(line));
        }
    }
}

/// Reads a known agent's stream, line by line, inside the worker's scope; records its calls.
///
/// - A line that it does not know is passed over: versions differ.
/// - Memory is bounded, whatever the stream says.
pub(crate) trait FormatReader: Send {
    fn line(&mut self, line: &[u8]);
    /// The stream is over; `too_long` of its lines were not even shown.
    fn end(self: Box<Self>, too_long: u64) -> Said;
}

/// What a stream said beside its calls.
#[derive(Debug, Default)]
pub(crate) struct Said {
    pub(crate) result: Option<String>,
    /// The agent's own word that it failed.
    pub(crate) error: Option<String>,
    /// For the metadata.
    pub(crate) facts: Value,
    pub(crate) warning: Option<String>,
}

/// Lines, and those of them that could not be used.
#[derive(Debug, Default)]
struct LineCounts {
    lines: u64,
    unknown: u64,
    malformed: u64,
    first_fault: Option<String>,
}

impl LineCounts {
    /// The `type` of the next line, if it is an object that has one.
    fn kind(&mut self, line: &[u8]) -> Option<String> {
        #[derive(Deserialize)]
        struct Kind {
            r#type: String,
        }
        self.lines += 1;
        self.parsed::<Kind>(line).map(|it| it.r#type)
    }

    /// A line that is what its type says.
    fn parsed<'a, T: Deserialize<'a>>(&mut self, line: &'a [u8]) -> Option<T> {
        match serde_json::from_slice(line) {
            Ok(it) => Some(it),
            Err(error) => {
                self.malformed += 1;
                let fault = || format!("line {}: {}", self.lines, ErrorText::from_display(&error));
                self.first_fault.get_or_insert_with(fault);
                None
            }
        }
    }

    fn warning(&self, format: OutputFormat) -> Option<String> {
        let first = self.first_fault.as_ref()?;
        Some(format!(
            "{} of {} lines printed are not {format} ({first})",
            self.malformed, self.lines
        ))
    }
}

/// Calls in flight, or messages being gathered, that are kept track of at once.
const MAX_OPEN: usize = 1024;
/// A longer name is cut.
const MAX_NAME_CHARS: usize = 200;

fn name(text: &str) -> String {
    text.chars().take(MAX_NAME_CHARS).collect()
}
