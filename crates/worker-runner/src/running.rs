//! A worker from its start to its end, whichever way that comes.

use std::{sync::Arc, time::Duration};

use artifact_store::{Metadata, Status, StoreError, WorkerUsage, WorkerWriter};
use metrics_collector::MetricsCollector;
use metrics_core::{CallStart, CallTime, Clock, ErrorText};
use serde_json::{Map, Value};
use tokio::task::JoinHandle;

use crate::{
    activity::{self, Watch},
    agent::{AgentContext, AgentError},
    lifecycle::{Lifecycle, WorkerEvent},
    react::panic_text,
    runner::{RunOptions, WorkerReport},
    summary::Summary,
    tally::{self, Tally},
};

/// How long an agent that was stopped may take to let go of what it holds.
const STOP_GRACE: Duration = Duration::from_millis(500);
/// How long the thread waits for what was recorded between the wait for the events and the metadata that counts them,
/// as by a task that outlives its agent. The disk has just answered, so this is over at once.
const LATE_EVENTS_TIMEOUT: Duration = Duration::from_millis(50);
/// How long a worker whose caller went away holds up that caller's thread for its events.
const DROP_FLUSH_TIMEOUT: Duration = Duration::from_millis(200);

/// Why an agent runs no more.
pub(crate) enum Ending {
    Returned(Result<(), AgentError>),
    Panicked(String),
    Timeout(Duration),
    Cancelled,
    /// Whoever waited for the worker went away.
    Abandoned,
}

impl Ending {
    fn status(&self) -> Status {
        match self {
            Self::Returned(Ok(())) => Status::Success,
            Self::Returned(Err(_)) | Self::Panicked(_) => Status::Failed,
            Self::Timeout(_) => Status::Timeout,
            Self::Cancelled | Self::Abandoned => Status::Cancelled,
        }
    }

    fn error(&self) -> Option<String> {
        match self {
            Self::Returned(Ok(())) => None,
            Self::Returned(Err(error)) => Some(error.to_string()),
            Self::Panicked(message) => Some(format!("the agent panicked: {message}")),
            Self::Timeout(limit) => Some(format!("timed out after {limit:?}")),
            Self::Cancelled => Some("cancelled".to_owned()),
            Self::Abandoned => Some("cancelled: nobody waits for it any more".to_owned()),
        }
    }

    /// What became of the calls that were in flight.
    fn reason(&self) -> ErrorText<'static> {
        match self {
            Self::Timeout(_) => ErrorText::TIMEOUT,
            Self::Panicked(_) => ErrorText::PANICKED,
            Self::Returned(_) | Self::Cancelled | Self::Abandoned => ErrorText::CANCELLED,
        }
    }
}

/// How an agent ended, once that is decided: nothing that happens later changes it.
#[derive(Clone)]
struct Ended {
    status: Status,
    error: Option<String>,
    duration: Duration,
}

/// Owns a worker while it runs. Dropped before it is done, it stops the agent and writes what there is.
pub(crate) struct Running {
    worker: Arc<WorkerWriter>,
    collector: MetricsCollector,
    tally: Arc<Tally>,
    context: AgentContext,
    lifecycle: Lifecycle,
    clock: Clock,
    started: CallStart,
    agent: JoinHandle<Result<(), AgentError>>,
    /// `None` once it has ended.
    activity: Option<Watch>,
    ended: Option<Ended>,
    /// From the completion on: the result, until it is summed up.
    to_sum_up: Option<String>,
    completed: bool,
}

impl Running {
    pub(crate) fn new(
        worker: Arc<WorkerWriter>,
        (collector, tally): (MetricsCollector, Arc<Tally>),
        context: AgentContext,
        lifecycle: Lifecycle,
        clock: Clock,
        started: CallStart,
        agent: JoinHandle<Result<(), AgentError>>,
    ) -> Self {
        Self {
            activity: Some(activity::watch(&worker, &collector)),
            worker,
            collector,
            tally,
            context,
            lifecycle,
            clock,
            started,
            agent,
            ended: None,
            to_sum_up: None,
            completed: false,
        }
    }

    pub(crate) fn collector(&self) -> &MetricsCollector {
        &self.collector
    }

    /// Waits for the agent's end, its time limit, or somebody's wish.
    pub(crate) async fn wait(&mut self, options: &RunOptions) -> Ending {
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
            () = sleep(options.timeout) => Ending::Timeout(options.timeout),
        }
    }

    /// Stops the agent, writes what it leaves, and only then says in the metadata how it ended.
    pub(crate) async fn complete(
        &mut self,
        ending: &Ending,
        stop_grace: Duration,
        flush_timeout: Duration,
    ) -> WorkerReport {
        let ended = self.end(ending);
        self.context.stopping().cancel();
        if !self.agent.is_finished() && !stop_grace.is_zero() {
            // How it ends now changes nothing any more.
            let _ = tokio::time::timeout(stop_grace, &mut self.agent).await;
        }
        if !self.agent.is_finished() {
            self.agent.abort();
            // Dropping an agent may end processes and connections; one that blocks its thread is left behind.
            let _ = tokio::time::timeout(STOP_GRACE, &mut self.agent).await;
        }
        // What is still in flight belongs to code that cannot be stopped.
        self.collector.close(&ending.reason());
        let late = self.flush(flush_timeout).await;
        self.finish(ended, late)
    }

    /// Adds the summary to the metadata and the report.
    pub(crate) async fn sum_up(
        &mut self,
        report: &mut WorkerReport,
        summary: Summary,
        flush_timeout: Duration,
    ) {
        // The summary's own call is an event too.
        let late = self.flush(flush_timeout).await;
        let text = summary.text.clone();
        let written = self.write_summary(summary, late);
        report
            .problems
            .extend(written.err().map(|it| it.to_string()));
        report.totals = self.collector.totals();
        report.cost = self.tally.cost();
        report.events_lost = self.worker.event_counts().lost;
        report.summary = text;
    }

    /// Waits for the events that were recorded so far, and gives how long to wait for those that come meanwhile. How it
    /// went is told by the counts.
    async fn flush(&self, timeout: Duration) -> Duration {
        match tokio::time::timeout(timeout, self.collector.flush()).await {
            Ok(_) => LATE_EVENTS_TIMEOUT,
            Err(_) => Duration::ZERO,
        }
    }

    /// Decides how the worker ended. The clock is read first of all.
    fn end(&mut self, ending: &Ending) -> Ended {
        let ended = Ended {
            duration: self.clock.elapsed(&self.started),
            status: ending.status(),
            error: ending
                .error()
                .map(|it| self.context.redactor().text(&it).into_owned()),
        };
        self.ended = Some(ended.clone());
        // Calls that the agent drops when it is stopped say all that is known of them.
        self.collector.interrupt(ending.reason());
        ended
    }

    /// The part of an end that needs no runtime.
    fn finish(&mut self, ended: Ended, flush_timeout: Duration) -> WorkerReport {
        self.completed = true;
        self.activity = None; // Nothing is in flight any more.
        let Ended {
            status,
            error,
            duration,
        } = ended;
        let written = self.context.written_result();
        let is_written = written.is_some();
        let result = written.unwrap_or_else(|| self.context.result());
        let mut problems = self.context.problems();
        // The events are done with first: on a full disk the last room goes to the result and the metadata.
        self.worker.finish_metrics(flush_timeout);
        if !is_written && let Err(error) = self.worker.write_result(&result) {
            problems.push(error.to_string());
        }
        // Whoever reads what is there shall know that something is not.
        for problem in &problems {
            self.context.warn(problem);
        }
        let settled = self.worker.settle(flush_timeout, |it| {
            add_facts(it, self.context.facts());
            it.status = status;
            it.finished_at = Some(CallTime::new(self.started.timestamp(), duration).end_ts());
            it.duration_ms = u64::try_from(duration.as_millis()).ok();
            it.duration_us = u64::try_from(duration.as_micros()).ok();
            it.error.clone_from(&error);
            it.usage = Some(self.usage());
        });
        problems.extend(settled.err().map(|it| it.to_string()));
        self.to_sum_up = Some(result.clone());
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
            cost: self.tally.cost(),
            events_lost: self.worker.event_counts().lost,
            problems,
        }
    }

    /// What its calls came to so far. Taken at its end: a text that was read then is not another one once it is summed up.
    fn usage(&self) -> WorkerUsage {
        tally::usage(&self.collector.totals(), &self.tally.cost())
    }

    fn write_summary(
        &mut self,
        summary: Summary,
        flush_timeout: Duration,
    ) -> Result<(), StoreError> {
        self.to_sum_up = None;
        let Summary { text, meta } = summary;
        let written = self.worker.settle(flush_timeout, |it| {
            it.summary = Some(text.clone());
            it.summary_meta = meta;
        });
        self.lifecycle
            .send(|| WorkerEvent::SummaryReady { summary: text });
        written.map(drop)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.completed {
            // What was decided stands: a worker that had succeeded when its caller went away has succeeded.
            let ended = self.ended.take();
            let ended = ended.unwrap_or_else(|| self.end(&Ending::Abandoned));
            self.agent.abort();
            self.collector.close(&ErrorText::CANCELLED);
            self.finish(ended, DROP_FLUSH_TIMEOUT);
        }
        if let Some(result) = self.to_sum_up.take() {
            // Nobody is left to tell a problem to.
            let _ = self.write_summary(Summary::beginning(&result), DROP_FLUSH_TIMEOUT);
        }
    }
}

/// Adds what an agent says of its worker; a key that is there already, as each of the format's own, stands.
fn add_facts(metadata: &mut Metadata, facts: Map<String, Value>) {
    if facts.is_empty() {
        return;
    }
    let known = serde_json::to_value(&*metadata).unwrap_or_default();
    let new = facts
        .into_iter()
        .filter(|(key, _)| known.get(key).is_none());
    metadata.extra.extend(new);
}

/// Sleeps for ever if the time is longer than the clock reaches.
async fn sleep(duration: Duration) {
    match tokio::time::Instant::now().checked_add(duration) {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
