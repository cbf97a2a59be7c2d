//! Runs an agent as a worker: inside a metrics scope, with a time limit, a directory of artifacts, a status, a result
//! and a summary.
//!
//! ```
//! use std::sync::Arc;
//! use artifact_store::{ArtifactStore, Status};
//! use async_trait::async_trait;
//! use metrics_collector::tool_call;
//! use worker_runner::{Agent, AgentContext, AgentError, Message, Role, RunOptions, WorkerRunner};
//!
//! struct Greeter;
//!
//! #[async_trait]
//! impl Agent for Greeter {
//!     async fn run(&self, task: &str, context: &AgentContext) -> Result<(), AgentError> {
//!         let name = tool_call("look_up", async { Ok::<_, std::io::Error>("Ada") }).await;
//!         let name = name.map_err(|it| AgentError::Other(it.to_string()))?;
//!         context.say(Message::text(Role::Assistant, format!("{task}, {name}!")));
//!         Ok(())
//!     }
//! }
//!
//! # let data_dir = tempfile::tempdir()?;
//! # let data_dir = data_dir.path();
//! # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
//! # runtime.block_on(async {
//! let runner = WorkerRunner::new(ArtifactStore::open(data_dir)?, Arc::new(Greeter));
//! let report = runner.run_worker("Hello", RunOptions::default()).await?;
//! assert_eq!((report.status, &*report.result), (Status::Success, "Hello, Ada!"));
//! assert_eq!(report.totals.tool_calls, 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! With a [`ChatModel`] and [`Tool`]s there is no agent to write: [`ReactAgent`] is one.

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

mod activity;
mod agent;
mod agent_fn;
mod lifecycle;
mod limits;
mod model;
mod react;
mod redact;
mod remarks;
mod result;
mod retry;
mod runner;
mod running;
mod summary;
mod tally;
mod tool;
mod tool_context;

#[cfg(test)]
mod tests;

pub use redactor::{REDACTED, Redactor, RedactorBuilder};
pub use tokio_util::sync::CancellationToken;

pub use crate::{
    agent::{Agent, AgentContext, AgentError},
    agent_fn::{AgentFn, agent_fn},
    lifecycle::WorkerEvent,
    limits::{LimitReached, ReactLimits},
    model::{
        ChatModel, ChatReply, ChatRequest, ErrorClass, Message, ModelError, Role, ToolRequest,
    },
    react::ReactAgent,
    remarks::WARNINGS,
    result::NO_RESULT,
    retry::RetryPolicy,
    runner::{DEFAULT_TIMEOUT, RunOptions, WorkerReport, WorkerRunner},
    tool::{Tool, ToolDefinition, ToolError},
    tool_context::{OutputArtifact, TRACEPARENT_VARIABLE, ToolContext, WORKER_ID_VARIABLE},
};
