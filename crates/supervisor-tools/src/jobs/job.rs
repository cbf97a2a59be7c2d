//! A job as it is handed over, kept and listed.

use std::{fmt, sync::Arc, time::Duration};

use metrics_core::{Timestamp, WorkerId};

use super::{JobId, JobStatus};

/// The id of one run of a program: the name of the lock file that it holds while it lives.
///
/// Any text here: who makes a path of it checks it first. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RunId(Arc<str>);

impl RunId {
    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<T: Into<Arc<str>>> From<T> for RunId {
    fn from(text: T) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A task to write down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewJob {
    /// Who asks; only they see the job.
    pub owner: String,
    /// What the worker is to do.
    pub task: String,
    /// The model to do it with; `None` leaves the choice to whoever runs it.
    pub model: Option<String>,
    /// How long the worker may take; kept in whole microseconds.
    pub timeout: Duration,
}

/// A job as the book holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its number, never given twice.
    pub id: JobId,
    /// Who asked for it.
    pub owner: String,
    /// What the worker is to do.
    pub task: String,
    /// The model asked for.
    pub model: Option<String>,
    /// How long the worker may take.
    pub timeout: Duration,
    /// Where it stands.
    pub status: JobStatus,
    /// The worker of the last attempt, from its start on.
    pub worker_id: Option<WorkerId>,
    /// The process that added the job, and runs it unless another one was started to do so.
    pub spawned_by: RunId,
    /// The process that claimed it last: while that one holds its lock, the job is its own.
    pub run: Option<RunId>,
    /// How often it was claimed.
    pub attempt: u32,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it was claimed last.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// What went wrong.
    pub error: Option<String>,
    /// Somebody wants it to end: for the process that runs it to see.
    pub cancel_requested: bool,
}

/// Which jobs to list; the default is all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct JobFilter<'a> {
    /// Jobs of this owner alone.
    pub owner: Option<&'a str>,
    /// Jobs that stand so.
    pub status: Option<JobStatus>,
    /// Jobs added then or later.
    pub since: Option<Timestamp>,
    /// At most so many, the newest.
    pub limit: Option<usize>,
}
