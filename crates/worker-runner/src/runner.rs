//! Running an agent as a worker.

use std::{sync::Arc, time::Duration};

use artifact_store::{ArtifactStore, DEFAULT_OWNER, NewWorker, Status, StoreError, WorkerWriter};
use metrics_collector::{MetricsCollector, Totals, llm_call};
use metrics_core::{CallStart, CallTime, Clock, ErrorText, Phase, WorkerId};
use serde_json::{Map, Value, json};
use tokio::{sync::mpsc::UnboundedSender, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::{
    agent::{Agent, AgentContext, AgentError},
    lifecycle::{Lifecycle, WorkerEvent},
    model::{ChatModel, ChatReply, ChatRequest, Message, ModelError, Role},
    react::panic_text,
    result::{extract_result, summary_of},
};

/// The key in `metadata.json` that says why events were lost, beside `events_lost`.
pub const EVENTS_LOST_REASON: &str = "events_lost_reason";

/// How long a worker may run unless told otherwise.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_mins(5);
/// How long a summary may take.
const SUMMARY_TIMEOUT: Duration = Duration::from_secs(30);
/// How long an agent that was stopped may take to let go of what it holds.
const STOP_GRACE: Duration = Duration::from_millis(500);

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
    /// Stops the agent when cancelled; the worker's status is `cancelled`.
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
    /// Its result, or what there is of it.
    pub result: String,
    /// Why it did not succeed.
    pub error: Option<String>,
    /// How long the agent ran, on the monotonic clock.
    pub duration: Duration,
    /// The result in one line.
    pub summary: String,
    /// What its calls came to.
    pub totals: Totals,
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
}

impl WorkerRunner {
    /// A runner of `agent`. Summaries are the beginnings of the results.
    pub fn new(store: ArtifactStore, agent: Arc<dyn Agent>) -> Self {
        Self {
            store,
            agent,
            summary_model: None,
        }
    }

    /// Lets `model` sum up each successful result, after the worker has completed.
    #[must_use]
    pub fn summary_model(mut self, model: Arc<dyn ChatModel>) -> Self {
        self.summary_model = Some(model);
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
        let (status, error) = (ending.status(), ending.error(&options));
        let report = running
            .complete(&ending.reason(), status, error, options.flush_timeout)
            .await;
        let report = self
            .summarize(report, &running, options.flush_timeout)
            .await;
        Ok(report)
    }

    fn start(&self, task: &str, options: &RunOptions) -> Result<Running, StoreError> {
        let trace = MetricsCollector::child_trace();
        let mut config = options.config.clone();
        if let Some(model) = self.agent.model() {
            config.entry("model").or_insert_with(|| json!(model));
        }
        config
            .entry("timeout_seconds")
            .or_insert_with(|| json!(options.timeout.as_secs_f64()));
        let worker = Arc::new(self.store.create_worker(NewWorker {
            task: task.to_owned(),
            config: Value::Object(config),
            owner: options.owner.clone(),
            trace,
            parent_worker_id: MetricsCollector::current().map(|it| it.worker_id().clone()),
            job_id: options.job_id,
            attempt: options.attempt,
        })?);
        let clock = self.store.clock().clone();
        let collector = MetricsCollector::with(worker.id(), worker.sink(), trace, clock.clone());
        let lifecycle = Lifecycle(options.events.clone());
        let context = AgentContext::new(Arc::clone(&worker), lifecycle.clone());
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
        // A task of its own: an agent that blocks its thread cannot keep the time limit from being noticed.
        let agent =
            tokio::spawn(collector.scope(async move { agent.run(&task, &for_agent).await }));
        Ok(Running {
            worker,
            collector,
            context,
            lifecycle,
            clock,
            started,
            agent,
            completed: false,
        })
    }

    /// The summary is derived: it comes after completion, and nothing that happens here changes how the worker ended.
    async fn summarize(
        &self,
        mut report: WorkerReport,
        running: &Running,
        flush_timeout: Duration,
    ) -> WorkerReport {
        let model = self
            .summary_model
            .as_ref()
            .filter(|_| report.status == Status::Success);
        let beginning = || summary_of(&report.result);
        let (summary, meta) = match model {
            None => (beginning(), json!({"source": "beginning"})),
            Some(model) => {
                let asked = running
                    .collector
                    .scope(ask_for_summary(&**model, &report.result));
                match asked.await {
                    Ok(summary) => (summary, json!({"source": "model", "model": model.name()})),
                    Err(error) => (
                        beginning(),
                        json!({"source": "beginning", "model": model.name(), "error": error}),
                    ),
                }
            }
        };
        let _ = tokio::time::timeout(flush_timeout, running.collector.flush()).await;
        let written = running.settle(Duration::ZERO, |it| {
            it.summary = Some(summary.clone());
            it.summary_meta = meta;
        });
        report
            .problems
            .extend(written.err().map(|it| it.to_string()));
        report.totals = running.collector.totals();
        report.events_lost = running.worker.event_counts().lost;
        running.lifecycle.send(|| WorkerEvent::SummaryReady {
            summary: summary.clone(),
        });
        report.summary = summary;
        report
    }
}

impl std::fmt::Debug for WorkerRunner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WorkerRunner")
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}

async fn ask_for_summary(model: &dyn ChatModel, result: &str) -> Result<String, String> {
    let prompt = format!("Summarize this result in at most 150 characters.\n\n{result}");
    let messages = [Message::text(Role::User, prompt)];
    let request = ChatRequest {
        messages: &messages,
        tools: &[],
    };
    let asked = llm_call(model.name(), Phase::SUMMARY, async {
        tokio::time::timeout(SUMMARY_TIMEOUT, model.chat(request))
            .await
            .unwrap_or_else(|_| {
                Err(ModelError::Unreachable {
                    model: model.name().to_owned(),
                    reason: ErrorText::TIMEOUT.to_string(),
                })
            })
    })
    .report(ChatReply::describe)
    .await;
    let summary = asked.map(|reply| summary_of(&reply.message.content));
    match summary {
        Ok(summary) if summary.is_empty() => Err("the model said nothing".to_owned()),
        Ok(summary) => Ok(summary),
        Err(error) => Err(error.to_string()),
    }
}

/// Why an agent runs no more.
enum Ending {
    Returned(Result<(), AgentError>),
    Panicked(String),
    Timeout,
    Cancelled,
}

impl Ending {
    fn status(&self) -> Status {
        match self {
            Self::Returned(Ok(())) => Status::Success,
            Self::Returned(Err(_)) | Self::Panicked(_) => Status::Failed,
            Self::Timeout => Status::Timeout,
            Self::Cancelled => Status::Cancelled,
        }
    }

    fn error(&self, options: &RunOptions) -> Option<String> {
        match self {
            Self::Returned(Ok(())) => None,
            Self::Returned(Err(error)) => Some(error.to_string()),
            Self::Panicked(message) => Some(format!("the agent panicked: {message}")),
            Self::Timeout => Some(format!("timed out after {:?}", options.timeout)),
            Self::Cancelled => Some("cancelled".to_owned()),
        }
    }

    /// What became of the calls that were in flight.
    fn reason(&self) -> ErrorText<'static> {
        match self {
            Self::Timeout => ErrorText::TIMEOUT,
            Self::Panicked(_) => ErrorText::PANICKED,
            Self::Returned(_) | Self::Cancelled => ErrorText::CANCELLED,
        }
    }
}

/// A worker from its start to its completion.
struct Running {
    worker: Arc<WorkerWriter>,
    collector: MetricsCollector,
    context: AgentContext,
    lifecycle: Lifecycle,
    clock: Clock,
    started: CallStart,
    agent: JoinHandle<Result<(), AgentError>>,
    completed: bool,
}

impl Running {
    async fn wait(&mut self, options: &RunOptions) -> Ending {
        tokio::select! {
            // An agent that is done is done, even if its time is up in the same moment.
            biased;
            joined = &mut self.agent => match joined {
                Ok(result) => Ending::Returned(result),
                Err(error) => match error.try_into_panic() {
                    Ok(panic) => Ending::Panicked(panic_text(&*panic)),
                    Err(_) => Ending::Cancelled, // The runtime shuts down.
                },
            },
            () = options.cancel.cancelled() => Ending::Cancelled,
            () = sleep(options.timeout) => Ending::Timeout,
        }
    }

    /// Stops the agent, writes what it leaves, and only then says in the metadata how it ended.
    async fn complete(
        &mut self,
        reason: &ErrorText<'static>,
        status: Status,
        error: Option<String>,
        flush_timeout: Duration,
    ) -> WorkerReport {
        let duration = self.clock.elapsed(&self.started);
        self.collector.close(reason);
        if !self.agent.is_finished() {
            self.agent.abort();
            // Dropping an agent may end processes and connections; one that blocks its thread is left behind.
            let _ = tokio::time::timeout(STOP_GRACE, &mut self.agent).await;
        }
        // How it went is told by the counts.
        let _ = tokio::time::timeout(flush_timeout, self.collector.flush()).await;
        self.finish(status, error, duration, Duration::ZERO)
    }

    /// The part of an end that needs no runtime.
    fn finish(
        &mut self,
        status: Status,
        error: Option<String>,
        duration: Duration,
        flush_timeout: Duration,
    ) -> WorkerReport {
        self.completed = true;
        let result = extract_result(&self.context.messages());
        let mut problems = self.context.problems();
        let mut note = |written: Result<(), StoreError>| {
            if let Err(error) = written {
                problems.push(error.to_string());
            }
        };
        note(self.worker.write_result(&result));
        note(self.settle(flush_timeout, |it| {
            it.status = status;
            it.finished_at = Some(CallTime::new(self.started.timestamp(), duration).end_ts());
            it.duration_ms = u64::try_from(duration.as_millis()).ok();
            it.duration_us = u64::try_from(duration.as_micros()).ok();
            it.error.clone_from(&error);
        }));
        self.lifecycle.send(|| WorkerEvent::Completed {
            status,
            duration,
            error: error.clone(),
        });
        WorkerReport {
            worker_id: self.worker.id(),
            status,
            result,
            error,
            duration,
            summary: String::new(),
            totals: self.collector.totals(),
            events_lost: self.worker.event_counts().lost,
            problems,
        }
    }

    /// Waits for the events, then changes the metadata, which also says how many there are and how many are lost.
    fn settle(
        &self,
        flush_timeout: Duration,
        change: impl FnOnce(&mut artifact_store::Metadata),
    ) -> Result<(), StoreError> {
        let (counts, reason) = self.worker.finish_metrics(flush_timeout);
        self.worker.update(|it| {
            change(it);
            if let Some(reason) = reason.filter(|_| counts.lost > 0) {
                it.extra
                    .insert(EVENTS_LOST_REASON.to_owned(), Value::String(reason));
            }
            it.events = Some(counts.recorded);
            it.events_lost = Some(counts.lost);
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.completed {
            return;
        }
        // Whoever waited for the worker went away.
        let duration = self.clock.elapsed(&self.started);
        self.collector.close(&ErrorText::CANCELLED);
        self.agent.abort();
        let error = Some("cancelled: nobody waits for it any more".to_owned());
        self.finish(
            Status::Cancelled,
            error,
            duration,
            Duration::from_millis(200),
        );
    }
}

/// Sleeps for ever if the time is longer than the clock reaches.
async fn sleep(duration: Duration) {
    match tokio::time::Instant::now().checked_add(duration) {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
