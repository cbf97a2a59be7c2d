//! What can go wrong with a store, and what to do about it.

use std::{io, path::PathBuf};

use metrics_core::WorkerId;

/// Why a store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The data directory cannot be used.
    #[error("data directory `{}` {problem}", path.display())]
    DataDir {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        problem: String,
    },
    /// A file operation failed.
    #[error("cannot {action} `{}`: {source}", path.display())]
    Io {
        /// What was tried, such as `read`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
    /// There is no such worker.
    #[error("no worker `{worker_id:.200}` in `{}`", data_dir.display())]
    WorkerNotFound {
        /// The id asked for.
        worker_id: WorkerId,
        /// Where it was looked for.
        data_dir: PathBuf,
    },
    /// A worker has no such file.
    #[error("worker `{worker_id}` has no file `{file}`; {}", listed(files))]
    FileNotFound {
        /// The worker.
        worker_id: WorkerId,
        /// The path asked for.
        file: String,
        /// What is there instead.
        files: Vec<String>,
    },
    /// A path that leads out of the worker's directory, or to something that is not a plain file.
    #[error(
        "`{file}` {problem}; use the relative path of a file in the worker's directory, such as `metrics.jsonl`"
    )]
    Refused {
        /// The path asked for.
        file: String,
        /// Why it is refused.
        problem: &'static str,
    },
    /// A worker's directory that cannot be removed.
    #[error("cannot remove `{}`: {problem}", path.display())]
    Unremovable {
        /// The directory.
        path: PathBuf,
        /// What is in the way.
        problem: String,
    },
    /// A file of the store does not hold what it should.
    #[error("`{}` is damaged: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A search pattern that is not a regular expression, or too large a one.
    #[error("`{pattern}` is not a usable regular expression: {reason}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// The first of `files`; all of them could be thousands.
fn listed(files: &[String]) -> String {
    const SHOWN: usize = 20;
    let shown = files[..files.len().min(SHOWN)].join(", ");
    match files.len() {
        0 => "it has no files".to_owned(),
        n if n > SHOWN => format!("its files: {shown} and {} more", n - SHOWN),
        _ => format!("its files: {shown}"),
    }
}

impl StoreError {
    /// Turns an I/O error on `path` into one that says so.
    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }
}
