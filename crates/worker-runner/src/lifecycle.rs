//! What happens in a worker's life, on a channel, for whoever shows progress or waits.

use std::time::Duration;

use artifact_store::Status;
use metrics_collector::MetricsCollector;
use metrics_core::WorkerId;
use tokio::sync::mpsc::UnboundedSender;

/// One thing that happened.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum WorkerEvent {
    /// The worker has a directory and its agent starts.
    Started {
        /// The worker.
        worker_id: WorkerId,
        /// Its totals so far and what it is doing now, for as long as anybody asks.
        collector: MetricsCollector,
    },
    /// A tool call starts.
    ToolStarted {
        /// The tool.
        tool: String,
        /// The model's id for this call.
        tool_call_id: String,
    },
    /// A tool call succeeded.
    ToolCompleted {
        /// The tool.
        tool: String,
        /// The model's id for this call.
        tool_call_id: String,
        /// How long it took.
        duration: Duration,
    },
    /// A tool call failed.
    ToolFailed {
        /// The tool.
        tool: String,
        /// The model's id for this call.
        tool_call_id: String,
        /// How long it took.
        duration: Duration,
        /// Why.
        error: String,
    },
    /// The agent has ended; its result and metadata are on disk.
    Completed {
        /// How it ended.
        status: Status,
        /// How long it ran.
        duration: Duration,
        /// Why it did not succeed.
        error: Option<String>,
    },
    /// The summary is in the metadata.
    SummaryReady {
        /// The summary.
        summary: String,
    },
}

/// Where a worker's events go; nowhere if nobody listens.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lifecycle(pub(crate) Option<UnboundedSender<WorkerEvent>>);

impl Lifecycle {
    pub(crate) fn send(&self, event: impl FnOnce() -> WorkerEvent) {
        if let Some(sender) = &self.0 {
            // A listener that went away missed nothing that it wanted.
            let _ = sender.send(event());
        }
    }
}
