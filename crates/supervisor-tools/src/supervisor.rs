//! The supervisor: writes jobs down, runs them as workers side by side, knows what each is doing.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use artifact_store::{ArtifactStore, Status, StoreError};
use metrics_collector::{InFlightCall, MetricsCollector, log_worker_death};
use metrics_core::{TraceContext, WorkerId};
use model_prices::PriceTable;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio_util::task::TaskTracker;
use worker_runner::{CancellationToken, RunOptions, WorkerEvent, WorkerRunner};

use crate::{
    FinalStatus, Job, JobBook, JobBookError, JobId, JobStatus, NewJob, NoRunner, RunId,
    RunnerSource, UnknownModel,
    follow::Follower,
    unnoted::{End, UnnotedEnds},
};

/// Workers that run at once in one process, unless told otherwise.
pub const DEFAULT_CONCURRENCY: usize = 8;

/// Runs jobs as workers and answers for them. Cheap to clone.
#[derive(Clone)]
pub struct Supervisor {
    pub(crate) inner: Arc<Inner>,
    /// Each clone's own.
    pub(crate) costs: Costs,
}

/// How its tools tell what calls cost.
#[derive(Debug, Clone)]
pub(crate) struct Costs {
    pub(crate) has_usage_line: bool,
    pub(crate) prices: PriceTable,
}

pub(crate) struct Inner {
    store: ArtifactStore,
    book: JobBook,
    run: RunId,
    runners: Box<dyn RunnerSource>,
    pub(crate) permits: Arc<Semaphore>,
    /// Ends all workers and starts no more.
    pub(crate) stop: CancellationToken,
    pub(crate) tasks: TaskTracker,
    running: Mutex<HashMap<JobId, RunningJob>>,
    unnoted: UnnotedEnds,
    /// Tasks of this process's jobs as they were given, where the book's are without their secrets.
    tasks_with_secrets: Mutex<HashMap<JobId, String>>,
    /// Jobs that this process could not take out of the queue, and why; it does not try again.
    unclaimed: Mutex<HashMap<JobId, String>>,
    /// Counts jobs that ended, for whoever waits for one.
    ended: watch::Sender<u64>,
    /// Sees what other processes write into the book, while that matters here.
    pub(crate) follower: Follower,
}

/// Who runs a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RunBy {
    /// This process, as soon as it has room; once it is dead, any process that takes jobs.
    #[default]
    Here,
    /// Any process that takes jobs, now or later: [`Supervisor::work`].
    Takers,
    /// The same; while there is none, this process.
    TakersElseHere,
}

/// A job that this process runs.
#[derive(Debug, Clone)]
struct RunningJob {
    cancel: CancellationToken,
    /// From the worker's start on.
    collector: Option<MetricsCollector>,
}

/// What a worker of this process is doing right now.
#[derive(Debug, Clone)]
pub struct Activity {
    /// The worker.
    pub worker_id: WorkerId,
    /// How long it has been running.
    pub elapsed: Duration,
    /// The calls in flight, the oldest first.
    pub in_flight: Vec<InFlightCall>,
}

/// Why a supervisor could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SupervisorError {
    /// The job book does not work.
    #[error(transparent)]
    Book(#[from] JobBookError),
    /// The store does not work.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Nothing can ask this model.
    #[error(transparent)]
    UnknownModel(#[from] UnknownModel),
    /// A job of another process that cannot be run here.
    #[error(transparent)]
    NoRunner(#[from] NoRunner),
    /// The supervisor takes no more jobs.
    #[error("the supervisor is shutting down; spawn the worker in another process")]
    ShuttingDown,
    /// The job cannot be taken out of the queue.
    #[error("the job stays queued: {0}")]
    NotStarted(String),
    /// The thread that was to do it is gone.
    #[error("the work was broken off: {0}")]
    BrokenOff(String),
}

/// What came of a request to cancel a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancelled {
    /// It had not started and never will.
    BeforeStart,
    /// Its worker was told to stop.
    Asked,
    /// Another process runs it, and was told through the job book; it stops the worker within a second.
    InAnotherProcess,
    /// It had ended already.
    AlreadyEnded,
}

impl Supervisor {
    /// A supervisor over `store`, with the job book in the store's own directory.
    ///
    /// See [`JobBook::of_store`] for what is done about a book that is new, or damaged. Opening it runs nothing.
    ///
    /// # Errors
    /// [`SupervisorError::Book`] if the book cannot be opened; [`SupervisorError::Store`].
    pub fn open(
        store: ArtifactStore,
        runners: impl RunnerSource,
        concurrency: usize,
    ) -> Result<Self, SupervisorError> {
        store.on_worker_death(|it| log_worker_death(&it.worker_id, &it.events));
        let book = JobBook::of_store(&store)?;
        let inner = Arc::new(Inner {
            run: store.run_id().into(),
            store,
            book,
            runners: Box::new(runners),
            permits: Arc::new(Semaphore::new(concurrency.clamp(1, Semaphore::MAX_PERMITS))),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
            running: Mutex::default(),
            unnoted: UnnotedEnds::default(),
            tasks_with_secrets: Mutex::default(),
            unclaimed: Mutex::default(),
            ended: watch::Sender::new(0),
            follower: Follower::default(),
        });
        let costs = Costs {
            has_usage_line: true,
            prices: PriceTable::builtin(),
        };
        Ok(Self { inner, costs })
    }

    /// Whether results have a line `Usage: …` with the worker's calls, tokens and cost; they do unless told otherwise.
    ///
    /// To be called before cloning or [`tools`](Self::tools): those that were made keep what they have.
    #[must_use]
    pub fn usage_line(mut self, has_usage_line: bool) -> Self {
        self.costs.has_usage_line = has_usage_line;
        self
    }

    /// The prices that `worker_metrics` uses; otherwise [`PriceTable::builtin`]. Results have the cost that was found when the
    /// worker ran, by the prices of its runner.
    ///
    /// To be called before cloning or [`tools`](Self::tools): those that were made keep what they have.
    #[must_use]
    pub fn prices(mut self, prices: PriceTable) -> Self {
        self.costs.prices = prices;
        self
    }

    /// The store.
    pub fn store(&self) -> &ArtifactStore {
        &self.inner.store
    }

    /// The job book.
    pub fn book(&self) -> &JobBook {
        &self.inner.book
    }

    /// Writes a job down and runs it here as soon as there is room; returns once it is on disk. What is written has no
    /// secrets; the worker gets the task as it is.
    ///
    /// # Errors
    /// [`SupervisorError::UnknownModel`] before anything is written; else [`SupervisorError::Book`].
    pub async fn spawn(&self, job: NewJob) -> Result<JobId, SupervisorError> {
        self.submit(job, RunBy::Here).await
    }

    /// Writes a job down for whoever is to run it; returns once it is on disk. A task that other processes may run is
    /// written down as it is, secrets included, as they need it so.
    ///
    /// # Errors
    /// As [`spawn`](Self::spawn).
    pub async fn submit(&self, mut job: NewJob, run_by: RunBy) -> Result<JobId, SupervisorError> {
        let runner = self.inner.runners.runner(job.model.as_deref())?;
        let with_secrets = match run_by {
            RunBy::Here => hide_secrets(&mut job, &runner),
            // Whoever takes it needs it as it is.
            RunBy::Takers | RunBy::TakersElseHere => None,
        };
        if job.settings.is_empty() {
            job.settings = self.inner.runners.settings();
        }
        place_in_trace(&mut job);
        let owner = job.owner.clone();
        let (added, answer) = oneshot::channel();
        let this = self.clone();
        // A task of its own, so that a caller who goes away leaves no job behind that nobody runs.
        let task = async move {
            let id = this.add(job, run_by).await;
            let to_run = id.as_ref().ok().copied();
            if let (Some(id), Some(task)) = (to_run, with_secrets) {
                this.tasks_with_secrets().insert(id, task);
            }
            let _ = added.send(id);
            match (to_run, run_by) {
                (Some(id), RunBy::Here) => {
                    this.run(id).await;
                    this.tasks_with_secrets().remove(&id);
                }
                (Some(id), RunBy::TakersElseHere) => drop(tokio::spawn(async move {
                    if this.nobody_takes(id, &owner).await {
                        let tasks = this.inner.tasks.clone();
                        tasks.track_future(this.run(id)).await;
                    }
                })),
                (_, RunBy::Takers) | (None, _) => {}
            }
        };
        self.inner.tasks.spawn(task);
        let answer = answer.await;
        answer.unwrap_or_else(|it| Err(SupervisorError::BrokenOff(it.to_string())))
    }

    /// Writes a job down and runs it here at once, with a runner of its own instead of its model's.
    ///
    /// It is for a job that hands work to others and waits for them: it takes no place among those that run side by side,
    /// or such jobs could take all places and wait for ever. No other process ever runs it: it has one attempt, whatever
    /// `max_attempts` says.
    ///
    /// # Errors
    /// [`SupervisorError::Book`]; [`SupervisorError::ShuttingDown`].
    pub async fn spawn_with(
        &self,
        mut job: NewJob,
        runner: WorkerRunner,
    ) -> Result<JobId, SupervisorError> {
        let with_secrets = hide_secrets(&mut job, &runner);
        place_in_trace(&mut job);
        // A second one would be anybody's, with the model's runner.
        job.max_attempts = 1;
        let (added, answer) = oneshot::channel();
        let this = self.clone();
        // A task of its own, as for any other job.
        self.inner.tasks.spawn(async move {
            let mut job = match this.add_running(job).await {
                Ok(job) => job,
                Err(error) => return drop(added.send(Err(error))),
            };
            let running = this.note_running(job.id);
            let _ = added.send(Ok(job.id));
            if let Some(task) = with_secrets {
                job.task = task;
            }
            this.run_job(job, Some(runner), running.cancel.clone())
                .await;
        });
        let answer = answer.await;
        answer.unwrap_or_else(|it| Err(SupervisorError::BrokenOff(it.to_string())))
    }

    /// How many processes there are now that take this owner's jobs.
    ///
    /// # Errors
    /// [`SupervisorError::Book`].
    pub async fn takers(&self, owner: &str) -> Result<usize, SupervisorError> {
        let owner = owner.to_owned();
        self.unblock(move |it| it.takers(&owner)).await
    }

    /// Waits until there is nobody who could take a queued job; `false` once somebody has.
    async fn nobody_takes(&self, id: JobId, owner: &str) -> bool {
        const LOOK_AGAIN: Duration = Duration::from_secs(1);
        loop {
            // Where the book cannot be read, the claim will say why.
            if self.takers(owner).await.unwrap_or(0) == 0 {
                return true;
            }
            tokio::select! {
                () = self.inner.stop.cancelled() => return false, // It waits for others.
                () = tokio::time::sleep(LOOK_AGAIN) => {}
            }
            let job = self.unblock(move |it| Ok(it.book.get(id, None)?)).await;
            if !matches!(job, Ok(Some(job)) if job.status == JobStatus::Queued) {
                return false;
            }
        }
    }

    /// Waits until the job has ended, `timeout` at most; whether it has. A job whose process died has.
    ///
    /// # Errors
    /// [`SupervisorError::Book`]; [`SupervisorError::NotStarted`] for a job that this process should run and cannot.
    pub async fn wait(&self, id: JobId, timeout: Duration) -> Result<bool, SupervisorError> {
        /// A job of another process ends without a word to us, and so does that process.
        const LOOK_AGAIN: Duration = Duration::from_millis(200);
        let deadline = tokio::time::Instant::now().checked_add(timeout);
        let mut ended = self.inner.ended.subscribe();
        loop {
            ended.mark_unchanged();
            let job = self.unblock(move |it| it.job(id, None)).await?;
            let Some(status) = job.map(|it| it.status).filter(|it| !it.is_final()) else {
                return Ok(true);
            };
            if status == JobStatus::Queued
                && let Some(reason) = self.inner.unclaimed().get(&id)
            {
                return Err(SupervisorError::NotStarted(reason.clone()));
            }
            let left = deadline.map(|it| it.saturating_duration_since(tokio::time::Instant::now()));
            if left.is_some_and(|it| it.is_zero()) {
                return Ok(false);
            }
            let pause = left.map_or(LOOK_AGAIN, |it| it.min(LOOK_AGAIN));
            let _ = tokio::time::timeout(pause, ended.changed()).await;
        }
    }

    /// Stops a job, wherever it stands.
    ///
    /// # Errors
    /// [`SupervisorError::Book`].
    pub async fn cancel(&self, id: JobId) -> Result<Cancelled, SupervisorError> {
        let now = self.inner.store.clock().timestamp();
        let (cancelled, job) = self
            .unblock(move |it| Ok((it.book.cancel_queued(id, now)?, it.job(id, None)?)))
            .await?;
        if cancelled {
            self.say_ended();
            return Ok(Cancelled::BeforeStart);
        }
        let Some(job) = job.filter(|it| !it.status.is_final()) else {
            return Ok(Cancelled::AlreadyEnded);
        };
        if self.stop_running(id) {
            if job.may_repeat() {
                // So that it is not begun again should this process die before its end.
                self.unblock(move |it| Ok(it.book.request_cancel(id)?))
                    .await?;
            }
            return Ok(Cancelled::Asked);
        }
        if self
            .unblock(move |it| Ok(it.book.request_cancel(id)?))
            .await?
        {
            return Ok(Cancelled::InAnotherProcess);
        }
        Ok(Cancelled::AlreadyEnded)
    }

    /// What the job's worker is doing right now; `None` if this process does not run it.
    pub fn activity(&self, id: JobId) -> Option<Activity> {
        let running = self.inner.running();
        let collector = running.get(&id)?.collector.as_ref()?;
        Some(Activity {
            worker_id: collector.worker_id().clone(),
            elapsed: collector.elapsed(),
            in_flight: collector.in_flight(),
        })
    }

    /// What all workers of this process are doing right now, in the order of their jobs.
    pub fn activities(&self) -> Vec<(JobId, Activity)> {
        let mut ids: Vec<_> = self.inner.running().keys().copied().collect();
        ids.sort_unstable();
        let activity = |id| Some((id, self.activity(id)?));
        ids.into_iter().filter_map(activity).collect()
    }

    /// Stops all that this process runs and has queued but the job `id`, such as what a job leaves behind that has ended.
    pub async fn cancel_all_but(&self, id: JobId) {
        for (other, running) in &*self.inner.running() {
            if *other != id {
                running.cancel.cancel();
            }
        }
        self.cancel_queue().await;
    }

    /// Waits until this process runs no job any more, summaries included.
    pub async fn idle(&self) {
        // A tracker is waited for while it is closed; it takes new tasks all the same.
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
        self.inner.tasks.reopen();
    }

    /// Stops all workers of this process, cancels its queued jobs, and waits until their ends are on disk.
    pub async fn shut_down(&self) {
        self.inner.stop.cancel();
        self.cancel_queue().await;
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
        self.cancel_queue().await; // What was being added in that moment.
    }

    /// Calls `body` where blocking is allowed.
    pub(crate) async fn unblock<T: Send + 'static>(
        &self,
        body: impl FnOnce(&View<'_>) -> Result<T, SupervisorError> + Send + 'static,
    ) -> Result<T, SupervisorError> {
        let this = self.clone();
        let joined = tokio::task::spawn_blocking(move || {
            body(&View {
                store: &this.inner.store,
                book: &this.inner.book,
                run: &this.inner.run,
                unnoted: &this.inner.unnoted,
            })
        });
        let joined = joined.await;
        joined.unwrap_or_else(|it| Err(SupervisorError::BrokenOff(it.to_string())))
    }

    async fn add(&self, job: NewJob, run_by: RunBy) -> Result<JobId, SupervisorError> {
        if self.inner.stop.is_cancelled() {
            return Err(SupervisorError::ShuttingDown);
        }
        let added = self.unblock(move |it| {
            let now = it.store.clock().timestamp();
            Ok(match run_by {
                RunBy::Here => it.book.add(&job, it.run, now)?,
                _ => it.book.add_shared(&job, it.run, now)?,
            })
        });
        let added = added.await;
        self.inner.follower.say_changed();
        added
    }

    async fn add_running(&self, job: NewJob) -> Result<Job, SupervisorError> {
        if self.inner.stop.is_cancelled() {
            return Err(SupervisorError::ShuttingDown);
        }
        let added = self.unblock(move |it| {
            let now = it.store.clock().timestamp();
            Ok(it.book.add_running(&job, it.run, now)?)
        });
        added.await
    }

    /// Runs a queued job of this process, once there is room.
    async fn run(&self, id: JobId) {
        let permit = tokio::select! {
            biased;
            () = self.inner.stop.cancelled() => return, // `shut_down` cancels it.
            permit = self.inner.permits.acquire() => permit,
        };
        // Nobody closes the semaphore.
        let Ok(_permit) = permit else { return };
        // Noted before it is claimed, so that whoever wants it stopped always finds it.
        let running = self.note_running(id);
        let claimed = self
            .unblock(move |it| {
                let now = it.store.clock().timestamp();
                if it.book.claim(id, it.run, now)? {
                    Ok(it.book.get(id, None)?)
                } else {
                    Ok(None)
                }
            })
            .await;
        match claimed {
            Ok(Some(job)) => self.run_job(job, None, running.cancel.clone()).await,
            Ok(None) => {} // Cancelled, or taken by another process, while it waited.
            Err(error) => {
                tracing::error!(%error, job_id = id.get(), "cannot claim a job");
                self.inner.unclaimed().insert(id, error.to_string());
                self.say_ended();
            }
        }
    }

    fn tasks_with_secrets(&self) -> MutexGuard<'_, HashMap<JobId, String>> {
        let tasks = self.inner.tasks_with_secrets.lock();
        tasks.unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn note_running(&self, id: JobId) -> RunningNote<'_> {
        let cancel = self.inner.stop.child_token();
        let running = RunningJob {
            cancel: cancel.clone(),
            collector: None,
        };
        self.inner.running().insert(id, running);
        RunningNote {
            inner: &self.inner,
            id,
            cancel,
        }
    }

    /// Runs a job that this process has claimed, with `own` or its model's runner.
    pub(crate) async fn run_job(
        &self,
        job: Job,
        own: Option<WorkerRunner>,
        cancel: CancellationToken,
    ) {
        let _following = self.follow_book(); // Somebody elsewhere may want it to end.
        let (id, is_shared) = (job.id, job.is_shared);
        let (events, received) = mpsc::unbounded_channel();
        let options = RunOptions {
            timeout: job.timeout,
            owner: job.owner.clone(),
            job_id: Some(id.get()),
            attempt: Some(job.attempt),
            trace: job
                .traceparent
                .as_deref()
                .and_then(TraceContext::from_traceparent),
            parent_worker_id: job.parent_worker_id.clone(),
            cancel,
            events: Some(events),
            ..RunOptions::default()
        };
        let this = self.clone();
        // A task of its own: whatever panics in it ends the job, and not what keeps the book.
        let run = tokio::spawn(async move {
            let runners = &this.inner.runners;
            let runner = match own {
                Some(own) => own,
                None if job.spawned_by == this.inner.run => runners.runner(job.model.as_deref())?,
                None => runners.runner_for(job.model.as_deref(), &job.settings)?,
            };
            let with_secrets = this.tasks_with_secrets().get(&id).cloned();
            let task = with_secrets.unwrap_or(job.task);
            runner.run_worker(&task, options).await?;
            Ok::<_, SupervisorError>(())
        });
        // `run` owns the sender, so `follow` ends when the worker has.
        let (result, ()) = tokio::join!(run, self.follow(id, is_shared, received));
        let result = result.unwrap_or_else(|it| Err(SupervisorError::BrokenOff(it.to_string())));
        if let Err(error) = result {
            self.end(id, FinalStatus::Failed, Some(error.to_string()))
                .await;
        }
    }

    /// Notes in the book what the worker says of itself.
    async fn follow(
        &self,
        id: JobId,
        is_shared: bool,
        mut events: mpsc::UnboundedReceiver<WorkerEvent>,
    ) {
        while let Some(event) = events.recv().await {
            match event {
                WorkerEvent::Started {
                    worker_id,
                    collector,
                } => {
                    if let Some(running) = self.inner.running().get_mut(&id) {
                        running.collector = Some(collector);
                    }
                    let noted = self
                        .unblock(move |it| Ok(it.book.started(id, &worker_id)?))
                        .await;
                    if let Err(error) = noted {
                        tracing::error!(%error, job_id = id.get(), "cannot note a job's worker");
                    }
                }
                WorkerEvent::Completed { status, error, .. } => {
                    let was_stopped = status == Status::Cancelled && self.inner.stop.is_cancelled();
                    if is_shared && was_stopped && self.is_given_back(id).await {
                        continue;
                    }
                    self.end(id, final_status(status), error).await;
                }
                _ => {}
            }
        }
    }

    /// Whether a job that was stopped because this process ends has another attempt, elsewhere.
    async fn is_given_back(&self, id: JobId) -> bool {
        let requeued = self.unblock(move |it| Ok(it.book.requeue(id, it.run)?));
        requeued.await.unwrap_or(false)
    }

    async fn end(&self, id: JobId, status: FinalStatus, error: Option<String>) {
        let ended = self
            .unblock(move |it| {
                let finished_at = it.store.clock().timestamp();
                let end = End {
                    status,
                    error,
                    finished_at,
                };
                Ok(it.end(id, end)?)
            })
            .await;
        if let Err(error) = ended {
            tracing::error!(%error, job_id = id.get(), "cannot note a job's end");
        }
        self.say_ended();
    }

    /// Cancels the jobs of this process that have not started.
    async fn cancel_queue(&self) {
        let cancelled = self
            .unblock(|it| {
                let now = it.store.clock().timestamp();
                Ok(it.book.cancel_all_queued_of(it.run, now)?)
            })
            .await;
        match cancelled {
            Ok(_) => self.say_ended(),
            Err(error) => tracing::error!(%error, "cannot cancel the queued jobs"),
        }
    }

    /// Whether this process runs any job.
    pub(crate) fn runs_some(&self) -> bool {
        !self.inner.running().is_empty()
    }

    /// Tells a worker of this process to stop; whether the job is among the running ones.
    pub(crate) fn stop_running(&self, id: JobId) -> bool {
        let running = self.inner.running();
        let found = running.get(&id);
        found.inspect(|it| it.cancel.cancel()).is_some()
    }

    /// Wakes whoever waits for a job.
    fn say_ended(&self) {
        self.inner.ended.send_modify(|it| *it += 1);
    }
}

/// Takes the secrets out of the task that is to be written down; gives it as it was, if it had any.
fn hide_secrets(job: &mut NewJob, runner: &WorkerRunner) -> Option<String> {
    let written = runner.redacted(&job.task);
    let task = std::mem::replace(&mut job.task, written);
    (task != job.task).then_some(task)
}

/// A job added inside a worker's scope is that worker's child in the trace, whichever process runs it.
fn place_in_trace(job: &mut NewJob) {
    let Some(parent) = MetricsCollector::current() else {
        return;
    };
    if job.traceparent.is_none() {
        job.traceparent = parent_of(MetricsCollector::child_trace());
    }
    if job.parent_worker_id.is_none() {
        job.parent_worker_id = Some(parent.worker_id().clone());
    }
}

/// What a child of `trace`'s parent is told; `None` for the root of a trace, which has none.
pub(crate) fn parent_of(trace: TraceContext) -> Option<String> {
    let parent = TraceContext {
        span_id: trace.parent_span_id?,
        parent_span_id: None,
        ..trace
    };
    Some(parent.traceparent())
}

/// A job stands among the running ones for as long as this lives.
pub(crate) struct RunningNote<'a> {
    inner: &'a Inner,
    id: JobId,
    pub(crate) cancel: CancellationToken,
}

impl Drop for RunningNote<'_> {
    fn drop(&mut self) {
        self.inner.running().remove(&self.id);
    }
}

/// What blocking work may use.
pub(crate) struct View<'a> {
    pub(crate) store: &'a ArtifactStore,
    pub(crate) book: &'a JobBook,
    pub(crate) run: &'a RunId,
    pub(crate) unnoted: &'a UnnotedEnds,
}

impl Inner {
    fn running(&self) -> MutexGuard<'_, HashMap<JobId, RunningJob>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unclaimed(&self) -> MutexGuard<'_, HashMap<JobId, String>> {
        let unclaimed = self.unclaimed.lock();
        unclaimed.unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) fn final_status(status: Status) -> FinalStatus {
    match status {
        Status::Success => FinalStatus::Success,
        Status::Timeout => FinalStatus::Timeout,
        Status::Cancelled => FinalStatus::Cancelled,
        _ => FinalStatus::Failed,
    }
}

impl std::fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Supervisor")
            .field("store", &self.inner.store)
            .field("book", &self.inner.book)
            .finish_non_exhaustive()
    }
}
