//! What a supervisor may give for `job_id`: a job's number or a worker's id.

use std::fmt;

use metrics_core::WorkerId;
use serde_json::Value;

use super::JobId;

/// The longest name of a directory on the file systems we know, in bytes.
const MAX_WORKER_ID_BYTES: usize = 255;

/// A job by its number, or by the id of its worker (a worker may have no job).
///
/// - ASCII digits alone are always a number; if no job can have it (`0`, `0123`, 2^53), the text names nothing.
/// - Any other text is a worker's id, if a worker's directory can have that name: 1 to 255 bytes, no `/`, no NUL,
///   no `.` in front. It need not have the form that triscope gives, as other programs name workers too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobRef {
    /// A job's number.
    Job(JobId),
    /// A worker's id.
    Worker(WorkerId),
}

/// Something that names neither a job nor a worker.
///
/// A tool answers it as it answers an unknown job, so that an answer tells nothing about which ids are taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{given}` is no job id; give a job's number or a worker's id, as `list_workers` shows them"
)]
pub struct JobRefError {
    /// The beginning of what was given, control characters escaped.
    given: String,
}

impl JobRef {
    /// From a text, such as `123` or `2025-12-15T04-08-08_calculate-7-6`.
    pub fn parse(text: &str) -> Result<Self, JobRefError> {
        if text.bytes().all(|it| it.is_ascii_digit()) {
            let id = text.parse().map_err(|_| JobRefError::new(text))?;
            return Ok(Self::Job(id));
        }
        let is_name = text.len() <= MAX_WORKER_ID_BYTES
            && !text.starts_with('.')
            && !text.contains(['/', '\0']);
        if is_name {
            Ok(Self::Worker(text.into()))
        } else {
            Err(JobRefError::new(text))
        }
    }

    /// From JSON: a whole number, or a string as [`parse`](Self::parse) takes it.
    pub fn from_json(value: &Value) -> Result<Self, JobRefError> {
        match value {
            Value::String(text) => Self::parse(text),
            // A float is no job number, not even `1.0`.
            Value::Number(number) => match number.as_u64().map(JobId::try_from) {
                Some(Ok(id)) => Ok(Self::Job(id)),
                _ => Err(JobRefError::new(&number.to_string())),
            },
            // Not printed whole: it can be as long as the caller likes.
            Value::Null => Err(JobRefError::new("null")),
            Value::Bool(_) => Err(JobRefError::new("a boolean")),
            Value::Array(_) => Err(JobRefError::new("an array")),
            Value::Object(_) => Err(JobRefError::new("an object")),
        }
    }
}

impl JobRefError {
    /// The beginning of what was given, control characters escaped.
    pub fn given(&self) -> &str {
        &self.given
    }

    fn new(text: &str) -> Self {
        let given = text.chars().take(60).flat_map(char::escape_debug);
        Self {
            given: given.collect(),
        }
    }
}

impl fmt::Display for JobRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Job(id) => id.fmt(f),
            Self::Worker(id) => id.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests;
