//! A job as it is handed over, kept and listed.

use std::{fmt, sync::Arc, time::Duration};

use metrics_core::{Timestamp, WorkerId};
use serde_json::{Map, Value};
use worker_runner::DEFAULT_TIMEOUT;

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
    /// How often it is begun at most. Another attempt follows only on the death of the process that made the last one.
    pub max_attempts: u32,
    /// What another process has to know to run it as this one would; no secrets, as it is written down.
    pub settings: Map<String, Value>,
    /// The W3C `traceparent` of what it is started for.
    pub traceparent: Option<String>,
    /// The worker that it is started for.
    pub parent_worker_id: Option<WorkerId>,
}

impl NewJob {
    /// A task of `owner` with all else as usual: five minutes, one attempt.
    pub fn new(owner: impl Into<String>, task: impl Into<String>) -> Self {
        Self {
            owner: owner.into(),
            task: task.into(),
            model: None,
            timeout: DEFAULT_TIMEOUT,
            max_attempts: 1,
            settings: Map::new(),
            traceparent: None,
            parent_worker_id: None,
        }
    }
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
    /// The process that added the job.
    pub spawned_by: RunId,
    /// Whether it stands in the line that all processes share which were started to take jobs; else only the process that
    /// added it runs it.
    pub is_shared: bool,
    /// The process that claimed it last: while that one holds its lock, the job is its own.
    pub run: Option<RunId>,
    /// How often it was claimed.
    pub attempt: u32,
    /// How often it may be.
    pub max_attempts: u32,
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
    /// What a process has to know to run it.
    pub settings: Map<String, Value>,
    /// What it was started for, in a trace.
    pub traceparent: Option<String>,
    /// The worker that it was started for.
    pub parent_worker_id: Option<WorkerId>,
}

impl Job {
    /// Whether it may be begun again if the process that runs it dies.
    pub fn may_repeat(&self) -> bool {
        self.attempt < self.max_attempts && !self.cancel_requested
    }
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
