//! What can go wrong before the first line is written, and at a flush.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Why a log could not be set up, or not be flushed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The path of the log file is a directory.
    #[error("`{}` is a directory\nhint: give the path of a file in it, such as `{}`",
        path.display(), path.join("triscope.log").display())]
    IsDirectory {
        /// The path as an absolute one.
        path: PathBuf,
    },
    /// A folder for the log file could not be made.
    #[error("failed to create the directory `{}` for the log file", path.display())]
    CreateDirectory {
        /// The missing folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The path is a FIFO that nobody reads.
    #[error("`{}` is a FIFO that nobody reads\nhint: start the reader first, or give the path of a file",
        path.display())]
    FifoWithoutReader {
        /// The FIFO.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The log file could not be opened for appending.
    #[error("failed to open the log file `{}` for appending", path.display())]
    Open {
        /// The log file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The log thread could not be started.
    #[error("failed to start the log thread")]
    Thread {
        /// What the system said.
        source: io::Error,
    },
    /// The program already has a global `tracing` subscriber.
    #[error(
        "a global `tracing` subscriber is already installed\nhint: call `build` instead of \
        `install` and add the `LogLayer` to your own registry"
    )]
    AlreadyInstalled,
    /// The sink did not take all lines in time; they stay queued.
    #[error("the log was not written within {} ms", timeout.as_millis())]
    FlushTimeout {
        /// How long the flush waited.
        timeout: Duration,
    },
}
