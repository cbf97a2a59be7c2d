//! The tools a supervisor calls: arguments in, text out. Bad input gets a text that begins with `Error: ` and says what to
//! do next.

mod arguments;
mod call;
mod definitions;
mod failure;
mod shortened;

use std::{fmt::Write as _, time::Duration};

use artifact_store::{
    Liveness, MAX_READ_BYTES, Metadata, OpenCall, SearchOptions, StoreError, WorkerReader,
    file_names,
};
use metrics_collector::{CallKind, InFlightCall};
use metrics_core::Timestamp;
use model_prices::PriceTable;
use worker_runner::{DEFAULT_TIMEOUT, ToolDefinition};

use crate::{
    Activity, Cancelled, Job, JobId, JobRef, JobStatus, NewJob, Supervisor, SupervisorError,
    digest::Digest,
    texts,
    workers::{DamagedWorker, Found, FoundWorker, RowFilter, RowStatus},
};

pub use self::failure::{ToolAnswer, ToolFailure};
use self::shortened::shortened;

/// How long `wait=true` waits unless told otherwise.
pub const DEFAULT_WAIT: Duration = Duration::from_mins(1);
/// Workers that `list_workers` shows unless told otherwise.
pub const DEFAULT_LIMIT: usize = 20;
/// How far back `grep_workers` looks unless told otherwise.
pub const DEFAULT_GREP_HOURS: f64 = 24.0;
/// A longer task could not be read back from its metadata, where a control character takes six bytes.
const MAX_TASK_BYTES: usize = 10 << 20;
/// Problems that are shown; the rest is counted.
const SHOWN_PROBLEMS: usize = 10;

/// The tools, for one owner: it sees only what is its own.
#[derive(Debug, Clone)]
pub struct SupervisorTools {
    supervisor: Supervisor,
    /// `None` sees everybody's.
    owner: Option<String>,
    has_usage_line: bool,
    prices: PriceTable,
}

/// What `spawn_worker` is asked.
#[derive(Debug, Clone)]
pub struct SpawnRequest {
    /// What the worker shall do.
    pub task: String,
    /// The model to do it with.
    pub model: Option<String>,
    /// Ends the worker after so long.
    pub timeout: Duration,
    /// Waits for the result so long at most; `None` does not wait.
    pub wait: Option<Duration>,
}

impl SpawnRequest {
    /// A task with all else as usual.
    pub fn new(task: impl Into<String>) -> Self {
        Self {
            task: task.into(),
            model: None,
            timeout: DEFAULT_TIMEOUT,
            wait: None,
        }
    }
}

impl Supervisor {
    /// The tools for `owner`; with `None` for somebody who sees everybody's workers, such as the person at the machine.
    pub fn tools(&self, owner: Option<&str>) -> SupervisorTools {
        SupervisorTools {
            supervisor: self.clone(),
            owner: owner.map(str::to_owned),
            has_usage_line: true,
            prices: PriceTable::builtin(),
        }
    }
}

impl SupervisorTools {
    /// The tools as a model sees them, with JSON schemas for their arguments.
    pub fn definitions() -> Vec<ToolDefinition> {
        definitions::all()
    }

    /// Whether results have a line `Usage: …` with the worker's calls, tokens and cost; they do unless told otherwise.
    #[must_use]
    pub fn usage_line(mut self, has_usage_line: bool) -> Self {
        self.has_usage_line = has_usage_line;
        self
    }

    /// The prices that `worker_metrics` uses; otherwise [`PriceTable::builtin`]. Results have the cost that was found when the
    /// worker ran.
    #[must_use]
    pub fn prices(mut self, prices: PriceTable) -> Self {
        self.prices = prices;
        self
    }

    /// Writes a job down and starts it; with `wait` gives its result.
    ///
    /// # Errors
    /// [`ToolFailure::NotEnded`] if it runs on after the wait.
    pub async fn spawn_worker(&self, request: SpawnRequest) -> ToolAnswer {
        let id = self.spawn(&request).await?;
        let Some(limit) = request.wait else {
            return Ok(format!(
                "Worker job {id} is queued. Call read_worker_result with job_id {id} for its result."
            ));
        };
        self.supervisor.wait(id, limit).await?;
        self.read_worker_result(&JobRef::Job(id)).await
    }

    /// Checks a request, writes its job down and starts it; gives the job.
    ///
    /// # Errors
    /// [`ToolFailure::Refused`] for an empty task or an unknown model.
    pub async fn spawn(&self, request: &SpawnRequest) -> Result<JobId, ToolFailure> {
        if request.task.trim().is_empty() {
            return Err(ToolFailure::Refused(
                "the task is empty. Say in a sentence or more what the worker shall do.".to_owned(),
            ));
        }
        if request.task.len() > MAX_TASK_BYTES {
            return Err(ToolFailure::Refused(format!(
                "the task has {} bytes, more than {MAX_TASK_BYTES}. Put the material into a file and name it in the task.",
                request.task.len()
            )));
        }
        // The book keeps whole microseconds.
        if request.timeout.as_micros() == 0 {
            return Err(ToolFailure::Refused(
                "the timeout is zero. Give the worker some time, such as 300 seconds.".to_owned(),
            ));
        }
        let job = NewJob {
            owner: self
                .owner
                .clone()
                .unwrap_or_else(|| artifact_store::DEFAULT_OWNER.to_owned()),
            task: request.task.clone(),
            model: request.model.clone(),
            timeout: request.timeout,
        };
        self.supervisor
            .spawn(job)
            .await
            .map_err(|error| match error {
                SupervisorError::UnknownModel(_) => ToolFailure::Refused(format!("{error}.")),
                other => other.into(),
            })
    }

    /// Recent jobs and workers, a line each.
    ///
    /// # Errors
    /// Only if the store or the book does not work.
    pub async fn list_workers(
        &self,
        limit: usize,
        status: Option<RowStatus>,
        since_hours: Option<f64>,
    ) -> ToolAnswer {
        let list = self
            .supervisor
            .rows(RowFilter {
                limit: Some(limit),
                status,
                since: since_hours.map(|it| self.hours_ago(it)),
                owner: self.owner.clone(),
            })
            .await?;
        let mut lines: Vec<_> = list
            .rows
            .iter()
            .map(|row| {
                let id = row.job_id.and_then(|it| JobId::try_from(it).ok());
                texts::row(row, id.and_then(|it| self.supervisor.activity(it)).as_ref())
            })
            .collect();
        if lines.is_empty() {
            lines.push("No workers. Start one with spawn_worker.".to_owned());
        }
        // Whose an unreadable worker is cannot be known, so only who sees all is told.
        if self.owner.is_none() {
            let shown = list.problems.iter().take(SHOWN_PROBLEMS);
            lines.extend(shown.map(|it| {
                let it = texts::one_line(&texts::cut(&it.to_string(), 1000));
                format!("Warning: {it}")
            }));
            if list.problems.len() > SHOWN_PROBLEMS {
                let more = list.problems.len() - SHOWN_PROBLEMS;
                lines.push(format!("Warning: and {more} more like these"));
            }
        }
        Ok(lines.join("\n"))
    }

    /// Tier 1: the result, with its head.
    ///
    /// # Errors
    /// [`ToolFailure::NotEnded`] while the job is queued or runs.
    pub async fn read_worker_result(&self, job: &JobRef) -> ToolAnswer {
        let found = self.find(job).await?;
        let found = self.ended(found).await?;
        let name = found.name();
        let head = texts::result_head(&found.metadata, self.has_usage_line);
        let reader = found.reader;
        let result = blocking(move || reader.read_file(file_names::RESULT, 0, MAX_READ_BYTES));
        let result = match result.await? {
            Ok(part) if part.is_cut() => {
                let next = part.next_offset;
                format!(
                    "{}\n[the result goes on; read_worker_file with file_path=result.txt and offset={next}]",
                    part.text.trim_end_matches('\n')
                )
            }
            Ok(part) => part.text,
            Err(StoreError::FileNotFound { .. }) => {
                texts::missing_result(&found.metadata).to_owned()
            }
            Err(error) => return Err(error.into()),
        };
        Ok(format!("Result from {name}:\n\n{head}\n{result}"))
    }

    /// A file of the worker, or a part of it.
    ///
    /// # Errors
    /// [`ToolFailure::Refused`] for a path that leads out of the worker's directory, or to nothing.
    pub async fn read_worker_file(&self, job: &JobRef, file: &str, offset: u64) -> ToolAnswer {
        let (name, reader) = self.files(job).await?;
        let path = file.to_owned();
        let part = blocking(move || reader.read_file(&path, offset, MAX_READ_BYTES)).await??;
        if offset > 0 && part.text.is_empty() && !part.is_cut() {
            return Err(ToolFailure::Refused(format!(
                "`{}` has {} bytes, none at offset {offset}. Read it from a smaller offset.",
                texts::one_line(file),
                part.total_bytes
            )));
        }
        let file = texts::one_line(file);
        Ok(format!(
            "Contents of {file} from {name}:\n\n{}",
            texts::file_part(part)
        ))
    }

    /// Matching lines of all the owner's workers of the last hours.
    ///
    /// # Errors
    /// [`ToolFailure::Refused`] for a pattern that is not a regular expression.
    pub async fn grep_workers(&self, pattern: &str, since_hours: f64) -> ToolAnswer {
        let options = SearchOptions {
            since: Some(self.hours_ago(since_hours)),
            owner: self.owner.clone(),
            ..SearchOptions::default()
        };
        let (for_search, see_all) = (pattern.to_owned(), self.owner.is_none());
        let store = self.supervisor.store().clone();
        let result = blocking(move || store.search(&for_search, &options)).await??;
        let shown = texts::one_line(&texts::cut(pattern, 100));
        let (matches, workers) = (result.matches.len(), result.workers_searched);
        let mut text = format!(
            "{matches} {} for `{shown}` in {workers} {} of the last {since_hours} hours{}",
            if matches == 1 { "match" } else { "matches" },
            if workers == 1 { "worker" } else { "workers" },
            if matches == 0 { "." } else { ":\n" },
        );
        for it in &result.matches {
            let job = it
                .job_id
                .map(|id| format!("job {id}, "))
                .unwrap_or_default();
            let _ = write!(
                text,
                "\n{job}{}, {}:{}: {}",
                it.worker_id,
                texts::one_line(&it.file),
                it.line,
                texts::one_line(&it.text)
            );
        }
        if let Some(why) = result.stopped {
            let _ = write!(
                text,
                "\n[stopped early: {why}; use a narrower pattern or fewer hours]"
            );
        }
        if see_all {
            for skipped in result.skipped.iter().take(10) {
                let _ = write!(text, "\n[not searched: {}]", texts::one_line(skipped));
            }
        }
        Ok(text)
    }

    /// The worker's `metadata.json`.
    ///
    /// # Errors
    /// [`ToolFailure::NotEnded`] for a job that has not started.
    pub async fn get_worker_metadata(&self, job: &JobRef) -> ToolAnswer {
        let found = self.worker(job).await?;
        let name = found.name();
        let (metadata, cut) = shortened(found.metadata);
        let json = serde_json::to_string_pretty(&metadata)
            .map_err(|it| SupervisorError::BrokenOff(it.to_string()))?;
        let note = if cut {
            "\n[long texts are cut; read_worker_file with file_path=metadata.json has them whole]"
        } else {
            ""
        };
        Ok(format!("Metadata of {name}:\n\n{json}{note}"))
    }

    /// The metadata behind [`get_worker_metadata`](Self::get_worker_metadata), for a program.
    ///
    /// # Errors
    /// As `get_worker_metadata`.
    pub async fn metadata(&self, job: &JobRef) -> Result<Metadata, ToolFailure> {
        Ok(self.worker(job).await?.metadata)
    }

    /// What the worker's events come to, also while it runs.
    ///
    /// # Errors
    /// [`ToolFailure::NotEnded`] for a job that has not started.
    pub async fn worker_metrics(&self, job: &JobRef) -> ToolAnswer {
        let found = self.worker(job).await?;
        let (name, duration) = (found.name(), texts::duration(&found.metadata));
        let lost = texts::loss_line(&found.metadata);
        let ended = found.metadata.status.is_final();
        let prices = self.prices.clone();
        let digest = blocking(move || Digest::read(&found.reader, ended, prices)).await??;
        Ok(format!(
            "Metrics of {name}:\n\n{}{lost}",
            digest.text(duration)
        ))
    }

    /// Stops a job.
    ///
    /// # Errors
    /// [`ToolFailure::Refused`] if it has ended, or runs in another process.
    pub async fn cancel_worker(&self, job: &JobRef) -> ToolAnswer {
        let id = match self.find(job).await? {
            Found::Job(job) => job.id,
            Found::Damaged(found) => found.job.id,
            Found::Worker(found) => match found.job {
                Some(job) => job.id,
                None => {
                    return Err(ToolFailure::Refused(format!(
                        "{} belongs to no job and cannot be cancelled from here. Stop the program that runs it.",
                        found.name()
                    )));
                }
            },
        };
        match self.supervisor.cancel(id).await? {
            Cancelled::BeforeStart => Ok(format!("Job {id} was cancelled before it started.")),
            Cancelled::Asked => Ok(format!(
                "Job {id} is being cancelled. Call read_worker_result for what there is of its result."
            )),
            Cancelled::InAnotherProcess => Err(ToolFailure::Refused(format!(
                "job {id} runs in another process and cannot be stopped from here. Stop that process, or wait for the job's time limit."
            ))),
            Cancelled::AlreadyEnded => Err(ToolFailure::Refused(format!(
                "job {id} has ended already. Call read_worker_result for its result."
            ))),
        }
    }

    /// The job or worker, if the owner may see it.
    async fn find(&self, job: &JobRef) -> Result<Found, ToolFailure> {
        let (asked, owner) = (job.clone(), self.owner.clone());
        let found = self
            .supervisor
            .unblock(move |view| view.find(&asked, owner.as_deref()))
            .await?;
        found.ok_or_else(|| not_found(job))
    }

    /// The worker of a job, also while it runs.
    async fn worker(&self, job: &JobRef) -> Result<FoundWorker, ToolFailure> {
        match self.find(job).await? {
            Found::Worker(found) => Ok(*found),
            Found::Damaged(found) => Err(damaged(&found)),
            Found::Job(job) => Err(self.without_worker(&job).await?),
        }
    }

    /// The name and the files of a job's worker, for which its metadata need not be readable.
    async fn files(&self, job: &JobRef) -> Result<(String, WorkerReader), ToolFailure> {
        match self.find(job).await? {
            Found::Worker(found) => Ok((found.name(), found.reader)),
            Found::Damaged(found) => {
                let name = texts::worker_name(Some(found.job.id.get()), found.reader.id());
                Ok((name, found.reader))
            }
            Found::Job(job) => Err(self.without_worker(&job).await?),
        }
    }

    /// The worker of a job that has ended.
    async fn ended(&self, found: Found) -> Result<FoundWorker, ToolFailure> {
        let found = match found {
            Found::Worker(found) => *found,
            Found::Damaged(found) => return Err(damaged(&found)),
            Found::Job(job) => return Err(self.without_worker(&job).await?),
        };
        if found.metadata.status.is_final() {
            return Ok(found);
        }
        let name = match found.job_id() {
            Some(id) => format!("job {id}"),
            None => format!("worker {}", found.metadata.worker_id),
        };
        if self.supervisor.store().liveness(&found.metadata) == Liveness::Unknown {
            let host = found.metadata.host.as_deref();
            return Err(ToolFailure::NotEnded(texts::unknown(&name, host)));
        }
        let of_job = found.job.as_ref();
        let activity = match of_job.and_then(|it| self.supervisor.activity(it.id)) {
            Some(activity) => Some(activity),
            None => self.activity_elsewhere(found).await?,
        };
        Err(ToolFailure::NotEnded(texts::still_running(
            &name,
            None,
            activity.as_ref(),
        )))
    }

    /// What a worker of another process is doing, as far as it has written that down.
    async fn activity_elsewhere(
        &self,
        found: FoundWorker,
    ) -> Result<Option<Activity>, ToolFailure> {
        let FoundWorker {
            metadata, reader, ..
        } = found;
        let Some(started_at) = metadata.started_at else {
            return Ok(None);
        };
        // It is an aside: what cannot be read is left out.
        let calls = blocking(move || reader.open_calls().unwrap_or_default()).await?;
        let in_flight = calls.into_iter().map(|call| {
            let (start_ts, elapsed) = (call.start_ts(), self.since(call.start_ts()));
            let (kind, name, phase, span_id) = match call {
                OpenCall::LlmCall {
                    model,
                    phase,
                    span_id,
                    ..
                } => (CallKind::Llm, model, phase, span_id),
                OpenCall::ToolCall { tool, span_id, .. } => {
                    (CallKind::Tool, tool, String::new(), span_id)
                }
            };
            InFlightCall {
                kind,
                name,
                phase,
                start_ts,
                elapsed,
                span_id,
            }
        });
        Ok(Some(Activity {
            worker_id: metadata.worker_id,
            elapsed: self.since(started_at),
            in_flight: in_flight.collect(),
        }))
    }

    /// What to say of a job that has no worker.
    async fn without_worker(&self, job: &Job) -> Result<ToolFailure, SupervisorError> {
        let id = job.id;
        Ok(match job.status {
            JobStatus::Queued => {
                let position = self
                    .supervisor
                    .unblock(move |it| Ok(it.book.queue_position(id)?));
                ToolFailure::NotEnded(texts::queued(id.get(), position.await?))
            }
            JobStatus::Running => {
                let elapsed = job.started_at.map(|it| self.since(it));
                ToolFailure::NotEnded(texts::still_running(&format!("job {id}"), elapsed, None))
            }
            ended => match (&job.worker_id, &job.error) {
                (Some(worker_id), _) => ToolFailure::Refused(format!(
                    "the worker of job {id} ({worker_id}, {ended}) was removed, and its result with it. Spawn the task again if it is needed."
                )),
                (None, _) if ended == JobStatus::Cancelled => ToolFailure::Refused(format!(
                    "job {id} was cancelled before it started. Spawn it again if it is needed."
                )),
                (None, Some(error)) => ToolFailure::Refused(format!(
                    "job {id} failed before its worker started: {}. Spawn it again once that is mended.",
                    texts::one_line(error)
                )),
                (None, None) => {
                    ToolFailure::Refused(format!("job {id} failed before its worker started."))
                }
            },
        })
    }

    fn since(&self, start: Timestamp) -> Duration {
        let now = self.supervisor.store().clock().timestamp();
        let micros = now.unix_micros() - start.unix_micros();
        Duration::from_micros(u64::try_from(micros).unwrap_or(0))
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "a float that is too large becomes the largest number"
    )]
    fn hours_ago(&self, hours: f64) -> Timestamp {
        let now = self.supervisor.store().clock().timestamp();
        now.plus_micros(((hours * 3_600e6) as i64).saturating_neg())
    }
}

/// The same text whether there is no such job or it is somebody else's.
fn not_found(job: &JobRef) -> ToolFailure {
    ToolFailure::Refused(texts::not_found(&job.to_string()))
}

/// What to say of a worker whose metadata cannot be read.
fn damaged(found: &DamagedWorker) -> ToolFailure {
    let name = texts::worker_name(Some(found.job.id.get()), found.reader.id());
    let problem = texts::one_line(&texts::cut(&found.problem.to_string(), 1000));
    ToolFailure::Refused(format!(
        "the metadata of {name}, {} in the job book, cannot be read: {problem}. Its other files may be whole: call read_worker_file with file_path=result.txt.",
        found.job.status
    ))
}

async fn blocking<T: Send + 'static>(
    body: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ToolFailure> {
    let joined = tokio::task::spawn_blocking(body).await;
    joined.map_err(|it| SupervisorError::BrokenOff(it.to_string()).into())
}
