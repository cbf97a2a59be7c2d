//! Finding jobs and workers: by number, by worker id, as a list.

use std::{
    cmp::Reverse,
    collections::{HashMap, HashSet},
    time::Duration,
};

use artifact_store::{Liveness, Metadata, Status, StoreError, WorkerFilter, WorkerReader};
use metrics_core::{Timestamp, WorkerId};
use serde::Serialize;

use crate::{
    Job, JobFilter, JobId, JobRef, JobStatus, Supervisor, SupervisorError,
    dead::{by_the_book, duration_of, has_died},
    supervisor::View,
    texts,
};

/// One job or worker in a list.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WorkerRow {
    /// The job; `None` for a worker without one.
    pub job_id: Option<u64>,
    /// The worker; `None` for a job that has not started.
    pub worker_id: Option<WorkerId>,
    /// `queued`, or the worker's status; `unknown` where it began on another machine and cannot be asked whether it lives.
    pub status: String,
    /// How long it ran, in whole milliseconds; `None` while it runs.
    pub duration_ms: Option<u64>,
    /// The same in microseconds, for a text that shows less than a millisecond.
    #[serde(skip)]
    pub duration: Option<Duration>,
    /// How long it has been running, as far as its metadata tells.
    #[serde(skip)]
    pub elapsed: Option<Duration>,
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
    /// A job's worker whose metadata cannot be read; its other files may be whole.
    Damaged(Box<DamagedWorker>),
}

#[derive(Debug)]
pub(crate) struct DamagedWorker {
    pub(crate) job: Job,
    pub(crate) reader: WorkerReader,
    pub(crate) problem: StoreError,
}

#[derive(Debug)]
pub(crate) struct FoundWorker {
    pub(crate) job: Option<Job>,
    pub(crate) metadata: Metadata,
    pub(crate) reader: WorkerReader,
}

impl WorkerRow {
    /// The row in one line of text, as `list_workers` has it.
    pub fn line(&self) -> String {
        texts::row(self, None)
    }
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
        self.end_jobs_of_the_dead(filter.owner.as_deref())?;
        // The book first: a job that starts meanwhile is then found twice, and not missed.
        let mut jobs = Vec::new();
        // Those that can be without a worker.
        for status in [
            JobStatus::Queued,
            JobStatus::Running,
            JobStatus::Failed,
            JobStatus::Cancelled,
        ] {
            if !filter.wants(status) {
                continue;
            }
            let listed = self.book.list(&JobFilter {
                owner: filter.owner.as_deref(),
                status: Some(status),
                since: filter.since,
                limit: filter.limit,
            })?;
            let without_worker = listed.into_iter().filter(|it| it.worker_id.is_none());
            jobs.extend(without_worker.map(|it| self.with_unnoted_end(it)));
        }
        let mut rows = WorkerRows::default();
        if let Some(status) = filter.worker_status() {
            let repeated: HashMap<_, _> = self.book.repeated()?.into_iter().collect();
            // A job shows its last attempt alone; room for the others is in the limit.
            let earlier: u32 = repeated.values().map(|it| it.saturating_sub(1)).sum();
            let is_last = |it: &Metadata| {
                let id = it.job_id.and_then(|it| JobId::try_from(it).ok());
                let last = id.and_then(|it| repeated.get(&it));
                last.is_none_or(|last| it.attempt.unwrap_or(1) >= *last)
            };
            let list = self.store.list(&WorkerFilter {
                limit: filter
                    .limit
                    .map(|it| it.saturating_add(usize::try_from(earlier).unwrap_or(0))),
                status,
                since: filter.since,
                owner: filter.owner.clone(),
            })?;
            rows.rows = list
                .workers
                .into_iter()
                .filter(is_last)
                .map(|it| self.worker_row(it))
                .collect::<Result<_, _>>()?;
            rows.problems = list.problems;
            for problem in &rows.problems {
                let job = self.job_of_damaged(problem, filter.owner.as_deref())?;
                jobs.extend(job.filter(|it| filter.fits(it)));
            }
        }
        // A job whose worker is listed is that worker's row.
        let mut listed: HashSet<_> = rows.rows.iter().filter_map(|it| it.job_id).collect();
        rows.rows.extend(
            jobs.into_iter()
                .filter(|it| listed.insert(it.id.get()))
                .map(WorkerRow::from),
        );
        rows.rows
            .sort_by_key(|it| Reverse((it.created_at, it.job_id)));
        rows.rows.truncate(filter.limit.unwrap_or(usize::MAX));
        Ok(rows)
    }

    /// The job whose worker's metadata cannot be read, if it is `owner`'s: the book knows it all the same.
    pub(crate) fn job_of_damaged(
        &self,
        problem: &StoreError,
        owner: Option<&str>,
    ) -> Result<Option<Job>, SupervisorError> {
        let StoreError::Damaged { path, .. } = problem else {
            return Ok(None);
        };
        let dir = path.parent().and_then(|it| it.file_name()?.to_str());
        let Some(worker_id) = dir.map(WorkerId::from) else {
            return Ok(None);
        };
        let job = self.book.by_worker(&worker_id, owner)?;
        job.map(|it| self.settled(it)).transpose()
    }

    fn worker_row(&self, metadata: Metadata) -> Result<WorkerRow, SupervisorError> {
        if !metadata.status.is_final() {
            let is_known = self.store.liveness(&metadata) != Liveness::Unknown;
            let id = metadata.job_id.and_then(|it| JobId::try_from(it).ok());
            let id = id.filter(|it| self.has_unnoted_end(*it));
            let job = id.map(|it| self.job(it, None)).transpose()?.flatten();
            return Ok(match job {
                Some(job) => worker_row(by_the_book(metadata, &job), true),
                None => {
                    let since = metadata.started_at.filter(|_| is_known);
                    let now = self.store.clock().timestamp().unix_micros();
                    let elapsed = since.map(|it| u64::try_from(now - it.unix_micros()));
                    WorkerRow {
                        elapsed: elapsed.and_then(Result::ok).map(Duration::from_micros),
                        ..worker_row(metadata, is_known)
                    }
                }
            });
        }
        let id = metadata.job_id.filter(|_| has_died(&metadata));
        let job = match id.and_then(|it| JobId::try_from(it).ok()) {
            Some(id) => self.book.get(id, None)?,
            None => None,
        };
        let job = job.filter(|it| it.worker_id.as_ref() == Some(&metadata.worker_id));
        Ok(match job {
            Some(job) => worker_row(by_the_book(metadata, &job), true),
            None => worker_row(metadata, true),
        })
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
        let Some(job) = self.job(id, owner)? else {
            return Ok(None);
        };
        let Some(worker_id) = job.worker_id.clone() else {
            return Ok(Some(Found::Job(Box::new(job))));
        };
        let reader = match self.store.worker(&worker_id) {
            Ok(reader) => reader,
            Err(StoreError::WorkerNotFound { .. }) => return Ok(Some(Found::Job(Box::new(job)))),
            Err(error) => return Err(error.into()),
        };
        Ok(Some(with_metadata(job, reader)))
    }

    fn find_worker(
        &self,
        id: &WorkerId,
        owner: Option<&str>,
    ) -> Result<Option<Found>, SupervisorError> {
        let reader = match self.store.worker(id) {
            Ok(reader) => reader,
            // The book knows those too that were removed.
            Err(StoreError::WorkerNotFound { .. }) => {
                let job = self.book.by_worker(id, owner)?;
                return Ok(job.map(|it| Found::Job(Box::new(it))));
            }
            // Whose it is cannot be read, so it is nobody's but the one's who sees all.
            Err(_) if owner.is_some() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        // The book knows whose a worker is even where its metadata cannot be read.
        if let Some(job) = self.book.by_worker(id, owner)? {
            return Ok(Some(with_metadata(self.settled(job)?, reader)));
        }
        let metadata = match reader.metadata() {
            Ok(metadata) if owner.is_some_and(|it| it != metadata.owner) => return Ok(None),
            Ok(metadata) => metadata,
            Err(_) if owner.is_some() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        // The book does not name a worker that has only just been made.
        let id = metadata.job_id.and_then(|it| JobId::try_from(it).ok());
        let job = id.map(|it| self.job(it, owner)).transpose()?.flatten();
        let job = job.filter(|it| match &it.worker_id {
            None => it.status == JobStatus::Running && it.attempt == metadata.attempt.unwrap_or(1),
            Some(id) => *id == metadata.worker_id, // Noted just now.
        });
        Ok(Some(Found::Worker(Box::new(FoundWorker {
            job,
            metadata,
            reader,
        }))))
    }
}

/// The worker of a job. The metadata is read after the job: once the job has ended, it says so too.
fn with_metadata(job: Job, reader: WorkerReader) -> Found {
    match reader.metadata() {
        Ok(metadata) => Found::Worker(Box::new(FoundWorker {
            metadata: by_the_book(metadata, &job),
            job: Some(job),
            reader,
        })),
        Err(problem) => Found::Damaged(Box::new(DamagedWorker {
            job,
            reader,
            problem,
        })),
    }
}

impl FoundWorker {
    /// How texts name it: `worker job 123 (worker 2025-…)`, or without a job `worker 2025-…`.
    pub(crate) fn name(&self) -> String {
        texts::worker_name(self.job_id(), &self.metadata.worker_id)
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

    fn fits(&self, job: &Job) -> bool {
        self.wants(job.status) && self.since.is_none_or(|since| job.created_at >= since)
    }

    fn wants(&self, status: JobStatus) -> bool {
        match self.status {
            None => true,
            Some(RowStatus::Queued) => status == JobStatus::Queued,
            Some(RowStatus::Worker(wanted)) => status.as_str() == wanted.as_str(),
        }
    }
}

fn worker_row(metadata: Metadata, is_known: bool) -> WorkerRow {
    let duration = texts::duration(&metadata);
    WorkerRow {
        job_id: metadata.job_id,
        worker_id: Some(metadata.worker_id),
        status: if is_known {
            metadata.status.to_string()
        } else {
            "unknown".to_owned()
        },
        duration_ms: metadata.duration_ms,
        duration,
        elapsed: None,
        owner: metadata.owner,
        task: metadata.task,
        summary: metadata.summary,
        created_at: metadata.created_at,
    }
}

/// The row of a job without a worker, or with one that is not looked at: its summary is the job's error.
impl From<Job> for WorkerRow {
    fn from(job: Job) -> Self {
        let duration = job.worker_id.as_ref().and_then(|_| duration_of(&job));
        Self {
            job_id: Some(job.id.get()),
            status: job.status.to_string(),
            duration_ms: duration.map(|it| it / 1000),
            duration: duration.map(Duration::from_micros),
            elapsed: None,
            worker_id: job.worker_id,
            owner: job.owner,
            task: job.task,
            summary: job.error,
            created_at: job.created_at,
        }
    }
}
