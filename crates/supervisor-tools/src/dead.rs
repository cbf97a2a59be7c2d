//! Jobs whose process died: the first one to ask for such a job ends it in the book, or puts it back into the line.
//!
//! A job that a dead process had only queued stays queued; processes that take jobs move it into the line they share.

use std::collections::HashMap;

use artifact_store::{Liveness, Metadata, Status, StoreError, WORKER_DIED, WorkerFilter};

use crate::{
    FinalStatus, Job, JobFilter, JobId, JobStatus, RunId, SupervisorError,
    supervisor::{View, final_status},
};

impl View<'_> {
    /// The job as it stands, if it is `owner`'s.
    pub(crate) fn job(
        &self,
        id: JobId,
        owner: Option<&str>,
    ) -> Result<Option<Job>, SupervisorError> {
        let job = self.book.get(id, owner)?;
        job.map(|it| self.settled(it)).transpose()
    }

    /// Ends all running jobs whose process died, so that a list has them where they belong.
    pub(crate) fn end_jobs_of_the_dead(&self, owner: Option<&str>) -> Result<(), SupervisorError> {
        let running = self.book.list(&JobFilter {
            owner,
            status: Some(JobStatus::Running),
            ..JobFilter::default()
        })?;
        let mut runs: HashMap<RunId, Liveness> = HashMap::new();
        for job in running {
            let Some(run) = job.run.clone() else { continue };
            let liveness = runs.entry(run.clone());
            let liveness = liveness.or_insert_with(|| self.store.run_liveness(run.as_str()));
            if *liveness == Liveness::Dead {
                self.end_for_dead(job, &run)?;
            }
        }
        Ok(())
    }

    /// What a process that takes jobs does now and then: ends the jobs of the dead or puts them back into the line, and
    /// takes over the lines that they left. Whether there was anything to do.
    pub(crate) fn clear_up_after_the_dead(&self) -> Result<bool, SupervisorError> {
        let is_dead = |run: &RunId| self.store.run_liveness(run.as_str()) == Liveness::Dead;
        let mut did_something = false;
        for run in self.book.runs_with_jobs()?.iter().filter(|it| is_dead(it)) {
            for job in self.book.running_of(run)? {
                self.end_for_dead(job, run)?;
            }
            did_something = true;
        }
        for run in self.book.runs_with_lines()?.iter().filter(|it| is_dead(it)) {
            did_something |= self.book.share_line_of(run)? > 0;
        }
        for run in self.book.takers(None)?.iter().filter(|it| is_dead(it)) {
            self.book.remove_taker(run)?;
        }
        Ok(did_something)
    }

    /// How many living processes take this owner's jobs from the shared line.
    pub(crate) fn takers(&self, owner: &str) -> Result<usize, SupervisorError> {
        let mut takers = self.book.takers(Some(owner))?;
        takers.retain(|it| self.store.run_liveness(it.as_str()) != Liveness::Dead);
        Ok(takers.len())
    }

    /// `job`, just read, ended if its process is dead.
    pub(crate) fn settled(&self, job: Job) -> Result<Job, SupervisorError> {
        let job = self.with_unnoted_end(job);
        match (job.status, job.run.clone()) {
            (JobStatus::Running, Some(run))
                if self.store.run_liveness(run.as_str()) == Liveness::Dead =>
            {
                self.end_for_dead(job, &run)
            }
            _ => Ok(job),
        }
    }

    /// Ends a job as its worker ended, which the process may have had no time to note. If the worker did not come to an end,
    /// the job may have another attempt.
    fn end_for_dead(&self, job: Job, run: &RunId) -> Result<Job, SupervisorError> {
        let Ok(worker) = self.worker_for_dead(&job, run) else {
            return Ok(job); // How it ended cannot be read just now.
        };
        let has_ended = |it: &Metadata| it.status.is_final() && !has_died(it);
        if job.may_repeat() && !worker.as_ref().is_some_and(has_ended) {
            let requeued = self.book.requeue(job.id, run);
            if let Err(error) = requeued {
                tracing::error!(%error, job_id = job.id.get(), "cannot put a job back into the line");
                return Ok(job);
            }
            return Ok(self.book.get(job.id, None)?.unwrap_or(job));
        }
        let now = self.store.clock().timestamp();
        let ended = worker.as_ref().filter(|it| it.status.is_final());
        let (status, error, finished_at) = match ended {
            Some(it) => (final_status(it.status), it.error.clone(), it.finished_at),
            None => (FinalStatus::Failed, Some(WORKER_DIED.to_owned()), None),
        };
        let finished_at = finished_at.unwrap_or(now);
        let worker_id = job.worker_id.clone().or(worker.map(|it| it.worker_id));
        let noted = self.book.finish_for_dead(
            job.id,
            run,
            worker_id.as_ref(),
            status,
            error.as_deref(),
            finished_at,
        );
        let ended = Job {
            status: status.into(),
            error,
            finished_at: Some(finished_at),
            worker_id,
            ..job
        };
        match noted {
            Ok(true) => Ok(ended),
            // Somebody was faster, perhaps the process itself before it died.
            Ok(false) => Ok(self.book.get(ended.id, None)?.unwrap_or(ended)),
            // It is over all the same.
            Err(error) => {
                tracing::error!(%error, job_id = ended.id.get(), "cannot note a job's end");
                Ok(ended)
            }
        }
    }

    /// The metadata of the job's worker, also of one that the process had made and not noted. `None` if there is none that
    /// says anything.
    fn worker_for_dead(&self, job: &Job, run: &RunId) -> Result<Option<Metadata>, StoreError> {
        if let Some(id) = &job.worker_id {
            return match self.store.worker(id).and_then(|it| it.metadata()) {
                Err(error @ StoreError::Io { .. }) => Err(error),
                metadata => Ok(metadata.ok()),
            };
        }
        let list = self.store.list(&WorkerFilter {
            since: job.started_at,
            ..WorkerFilter::default()
        })?;
        let is_of_job = |it: &Metadata| {
            it.job_id == Some(job.id.get()) && it.run.as_deref() == Some(run.as_str())
        };
        Ok(list.workers.into_iter().find(is_of_job))
    }
}

/// Whether the worker was found dead.
pub(crate) fn has_died(metadata: &Metadata) -> bool {
    metadata.status == Status::Failed && metadata.error.as_deref() == Some(WORKER_DIED)
}

/// The metadata of a job's worker with the end that the book knows, where the metadata has none of its own: it could not be
/// written at the end, as on a full disk.
pub(crate) fn by_the_book(mut metadata: Metadata, job: &Job) -> Metadata {
    let has_no_end = !metadata.status.is_final()
        || (has_died(&metadata) && job.error.as_deref() != Some(WORKER_DIED));
    if has_no_end && let Some(status) = worker_status(job.status) {
        metadata.status = status;
        metadata.error.clone_from(&job.error);
        metadata.finished_at = job.finished_at;
        metadata.duration_us = duration_of(job);
        metadata.duration_ms = metadata.duration_us.map(|it| it / 1000);
    }
    metadata
}

fn worker_status(status: JobStatus) -> Option<Status> {
    match status {
        JobStatus::Queued | JobStatus::Running => None,
        JobStatus::Success => Some(Status::Success),
        JobStatus::Failed => Some(Status::Failed),
        JobStatus::Timeout => Some(Status::Timeout),
        JobStatus::Cancelled => Some(Status::Cancelled),
    }
}

/// How long a job ran by the book, in microseconds.
pub(crate) fn duration_of(job: &Job) -> Option<u64> {
    let micros = job.finished_at?.unix_micros() - job.started_at?.unix_micros();
    u64::try_from(micros).ok()
}
