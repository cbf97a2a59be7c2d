//! Any program as a worker: its standard output is the result, its exit code the status, and what it appends to a file of
//! its own are events on all three tiers.
//!
//! ```
//! use std::{ffi::OsString, sync::Arc};
//! use artifact_store::{ArtifactStore, Status};
//! use program_agent::{ProgramAgent, ProgramOptions};
//! use worker_runner::{RunOptions, WorkerRunner};
//!
//! # let data_dir = tempfile::tempdir()?;
//! # let data_dir = data_dir.path();
//! # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
//! # runtime.block_on(async {
//! let command = ["sh", "-c", "echo 42"].map(OsString::from);
//! let agent = ProgramAgent::new(command, ProgramOptions::default())?;
//! let task = agent.command_line();
//! let runner = WorkerRunner::new(ArtifactStore::open(data_dir)?, Arc::new(agent));
//! let report = runner.run_worker(&task, RunOptions::default()).await?;
//! assert_eq!((report.status, &*report.result), (Status::Success, "42\n"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The program finds [`WORKER_ID_VARIABLE`], [`TRACEPARENT_VARIABLE`] and [`METRICS_FILE_VARIABLE`] in its environment.

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

mod admission;
mod agent;
mod command;
mod environment;
mod format;
mod lines;
mod metrics_file;
mod output;
mod redacted_file;
mod streams;

#[cfg(test)]
mod tests;

pub use crate::{
    agent::{DEFAULT_TERM_GRACE, PROGRAM, ProgramAgent, ProgramOptions},
    command::CommandError,
    environment::{METRICS_FILE_VARIABLE, Surroundings, TRACEPARENT_VARIABLE, WORKER_ID_VARIABLE},
    format::{FormatError, OutputFormat},
};
