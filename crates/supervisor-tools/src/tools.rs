//! The tools a supervisor calls: arguments in, text out. Bad input gets a text that begins with `Error: ` and says what to
//! do next.

mod agent;
mod arguments;
mod call;
mod definitions;
mod failure;
mod output;
mod shortened;

use std::{fmt::Write as _, time::Duration};

use artifact_store::{
    FilePart, Liveness, MAX_READ_BYTES, Metadata, OpenCall, SearchOptions, StoreError,
    WorkerReader, file_names,
};
use metrics_collector::{CallKind, InFlightCall};
use metrics_core::{Timestamp, TraceContext, WorkerId};
use serde_json::{Value, json};
use worker_runner::{DEFAULT_TIMEOUT, ToolDefinition, WorkerRunner};

use crate::{
    Activity, Cancelled, Job, JobId, JobRef, JobStatus, NewJob, RunBy, Supervisor, SupervisorError,
    digest::Digest,
    supervisor::parent_of,
    texts,
    workers::{DamagedWorker, Found, FoundWorker, RowFilter, RowStatus, WorkerRow},
};

pub use self::{
    failure::{ToolAnswer, ToolFailure},
    output::{FullAnswer, ToolOutput},
};
use self::{
    output::{known, text_of},
    shortened::shortened,
};

/// How long `wait=true` waits unless told otherwise.
pub const DEFAULT_WAIT: Duration = Duration::from_mins(1);
/// Workers that `list_workers` shows unless told otherwise.
pub const DEFAULT_LIMIT: usize = 20;
/// How far back `grep_workers` looks unless told otherwise.
pub const DEFAULT_GREP_HOURS: f64 = 24.0;
/// Tokens that `worker_metrics` may take unless told otherwise.
pub const DEFAULT_METRICS_TOKENS: usize = 400;
/// In less than this there is nothing to say.
pub(crate) const MIN_METRICS_TOKENS: usize = 50;
/// A longer task could not be read back from its metadata, where a control character takes six bytes.
const MAX_TASK_BYTES: usize = 10 << 20;
/// Problems that are shown; the rest is counted.
pub(crate) const SHOWN_PROBLEMS: usize = 10;

/// The tools, for one owner: it sees only what is its own.
#[derive(Debug, Clone)]
pub struct SupervisorTools {
    pub(crate) supervisor: Supervisor,
    /// `None` sees everybody's.
    pub(crate) owner: Option<String>,
    run_by: RunBy,
    read_bytes: usize,
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
    /// How often it is begun at most; it is begun again only where the process that ran it died.
    pub max_attempts: u32,
    /// The worker's place in a trace that another process began; otherwise below the current scope.
    pub trace: Option<TraceContext>,
    /// The worker of another process that it is started for; otherwise that of the current scope.
    pub parent_worker_id: Option<WorkerId>,
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
            max_attempts: 1,
            trace: None,
            parent_worker_id: None,
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
            run_by: RunBy::Here,
            read_bytes: MAX_READ_BYTES,
        }
    }
}

impl SupervisorTools {
    /// The tools as a model sees them, with JSON schemas for their arguments.
    pub fn definitions() -> Vec<ToolDefinition> {
        definitions::all()
    }

    /// Says who runs what these tools spawn; this process, unless told otherwise.
    #[must_use]
    pub fn run_by(mut self, run_by: RunBy) -> Self {
        self.run_by = run_by;
        self
    }

    /// Gives at most so many bytes of a file at once, and of a result; 1 MiB unless told otherwise.
    #[must_use]
    pub fn read_bytes(mut self, max: usize) -> Self {
        self.read_bytes = max;
        self
    }

    /// Writes a job down and starts it; with `wait` gives its result.
    ///
    /// # Errors
    /// [`ToolFailure::NotEnded`] if it runs on after the wait.
    pub async fn spawn_worker(&self, request: SpawnRequest) -> ToolAnswer {
        text_of(self.spawn_in_full(request).await)
    }

    async fn spawn_in_full(&self, request: SpawnRequest) -> FullAnswer {
        let id = self.spawn(&request).await?;
        let Some(limit) = request.wait else {
            return Ok(ToolOutput {
                text: format!(
                    "Worker job {id} is queued. Call read_worker_result with job_id {id} for its result."
                ),
                data: json!({"job_id": id.get(), "status": JobStatus::Queued.as_str()}),
            });
        };
        let has_ended = self.supervisor.wait(id, limit).await?;
        let answer = self.result_in_full(&JobRef::Job(id)).await;
        match answer {
            // What it is doing stands there; that the wait is over does not end it is said besides.
            Err(ToolFailure::NotEnded(text)) if !has_ended => {
                let limit = texts::short_duration(limit);
                Err(ToolFailure::NotEnded(format!(
                    "{text} Only the wait of {limit} is over, not the job."
                )))
            }
            answer => answer,
        }
    }

    /// Checks a request, writes its job down for whoever is to run it; gives the job.
    ///
    /// # Errors
    /// [`ToolFailure::Refused`] for an empty task or an unknown model.
    pub async fn spawn(&self, request: &SpawnRequest) -> Result<JobId, ToolFailure> {
        let job = self.new_job(request)?;
        let id = self.supervisor.submit(job, self.run_by).await;
        id.map_err(|error| match error {
            SupervisorError::UnknownModel(_) => ToolFailure::Refused(format!("{error}.")),
            other => other.into(),
        })
    }

    /// The same for a job that this process runs at once with a runner of its own, such as a supervisor's:
    /// [`Supervisor::spawn_with`].
    ///
    /// # Errors
    /// [`ToolFailure::Refused`] for an empty task.
    pub async fn spawn_with(
        &self,
        request: &SpawnRequest,
        runner: WorkerRunner,
    ) -> Result<JobId, ToolFailure> {
        let job = self.new_job(request)?;
        Ok(self.supervisor.spawn_with(job, runner).await?)
    }

    /// The job that is asked for, if it makes sense.
    fn new_job(&self, request: &SpawnRequest) -> Result<NewJob, ToolFailure> {
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
        let owner = self.owner.as_deref();
        Ok(NewJob {
            model: request.model.clone(),
            timeout: request.timeout,
            max_attempts: request.max_attempts,
            traceparent: request.trace.and_then(parent_of),
            parent_worker_id: request.parent_worker_id.clone(),
            ..NewJob::new(
                owner.unwrap_or(artifact_store::DEFAULT_OWNER),
                &*request.task,
            )
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
        text_of(self.list_in_full(limit, status, since_hours).await)
    }

    async fn list_in_full(
        &self,
        limit: usize,
        status: Option<RowStatus>,
        since_hours: Option<f64>,
    ) -> FullAnswer {
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
                let activity = id.and_then(|it| self.supervisor.activity(it));
                format!("- {}", texts::row(row, activity.as_ref()))
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
        let rows: Vec<_> = list.rows.iter().map(|it| self.row_data(it)).collect();
        Ok(ToolOutput {
            text: lines.join("\n"),
            data: json!({"workers": rows}),
        })
    }

    fn row_data(&self, row: &WorkerRow) -> Value {
        let id = row.job_id.and_then(|it| JobId::try_from(it).ok());
        let activity = id.and_then(|it| self.supervisor.activity(it));
        let short = |it: &str| texts::cut(it, texts::MAX_SUMMARY_CHARS);
        let fields = known(json!({
            "job_id": row.job_id,
            "worker_id": row.worker_id.as_ref().map(WorkerId::as_str),
            "status": row.status,
            "task": short(&row.task),
            "summary": row.summary.as_deref().map(short),
            "duration_ms": row.duration_ms,
            "running_ms": activity.map(|it| u64::try_from(it.elapsed.as_millis()).unwrap_or(u64::MAX)),
            "created_at": row.created_at.to_string(),
        }));
        fields.into()
    }

    /// Tier 1: the result, with its head.
    ///
    /// # Errors
    /// [`ToolFailure::NotEnded`] while the job is queued or runs.
    pub async fn read_worker_result(&self, job: &JobRef) -> ToolAnswer {
        text_of(self.result_in_full(job).await)
    }

    async fn result_in_full(&self, job: &JobRef) -> FullAnswer {
        let found = self.find(job).await?;
        let found = self.ended(found).await?;
        let (name, job_id) = (found.name(), found.job_id());
        let head = texts::result_head(&found.metadata, self.supervisor.costs.has_usage_line);
        let reader = found.reader;
        let max = self.read_bytes;
        let result = blocking(move || reader.read_file(file_names::RESULT, 0, max));
        let (result, next_offset) = match result.await? {
            Ok(part) => {
                let next = part.is_cut().then_some(part.next_offset);
                (part.text, next)
            }
            Err(StoreError::FileNotFound { .. }) => {
                (texts::missing_result(&found.metadata).to_owned(), None)
            }
            Err(error) => return Err(error.into()),
        };
        let metadata = &found.metadata;
        let data = known(json!({
            "job_id": job_id,
            "worker_id": metadata.worker_id.as_str(),
            "status": metadata.status,
            "duration_ms": metadata.duration_ms,
            "duration_us": metadata.duration_us,
            "error": metadata.error,
            "events": metadata.events,
            "events_lost": metadata.events_lost,
            "usage": metadata.usage,
            "result": result,
            "next_offset": next_offset,
        }));
        let shown = match next_offset {
            Some(next) => format!(
                "{}\n[the result goes on; read_worker_file with file_path=result.txt and offset={next}]",
                result.trim_end_matches('\n')
            ),
            None => result,
        };
        Ok(ToolOutput {
            text: format!("Result from {name}:\n\n{head}\n{shown}"),
            data: data.into(),
        })
    }

    /// A file of the worker, or a part of it.
    ///
    /// # Errors
    /// [`ToolFailure::Refused`] for a path that leads out of the worker's directory, or to nothing.
    pub async fn read_worker_file(&self, job: &JobRef, file: &str, offset: u64) -> ToolAnswer {
        text_of(self.file_in_full(job, file, offset).await)
    }

    async fn file_in_full(&self, job: &JobRef, file: &str, offset: u64) -> FullAnswer {
        let (name, reader) = self.files(job).await?;
        let worker_id = reader.id().clone();
        let part = self.read_part(reader, file, offset).await?;
        let data = known(json!({
            "worker_id": worker_id.as_str(),
            "file_path": file,
            "text": part.text,
            "offset": part.offset,
            "total_bytes": part.total_bytes,
            "next_offset": part.is_cut().then_some(part.next_offset),
        }));
        let file = texts::one_line(file);
        Ok(ToolOutput {
            text: format!(
                "Contents of {file} from {name}:\n\n{}",
                texts::file_part(part)
            ),
            data: data.into(),
        })
    }

    /// A part of a file of the worker, as it stands there.
    ///
    /// # Errors
    /// As [`read_worker_file`](Self::read_worker_file).
    pub async fn file_part(
        &self,
        job: &JobRef,
        file: &str,
        offset: u64,
    ) -> Result<FilePart, ToolFailure> {
        let (_, reader) = self.files(job).await?;
        self.read_part(reader, file, offset).await
    }

    /// Reads a part of a file, which must not lie behind the file's end.
    async fn read_part(
        &self,
        reader: WorkerReader,
        file: &str,
        offset: u64,
    ) -> Result<FilePart, ToolFailure> {
        let (path, max) = (file.to_owned(), self.read_bytes);
        let part = blocking(move || reader.read_file(&path, offset, max)).await??;
        if offset > 0 && part.text.is_empty() && !part.is_cut() {
            return Err(ToolFailure::Refused(format!(
                "`{}` has {} bytes, none at offset {offset}. Read it from a smaller offset.",
                texts::one_line(file),
                part.total_bytes
            )));
        }
        Ok(part)
    }

    /// Matching lines of all the owner's workers of the last hours.
    ///
    /// # Errors
    /// [`ToolFailure::Refused`] for a pattern that is not a regular expression.
    pub async fn grep_workers(&self, pattern: &str, since_hours: f64) -> ToolAnswer {
        text_of(self.grep_in_full(pattern, since_hours).await)
    }

    async fn grep_in_full(&self, pattern: &str, since_hours: f64) -> FullAnswer {
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
        let found = result.matches.iter().map(|it| {
            let fields = known(json!({
                "job_id": it.job_id,
                "worker_id": it.worker_id.as_str(),
                "file_path": it.file,
                "line": it.line,
                "text": it.text,
            }));
            Value::from(fields)
        });
        let data = known(json!({
            "matches": found.collect::<Vec<_>>(),
            "workers_searched": workers,
            "stopped": result.stopped,
        }));
        Ok(ToolOutput {
            text,
            data: data.into(),
        })
    }

    /// The worker's `metadata.json`.
    ///
    /// # Errors
    /// [`ToolFailure::NotEnded`] for a job that has not started.
    pub async fn get_worker_metadata(&self, job: &JobRef) -> ToolAnswer {
        text_of(self.metadata_in_full(job).await)
    }

    async fn metadata_in_full(&self, job: &JobRef) -> FullAnswer {
        let found = self.worker(job).await?;
        let name = found.name();
        let (metadata, cut) = shortened(found.metadata);
        let unwritten = |it: serde_json::Error| SupervisorError::BrokenOff(it.to_string());
        let json = serde_json::to_string_pretty(&metadata).map_err(unwritten)?;
        let data = serde_json::to_value(&metadata).map_err(unwritten)?;
        let note = if cut {
            "\n[long texts are cut; read_worker_file with file_path=metadata.json has them whole]"
        } else {
            ""
        };
        Ok(ToolOutput {
            text: format!("Metadata of {name}:\n\n{json}{note}"),
            data: json!({"metadata": data, "is_shortened": cut}),
        })
    }

    /// The metadata behind [`get_worker_metadata`](Self::get_worker_metadata), for a program.
    ///
    /// # Errors
    /// As `get_worker_metadata`.
    pub async fn metadata(&self, job: &JobRef) -> Result<Metadata, ToolFailure> {
        Ok(self.worker(job).await?.metadata)
    }

    /// What the worker's events come to, also while it runs, in at most `max_tokens`.
    ///
    /// No tokenizer counts them, but an estimate from above, as which model will read the text is not known here.
    ///
    /// # Errors
    /// [`ToolFailure::NotEnded`] for a job that has not started.
    pub async fn worker_metrics(&self, job: &JobRef, max_tokens: usize) -> ToolAnswer {
        let found = self.worker(job).await?;
        let job_id = found.job_id();
        let FoundWorker {
            job,
            metadata,
            reader,
        } = found;
        let ended = metadata.status.is_final();
        // What is in flight is asked first: what ends meanwhile is then found twice, and not missed.
        let activity = job.and_then(|it| self.supervisor.activity(it.id));
        let is_elsewhere = activity.is_none()
            && !ended
            && self.supervisor.store().liveness(&metadata) != Liveness::Unknown;
        let prices = self.supervisor.costs.prices.clone();
        let read = move || {
            let calls = is_elsewhere.then(|| reader.open_calls().unwrap_or_default());
            let digest = Digest::read(&metadata, &reader, &prices);
            digest.map(|it| (it, metadata, calls))
        };
        let (digest, metadata, calls) = blocking(read).await??;
        let elsewhere = calls.and_then(|it| self.activity_elsewhere(&metadata, it));
        let activity = activity.or(elsewhere).filter(|_| !ended);
        Ok(digest.text(&metadata, job_id, activity.as_ref(), max_tokens))
    }

    /// Stops a job.
    ///
    /// # Errors
    /// [`ToolFailure::Refused`] if it has ended.
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
            Cancelled::Asked | Cancelled::InAnotherProcess => Ok(format!(
                "Job {id} is being cancelled. Call read_worker_result for what there is of its result."
            )),
            Cancelled::AlreadyEnded => Err(ToolFailure::Refused(format!(
                "job {id} has ended already. Call read_worker_result for its result."
            ))),
        }
    }

    /// The job behind a number or a worker; `None` for a worker that has none.
    ///
    /// # Errors
    /// [`ToolFailure::Refused`] if there is neither.
    pub async fn job(&self, job: &JobRef) -> Result<Option<Job>, ToolFailure> {
        Ok(match self.find(job).await? {
            Found::Job(job) => Some(*job),
            Found::Worker(found) => found.job,
            Found::Damaged(found) => Some(found.job),
        })
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
            None => {
                // It is an aside: what cannot be read is left out.
                let FoundWorker {
                    metadata, reader, ..
                } = found;
                let calls = blocking(move || reader.open_calls().unwrap_or_default()).await?;
                self.activity_elsewhere(&metadata, calls)
            }
        };
        Err(ToolFailure::NotEnded(texts::still_running(
            &name,
            None,
            activity.as_ref(),
        )))
    }

    /// What a worker of another process is doing, as far as it has written that down.
    fn activity_elsewhere(&self, metadata: &Metadata, calls: Vec<OpenCall>) -> Option<Activity> {
        let started_at = metadata.started_at?;
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
        Some(Activity {
            worker_id: metadata.worker_id.clone(),
            elapsed: self.since(started_at),
            in_flight: in_flight.collect(),
        })
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
                ToolFailure::NotEnded(texts::still_running(
                    &format!("job {id}"),
                    elapsed,
                    // Its worker may have begun before the book knows it.
                    self.supervisor.activity(id).as_ref(),
                ))
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
