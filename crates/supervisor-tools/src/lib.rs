//! What a supervisor calls to hand tasks to workers, and the job book behind it.
//!
//! ```
//! use std::time::Duration;
//! use metrics_core::Clock;
//! use supervisor_tools::{FinalStatus, JobBook, JobStatus, NewJob, RunId};
//!
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path().join("jobs.sqlite");
//! let (book, clock, run) = (JobBook::open(&path)?, Clock::default(), RunId::from("a-process"));
//! let task = NewJob {
//!     owner: "local".to_owned(),
//!     task: "calculate 7*6".to_owned(),
//!     model: None,
//!     timeout: Duration::from_secs(300),
//! };
//! let id = book.add(&task, &run, clock.timestamp())?; // On disk once this returns.
//! assert_eq!(book.queue_position(id)?, Some(1));
//!
//! let job = book.claim_next_of(&run, &run, clock.timestamp())?.expect("the job just added");
//! book.started(job.id, &"2025-12-15T04-08-08_calculate-7-6".into())?;
//! assert!(book.finish(job.id, FinalStatus::Success, None, clock.timestamp())?);
//! assert_eq!(book.get(id, Some("local"))?.expect("our own job").status, JobStatus::Success);
//! assert!(book.get(id, Some("somebody-else"))?.is_none());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod digest;
mod jobs;
mod ordinal;
mod prompt;
mod runners;
mod supervisor;
mod texts;
mod tools;
mod workers;

pub use crate::{
    jobs::{
        FinalStatus, Job, JobBook, JobBookError, JobFilter, JobId, JobIdError, JobRef, JobRefError,
        JobStatus, JobStatusError, NewJob, RunId,
    },
    ordinal::Ordinal,
    prompt::SUPERVISOR_PROMPT,
    runners::{RunnerSource, UnknownModel},
    supervisor::{Activity, Cancelled, DEFAULT_CONCURRENCY, Supervisor, SupervisorError},
    tools::{
        DEFAULT_GREP_HOURS, DEFAULT_LIMIT, DEFAULT_WAIT, SpawnRequest, SupervisorTools, ToolAnswer,
        ToolFailure,
    },
    workers::{RowFilter, RowStatus, RowStatusError, WorkerRow, WorkerRows},
};
