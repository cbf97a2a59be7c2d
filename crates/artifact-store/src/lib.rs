//! Keeps what workers leave behind: a directory each, with its metadata, result, conversation, tool outputs and
//! `metrics.jsonl`, readable by other processes while the worker runs.
//!
//! ```
//! use std::time::Duration;
//! use artifact_store::{ArtifactStore, Ended, NewWorker};
//! use metrics_core::{CallTime, Clock, ToolCall};
//!
//! # let data_dir = tempfile::tempdir()?;
//! # let data_dir = data_dir.path();
//! let store = ArtifactStore::open(data_dir)?;
//! let worker = store.create_worker(NewWorker::new("back up the database"))?;
//! worker.start(store.clock().timestamp())?;
//! let time = CallTime::new(Clock::system().timestamp(), Duration::from_millis(98));
//! worker.sink().record(&worker.id(), &ToolCall::new("ssh_exec", time).into());
//! let result: Result<_, std::io::Error> = Ok("Done.");
//! let events = worker.finish(&Ended::with(&result, Duration::from_millis(120)))?;
//!
//! assert_eq!((events.recorded, events.lost), (1, 0));
//! let reader = store.worker(&worker.id())?;
//! assert!(reader.read_file("metrics.jsonl", 0, 1000)?.text.contains(r#""tool":"ssh_exec""#));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Features: `tokio` adds `ArtifactStore::unblock`, which calls the blocking methods from async code. `flush` of a sink
//! can be awaited or waited for without it. `index` lets `list` keep a cache in SQLite, for stores with many workers, and
//! `CallIndex` tell which of them a report need not read.

mod activity;
mod artifact;
mod confined;
mod data_dir;
mod death;
mod disk;
mod error;
mod examine;
#[cfg(feature = "index")]
mod index;
mod life;
mod list;
mod liveness;
mod metadata;
mod prune;
mod reader;
mod room;
mod run;
mod search;
mod store;
mod torn;
mod whole_file;
mod worker;
mod worker_id;
mod writer;

#[cfg(test)]
mod tests;

/// The example of the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

#[cfg(feature = "index")]
pub use crate::index::{CallIndex, WantedCalls};
pub use crate::{
    activity::{ActivityFile, OpenCall},
    data_dir::{DATA_DIR_VARIABLE, IfMissing, data_dir},
    death::{WORKER_DIED, WorkerDeath},
    error::StoreError,
    life::Ended,
    list::{WorkerFilter, WorkerList},
    liveness::Liveness,
    metadata::{
        DEFAULT_OWNER, EVENTS_LOST_REASON, METADATA_FORMAT, Metadata, Status, StatusError,
        WorkerUsage,
    },
    prune::{PruneOptions, Pruned, PrunedWorker},
    reader::{FilePart, MAX_READ_BYTES, WorkerReader},
    search::{LineOptions, LineSearch, Match, SearchOptions, SearchResult},
    store::{ArtifactStore, NewWorker, StoreOptions},
    worker::{WorkerWriter, file_names},
    writer::{EventCounts, RecordMode, RecordModeError},
};
