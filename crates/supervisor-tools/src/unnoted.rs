//! Ends of jobs that the book could not take, as on a full disk: known here, and tried again whenever somebody asks.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use metrics_core::Timestamp;

use crate::{FinalStatus, Job, JobBookError, JobId, supervisor::View};

/// The ends that are not in the book.
#[derive(Debug, Default)]
pub(crate) struct UnnotedEnds(Mutex<HashMap<JobId, End>>);

/// How a job ended.
#[derive(Debug, Clone)]
pub(crate) struct End {
    pub(crate) status: FinalStatus,
    pub(crate) error: Option<String>,
    pub(crate) finished_at: Timestamp,
}

impl UnnotedEnds {
    fn lock(&self) -> MutexGuard<'_, HashMap<JobId, End>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl View<'_> {
    /// Writes down how a job ended. If the book cannot take it, it is known to this process all the same.
    pub(crate) fn end(&self, id: JobId, end: End) -> Result<(), JobBookError> {
        let noted = self.note(id, &end);
        if noted.is_err() {
            self.unnoted.lock().insert(id, end);
        }
        noted
    }

    pub(crate) fn has_unnoted_end(&self, id: JobId) -> bool {
        self.unnoted.lock().contains_key(&id)
    }

    /// `job`, just read, with its end that the book could not take.
    pub(crate) fn with_unnoted_end(&self, job: Job) -> Job {
        let end = self.unnoted.lock().get(&job.id).cloned();
        let Some(end) = end else { return job };
        if self.note(job.id, &end).is_ok() {
            self.unnoted.lock().remove(&job.id);
        }
        if job.status.is_final() {
            return job; // The first final state stands.
        }
        Job {
            status: end.status.into(),
            error: end.error,
            finished_at: Some(end.finished_at),
            ..job
        }
    }

    fn note(&self, id: JobId, end: &End) -> Result<(), JobBookError> {
        let error = end.error.as_deref();
        self.book
            .finish(id, end.status, error, end.finished_at)
            .map(drop)
    }
}
