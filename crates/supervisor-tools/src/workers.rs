//! Finding jobs and workers: by number, by worker id, as a list.

use std::cmp::Reverse;

use artifact_store::{Metadata, Status, StoreError, WorkerFilter, WorkerReader};
use metrics_core::{Timestamp, WorkerId};
use serde::Serialize;

use crate::{
    Job, JobFilter, JobId, JobRef, JobStatus, Supervisor, SupervisorError, supervisor::View,
};

/// One job or worker in a list.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WorkerRow {
    /// The job; `None` for a worker without one.
    pub job_id: Option<u64>,
    /// The worker; `None` for a job that has not started.
    pub worker_id: Option<WorkerId>,
    /// `queued`, or the worker's status.
    pub status: String,
    /// How long it ran, in whole milliseconds; `None` while it runs.
    pub duration_ms: Option<u64>,
    /// Whose it is.
    pub owner: String,
    /// The whole task.
    pub task: String,
    /// The result in one line.
    pub summary: Option<String>,
    /// When it was written down, or its directory made.
    pub created_at: Timestamp,
}

/// Jobs and workers, newest first, and what could not be read.
#[derive(Debug, Default)]
pub struct WorkerRows {
    /// The rows.
    pub rows: Vec<WorkerRow>,
    /// Directories that are no readable worker, and why.
    pub problems: Vec<StoreError>,
}

/// Which jobs and workers to list.
#[derive(Debug, Clone, Default)]
pub struct RowFilter {
    /// At most so many.
    pub limit: Option<usize>,
    /// Only those in this state; `queued` is one of a job, `created` one of a worker.
    pub status: Option<RowStatus>,
    /// Only those made at this time or later.
    pub since: Option<Timestamp>,
    /// Only this owner's.
    pub owner: Option<String>,
}

/// A status that a row can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowStatus {
    /// A job that has not started.
    Queued,
    /// A worker's.
    Worker(Status),
}

impl std::str::FromStr for RowStatus {
    type Err = RowStatusError;

    fn from_str(text: &str) -> Result<Self, RowStatusError> {
        if text == JobStatus::Queued.as_str() {
            return Ok(Self::Queued);
        }
        let status = text.parse().map(Self::Worker);
        status.map_err(|_| RowStatusError(text.chars().take(60).collect()))
    }
}

/// A word that is no [`RowStatus`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a status; use queued, created, running, success, failed, timeout or cancelled"
)]
pub struct RowStatusError(String);

/// What a job id stands for.
#[derive(Debug)]
pub(crate) enum Found {
    /// A job that has no worker: not yet, or not any more.
    Job(Box<Job>),
    /// A worker, and its job if it has one.
    Worker(Box<FoundWorker>),
}

#[derive(Debug)]
pub(crate) struct FoundWorker {
    pub(crate) job: Option<Job>,
    pub(crate) metadata: Metadata,
    pub(crate) reader: WorkerReader,
}

impl Supervisor {
    /// Lists jobs and workers, newest first.
    ///
    /// # Errors
    /// Only if the data directory or the job book cannot be read; an unreadable worker is a problem in the answer.
    pub async fn rows(&self, filter: RowFilter) -> Result<WorkerRows, SupervisorError> {
        self.unblock(move |view| view.rows(&filter)).await
    }
}

impl View<'_> {
    fn rows(&self, filter: &RowFilter) -> Result<WorkerRows, SupervisorError> {
        let mut rows = WorkerRows::default();
        if let Some(status) = filter.worker_status() {
            let list = self.store.list(&WorkerFilter {
                limit: filter.limit,
                status,
                since: filter.since,
                owner: filter.owner.clone(),
            })?;
            rows.rows = list.workers.into_iter().map(worker_row).collect();
            rows.problems = list.problems;
        }
        // A job whose worker is listed is that worker's row.
        for status in [JobStatus::Queued, JobStatus::Failed, JobStatus::Cancelled] {
            if !filter.wants(status) {
                continue;
            }
            let jobs = self.book.list(&JobFilter {
                owner: filter.owner.as_deref(),
                status: Some(status),
                since: filter.since,
                limit: filter.limit,
            })?;
            let without_worker = jobs.into_iter().filter(|it| it.worker_id.is_none());
            rows.rows.extend(without_worker.map(job_row));
        }
        rows.rows
            .sort_by_key(|it| Reverse((it.created_at, it.job_id)));
        rows.rows.truncate(filter.limit.unwrap_or(usize::MAX));
        Ok(rows)
    }

    /// What `job` stands for, if it is `owner`'s; `None` says nothing about whether somebody else has it.
    pub(crate) fn find(
        &self,
        job: &JobRef,
        owner: Option<&str>,
    ) -> Result<Option<Found>, SupervisorError> {
        match job {
            JobRef::Job(id) => self.find_job(*id, owner),
            JobRef::Worker(id) => self.find_worker(id, owner),
        }
    }

    fn find_job(&self, id: JobId, owner: Option<&str>) -> Result<Option<Found>, SupervisorError> {
        let Some(job) = self.book.get(id, owner)? else {
            return Ok(None);
        };
        let Some(worker_id) = job.worker_id.clone() else {
            return Ok(Some(Found::Job(Box::new(job))));
        };
        match self.open(&worker_id) {
            Ok((metadata, reader)) => Ok(Some(Found::Worker(Box::new(FoundWorker {
                job: Some(job),
                metadata,
                reader,
            })))),
            Err(StoreError::WorkerNotFound { .. }) => Ok(Some(Found::Job(Box::new(job)))),
            Err(error) => Err(error.into()),
        }
    }

    fn find_worker(
        &self,
        id: &WorkerId,
        owner: Option<&str>,
    ) -> Result<Option<Found>, SupervisorError> {
        let (metadata, reader) = match self.open(id) {
            Ok(opened) => opened,
            Err(StoreError::WorkerNotFound { .. }) => return Ok(None),
            // Whose it is cannot be read, so it is nobody's but the one's who sees all.
            Err(_) if owner.is_some() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        if owner.is_some_and(|it| it != metadata.owner) {
            return Ok(None);
        }
        let job = self.book.by_worker(id, owner)?;
        Ok(Some(Found::Worker(Box::new(FoundWorker {
            job,
            metadata,
            reader,
        }))))
    }

    fn open(&self, id: &WorkerId) -> Result<(Metadata, WorkerReader), StoreError> {
        let reader = self.store.worker(id)?;
        Ok((reader.metadata()?, reader))
    }
}

impl FoundWorker {
    /// How texts name it: `job 123 (worker 2025-…)`, or without a job `2025-…`.
    pub(crate) fn name(&self) -> String {
        let worker_id = &self.metadata.worker_id;
        match self.job_id() {
            Some(id) => format!("worker job {id} (worker {worker_id})"),
            None => format!("worker {worker_id}"),
        }
    }

    pub(crate) fn job_id(&self) -> Option<u64> {
        let of_job = self.job.as_ref().map(|it| it.id.get());
        of_job.or(self.metadata.job_id)
    }
}

impl RowFilter {
    /// The status to ask the store for; the outer `None` if no worker can fit.
    #[expect(
        clippy::option_option,
        reason = "no worker at all, any worker, or those of one status"
    )]
    fn worker_status(&self) -> Option<Option<Status>> {
        match self.status {
            None => Some(None),
            Some(RowStatus::Worker(status)) => Some(Some(status)),
            Some(RowStatus::Queued) => None,
        }
    }

    fn wants(&self, status: JobStatus) -> bool {
        match self.status {
            None => true,
            Some(RowStatus::Queued) => status == JobStatus::Queued,
            Some(RowStatus::Worker(wanted)) => status.as_str() == wanted.as_str(),
        }
    }
}

fn worker_row(metadata: Metadata) -> WorkerRow {
    WorkerRow {
        job_id: metadata.job_id,
        worker_id: Some(metadata.worker_id),
        status: metadata.status.to_string(),
        duration_ms: metadata.duration_ms,
        owner: metadata.owner,
        task: metadata.task,
        summary: metadata.summary,
        created_at: metadata.created_at,
    }
}

fn job_row(job: Job) -> WorkerRow {
    WorkerRow {
        job_id: Some(job.id.get()),
        worker_id: None,
        status: job.status.to_string(),
        duration_ms: None,
        owner: job.owner,
        task: job.task,
        summary: job.error,
        created_at: job.created_at,
    }
}
