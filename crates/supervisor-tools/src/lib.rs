//! What a supervisor calls to hand tasks to workers, and the job book behind it.
//!
//! ```
//! use std::sync::Arc;
//! use artifact_store::ArtifactStore;
//! use serde_json::json;
//! use supervisor_tools::{DEFAULT_CONCURRENCY, Supervisor};
//! use worker_runner::{Agent, AgentContext, AgentError, Message, Role, WorkerRunner};
//!
//! struct Calculator;
//!
//! #[async_trait::async_trait]
//! impl Agent for Calculator {
//!     async fn run(&self, _task: &str, context: &AgentContext) -> Result<(), AgentError> {
//!         context.say(Message::text(Role::Assistant, "The result is 42."));
//!         Ok(())
//!     }
//! }
//!
//! # let data_dir = tempfile::tempdir()?;
//! # let data_dir = data_dir.path();
//! # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
//! # runtime.block_on(async {
//! let store = ArtifactStore::open(data_dir)?;
//! let runner = WorkerRunner::new(store.clone(), Arc::new(Calculator));
//! let supervisor = Supervisor::open(store, runner, DEFAULT_CONCURRENCY)?;
//!
//! let tools = supervisor.tools(Some("local")); // Sees this owner's workers alone.
//! let task = json!({"task": "calculate 7*6", "wait": true});
//! let text = tools.call("spawn_worker", &task).await;
//! assert!(text.starts_with("Result from worker job 1 (worker 2"));
//! assert!(text.contains("\n\nExecution time: "));
//! assert!(text.ends_with("\n\nThe result is 42."));
//!
//! let text = tools.call("read_worker_result", &json!({"job_id": 2})).await;
//! assert_eq!(text, "Error: job 2 not found. Use list_workers to see job ids.");
//! supervisor.shut_down().await;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`SupervisorTools::definitions`] gives the tools to a model, [`SUPERVISOR_PROMPT`] tells it how to use them. With
//! [`SupervisorTools::for_agent`] and [`SupervisorTools::spawn_with`] the supervisor is a job and a worker itself. A
//! [`RunnerSource`] chooses the agent by the model that a job names. The [`JobBook`] is one SQLite file that any number
//! of processes share; it works without a supervisor too. Jobs may wait in it for whichever process takes them:
//! [`Supervisor::submit`] and [`Supervisor::work`].

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

mod coverage;
mod dead;
mod digest;
mod events;
mod follow;
mod jobs;
mod ordinal;
mod prompt;
mod runners;
mod supervisor;
mod texts;
mod tokens;
mod tools;
mod trace;
mod unnoted;
mod work;
mod workers;

#[cfg(test)]
mod tests;

pub use crate::{
    jobs::{
        BookSummary, BookVersion, FinalStatus, Job, JobBook, JobBookError, JobFilter, JobId,
        JobIdError, JobRef, JobRefError, JobStatus, JobStatusError, MovedBook, NewJob, Recovery,
        RunId, sqlite_fault,
    },
    ordinal::Ordinal,
    prompt::SUPERVISOR_PROMPT,
    runners::{NoRunner, RunnerSource, UnknownModel},
    supervisor::{Activity, Cancelled, DEFAULT_CONCURRENCY, RunBy, Supervisor, SupervisorError},
    texts::{missing_result, one_line},
    tools::{
        DEFAULT_GREP_HOURS, DEFAULT_LIMIT, DEFAULT_METRICS_TOKENS, DEFAULT_WAIT, FullAnswer,
        SpawnRequest, SupervisorTools, ToolAnswer, ToolFailure, ToolOutput,
    },
    trace::{DEFAULT_TRACE_CALLS, Trace, TraceSpan, TraceWhat},
    work::{WorkEvent, WorkOptions},
    workers::{RowFilter, RowStatus, RowStatusError, WorkerRow, WorkerRows},
};
