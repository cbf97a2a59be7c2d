//! Why a tool could not do what it was asked, as the text that a model reads.

use artifact_store::StoreError;

use super::arguments::BadArgument;
use crate::{JobRefError, SupervisorError, texts};

/// What a tool answers: a text either way, as a model reads it.
pub type ToolAnswer = Result<String, ToolFailure>;

/// A tool could not do what it was asked; its text begins with `Error: `.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ToolFailure {
    /// The job is not there yet, not any more, or somebody else's.
    #[error("Error: {0}")]
    Refused(String),
    /// The job has not ended; the whole text is given.
    #[error("{0}")]
    NotEnded(String),
    /// The store or the book does not work.
    #[error("Error: {}", texts::one_line(&chain(.0)))]
    Broken(#[from] SupervisorError),
}

impl From<StoreError> for ToolFailure {
    fn from(error: StoreError) -> Self {
        match error {
            // What was asked for is not there: the caller can mend that.
            StoreError::Refused { .. } | StoreError::FileNotFound { .. } => {
                Self::Refused(format!("{}.", texts::one_line(&error.to_string())))
            }
            StoreError::Pattern { .. } => {
                let error = texts::one_line(&texts::cut(&error.to_string(), 1000));
                Self::Refused(format!(
                    "{error}. Write a backslash before a character that is meant as it stands, such as `\\(`."
                ))
            }
            other => Self::Broken(other.into()),
        }
    }
}

/// The same text as for a job that is not there.
impl From<JobRefError> for ToolFailure {
    fn from(error: JobRefError) -> Self {
        Self::Refused(texts::not_found(error.given()))
    }
}

impl From<BadArgument> for ToolFailure {
    fn from(error: BadArgument) -> Self {
        Self::Refused(error.to_string())
    }
}

/// An error and what caused it.
fn chain(error: &SupervisorError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(it) = cause {
        let cause_text = it.to_string();
        // Some say their cause themselves.
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        cause = it.source();
    }
    text
}
