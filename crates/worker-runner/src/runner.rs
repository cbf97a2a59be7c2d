//! Running an agent as a worker.

use std::{borrow::Cow, sync::Arc, time::Duration};

use artifact_store::{ArtifactStore, DEFAULT_OWNER, NewWorker, Status, StoreError};
use metrics_collector::{MetricsCollector, Totals};
use metrics_core::{EventSink, TraceContext, WorkerId};
use model_prices::{CostSum, PriceTable};
use redactor::Redactor;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;

use crate::{
    agent::{Agent, AgentContext},
    lifecycle::{Lifecycle, WorkerEvent},
    model::ChatModel,
    redact,
    running::Running,
    summary::Summary,
    tally::Tally,
};

/// How long a worker may run unless told otherwise.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_mins(5);

/// How a worker runs.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// After so long the agent is stopped and the worker's status is `timeout`.
    pub timeout: Duration,
    /// Whose the worker is.
    pub owner: String,
    /// More for `config` in `metadata.json`.
    pub config: Map<String, Value>,
    /// The supervisor's job that it carries out.
    pub job_id: Option<u64>,
    /// Which attempt at that job, from 1.
    pub attempt: Option<u32>,
    /// Its place in a trace that another process began; otherwise below the current scope, or a trace of its own.
    pub trace: Option<TraceContext>,
    /// The worker of another process that it is started for; otherwise that of the current scope.
    pub parent_worker_id: Option<WorkerId>,
    /// Stops the agent when cancelled; the worker's status is `cancelled`. An agent that has not started never does, and a
    /// summary that is being made is given up.
    pub cancel: CancellationToken,
    /// Who is told what happens.
    pub events: Option<UnboundedSender<WorkerEvent>>,
    /// How long the end waits for events that the disk has not taken.
    pub flush_timeout: Duration,
}

impl Default for RunOptions {
    fn default() -> Self {
        Self {
            timeout: DEFAULT_TIMEOUT,
            owner: DEFAULT_OWNER.to_owned(),
            config: Map::new(),
            job_id: None,
            attempt: None,
            trace: None,
            parent_worker_id: None,
            cancel: CancellationToken::new(),
            events: None,
            flush_timeout: Duration::from_secs(2),
        }
    }
}

/// How a worker ended.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct WorkerReport {
    /// The worker.
    pub worker_id: WorkerId,
    /// How it ended.
    pub status: Status,
    /// Its result, or what there is of it. Of one that the agent wrote to `result.txt` itself, the first MiB.
    pub result: String,
    /// Why it did not succeed.
    pub error: Option<String>,
    /// How long the agent ran, on the monotonic clock.
    pub duration: Duration,
    /// The result in one line.
    pub summary: String,
    /// What its calls came to.
    pub totals: Totals,
    /// What they cost.
    pub cost: CostSum,
    /// Events that are not in `metrics.jsonl`.
    pub events_lost: u64,
    /// Artifacts that could not be written; none of this changed the result.
    pub problems: Vec<String>,
}

/// Runs an agent as workers of a store. Cheap to clone.
#[derive(Clone)]
pub struct WorkerRunner {
    store: ArtifactStore,
    agent: Arc<dyn Agent>,
    summary_model: Option<Arc<dyn ChatModel>>,
    redactor: Redactor,
    prices: PriceTable,
}

impl WorkerRunner {
    /// A runner of `agent`. Summaries are the beginnings of the results.
    pub fn new(store: ArtifactStore, agent: Arc<dyn Agent>) -> Self {
        Self {
            store,
            agent,
            summary_model: None,
            redactor: Redactor::new(),
            prices: PriceTable::builtin(),
        }
    }

    /// Lets `model` sum up each successful result, after the worker has completed.
    #[must_use]
    pub fn summary_model(mut self, model: Arc<dyn ChatModel>) -> Self {
        self.summary_model = Some(model);
        self
    }

    /// Takes secrets out of what is written of each worker with `redactor` instead of the usual one.
    ///
    /// What is written is the task and the configuration, the conversation, tool outputs, results, summaries and errors, in
    /// files, events and log lines. The model and the tools see everything as it is. With [`Redactor::off`] **every secret
    /// that an agent meets is written down**.
    #[must_use]
    pub fn redactor(mut self, redactor: Redactor) -> Self {
        self.redactor = redactor;
        self
    }

    /// The text as it may be written.
    pub fn redacted(&self, text: &str) -> String {
        self.redactor.text(text).into_owned()
    }

    /// What the calls of models cost; otherwise [`PriceTable::builtin`].
    #[must_use]
    pub fn prices(mut self, prices: PriceTable) -> Self {
        self.prices = prices;
        self
    }

    /// The store.
    pub fn store(&self) -> &ArtifactStore {
        &self.store
    }

    /// Runs the agent on `task` as a new worker, to its end and its summary.
    ///
    /// Called inside another worker's scope the new one is its child in the trace. If the returned future is dropped, the
    /// agent is stopped and the worker's status is `cancelled`.
    ///
    /// # Errors
    /// Only if the worker's directory cannot be made. A failed, timed out or cancelled worker is an answer.
    pub async fn run_worker(
        &self,
        task: &str,
        options: RunOptions,
    ) -> Result<WorkerReport, StoreError> {
        let mut running = self.start(task, &options)?;
        let ending = running.wait(&options).await;
        let grace = self.agent.stop_grace();
        let mut report = running
            .complete(&ending, grace, options.flush_timeout)
            .await;
        let summary = self.summary(&report, &running, &options.cancel).await;
        running
            .sum_up(&mut report, summary, options.flush_timeout)
            .await;
        Ok(report)
    }

    fn start(&self, task: &str, options: &RunOptions) -> Result<Running, StoreError> {
        let trace = options.trace.unwrap_or_else(MetricsCollector::child_trace);
        let parent_worker_id = options.parent_worker_id.clone();
        let parent_worker_id = parent_worker_id
            .or_else(|| MetricsCollector::current().map(|it| it.worker_id().clone()));
        let mut config = options.config.clone();
        if let Some(model) = self.agent.model() {
            config.entry("model").or_insert_with(|| json!(model));
        }
        config
            .entry("timeout_seconds")
            .or_insert_with(|| json!(options.timeout.as_secs_f64()));
        let worker = Arc::new(self.store.create_worker(NewWorker {
            task: self.redacted(task),
            config: Value::Object(redact::facts(&self.redactor, config)),
            owner: options.owner.clone(),
            trace,
            parent_worker_id,
            job_id: options.job_id,
            attempt: options.attempt,
        })?);
        let clock = self.store.clock().clone();
        let tally = Arc::new(Tally::new(worker.sink(), self.prices.clone()));
        let sink: Arc<dyn EventSink> = tally.clone();
        let collector = MetricsCollector::with(worker.id(), sink, trace, clock.clone());
        let redactor = self.redactor.clone();
        collector.filter_errors(move |error| match redactor.text(error) {
            Cow::Borrowed(_) => None,
            Cow::Owned(text) => Some(text),
        });
        let lifecycle = Lifecycle(options.events.clone());
        let deadline = tokio::time::Instant::now().checked_add(options.timeout);
        let context = AgentContext::new(
            Arc::clone(&worker),
            lifecycle.clone(),
            deadline,
            self.redactor.clone(),
        );
        let started = clock.start();
        worker.update(|it| {
            it.status = Status::Running;
            it.started_at = Some(started.timestamp());
        })?;
        lifecycle.send(|| WorkerEvent::Started {
            worker_id: worker.id(),
            collector: collector.clone(),
        });
        let (agent, task, for_agent) = (Arc::clone(&self.agent), task.to_owned(), context.clone());
        let (cancel, no_time) = (options.cancel.clone(), options.timeout.is_zero());
        // A task of its own: an agent that blocks its thread cannot keep the time limit from being noticed.
        let agent = tokio::spawn(collector.scope(async move {
            if no_time || cancel.is_cancelled() {
                // It must not begin; whoever waits for it ends it.
                for_agent.stopping().cancelled().await;
                return Ok(());
            }
            agent.run(&task, &for_agent).await
        }));
        Ok(Running::new(
            worker,
            (collector, tally),
            context,
            lifecycle,
            clock,
            started,
            agent,
        ))
    }

    /// The summary is derived: it comes after completion, and nothing that happens here changes how the worker ended.
    async fn summary(
        &self,
        report: &WorkerReport,
        running: &Running,
        cancel: &CancellationToken,
    ) -> Summary {
        let model = self.summary_model.as_deref();
        let summary = match model.filter(|_| report.status == Status::Success) {
            None => Summary::beginning(&report.result),
            Some(model) => {
                let asked = running
                    .collector()
                    .scope(Summary::ask(model, &report.result));
                tokio::select! {
                    biased;
                    () = cancel.cancelled() => Summary::without(model, &report.result, "cancelled"),
                    summary = asked => summary,
                }
            }
        };
        summary.redacted(&self.redactor)
    }
}

impl std::fmt::Debug for WorkerRunner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WorkerRunner")
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}
