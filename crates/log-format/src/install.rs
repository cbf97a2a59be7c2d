//! The one-call set-up: [`to_file`], [`to_stderr`], [`to_sink`].

#[cfg(test)]
mod tests;

use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tracing::Subscriber;
use tracing_subscriber::filter::Filtered;
use tracing_subscriber::layer::{Layered, SubscriberExt as _};
use tracing_subscriber::{EnvFilter, Layer, Registry};

use crate::filter::{DEFAULT_DIRECTIVES, Filter, from_directives, from_env};
use crate::writer::DEFAULT_QUEUE_BYTES;
use crate::{FileSink, LineSink, LogError, LogFormat, LogLayer, LogWriter, StderrSink};

/// How long a dropped [`LogGuard`] waits for the sinks.
const DROP_TIMEOUT: Duration = Duration::from_secs(2);

/// A log that appends to the file at `path`; see [`FileSink`].
#[must_use = "nothing is logged before `install` or `build`"]
pub fn to_file(path: impl Into<PathBuf>) -> LogBuilder {
    LogBuilder::new(Some(Place::File(path.into())))
}

/// A log on standard error.
#[must_use = "nothing is logged before `install` or `build`"]
pub fn to_stderr() -> LogBuilder {
    LogBuilder::new(None).also_stderr(true)
}

/// A log into a sink of the caller's own.
#[must_use = "nothing is logged before `install` or `build`"]
pub fn to_sink(sink: impl LineSink) -> LogBuilder {
    LogBuilder::new(Some(Place::Sink(Box::new(sink))))
}

/// Options of a log; ends with [`install`](Self::install) or [`build`](Self::build).
#[must_use = "nothing is logged before `install` or `build`"]
pub struct LogBuilder {
    place: Option<Place>,
    stderr: bool,
    format: LogFormat,
    directives: Option<String>,
    default_directives: String,
    queue_bytes: usize,
}

enum Place {
    File(PathBuf),
    Sink(Box<dyn LineSink>),
}

impl LogBuilder {
    fn new(place: Option<Place>) -> Self {
        Self {
            place,
            stderr: false,
            format: LogFormat::new(),
            directives: None,
            default_directives: DEFAULT_DIRECTIVES.to_owned(),
            queue_bytes: DEFAULT_QUEUE_BYTES,
        }
    }

    /// Writes every line to standard error too, from a thread of its own: a stopped terminal does not
    /// hold up the file.
    pub fn also_stderr(mut self, yes: bool) -> Self {
        self.stderr = yes;
        self
    }

    /// Asks `hook` for the current worker on every foreign event that names none itself.
    pub fn worker_id<D: fmt::Display>(
        mut self,
        hook: impl Fn() -> Option<D> + Send + Sync + 'static,
    ) -> Self {
        self.format = self.format.with_worker_id(hook);
        self
    }

    /// Takes these directives, written as in `RUST_LOG`, and does not look at `RUST_LOG`.
    pub fn filter(mut self, directives: impl Into<String>) -> Self {
        self.directives = Some(directives.into());
        self
    }

    /// The directives where `RUST_LOG` is unset, empty, or wholly invalid; `info` if not called.
    pub fn default_filter(mut self, directives: impl Into<String>) -> Self {
        self.default_directives = directives.into();
        self
    }

    /// Bytes that may wait for each sink; [`DEFAULT_QUEUE_BYTES`] if not called.
    pub fn queue_bytes(mut self, bytes: usize) -> Self {
        self.queue_bytes = bytes;
        self
    }

    /// Opens the sinks and becomes the program's global subscriber.
    ///
    /// Keep the guard until the end of `main`: dropping it waits for the last lines.
    ///
    /// # Errors
    /// Those of [`build`](Self::build), and [`LogError::AlreadyInstalled`].
    pub fn install(self) -> Result<LogGuard, LogError> {
        let Log {
            layer,
            filter,
            guard,
        } = self.build()?;
        become_global(Registry::default().with(filter).with(layer))?;
        Ok(guard)
    }

    /// [`install`](Self::install), with `other` beside the log: it sees all spans and events, whatever `RUST_LOG` says.
    ///
    /// Two layers are one with [`Layer::and_then`].
    ///
    /// # Errors
    /// As `install`.
    pub fn install_with<L>(self, other: L) -> Result<LogGuard, LogError>
    where
        L: Layer<LogRegistry> + Send + Sync,
    {
        let Log {
            layer,
            filter,
            guard,
        } = self.build()?;
        // The other one comes last: should it emit an event about an event, the log is done with the first one.
        become_global(
            Registry::default()
                .with(layer.with_filter(filter))
                .with(other),
        )?;
        Ok(guard)
    }

    /// Opens the sinks and answers the parts, for a registry of the caller's own.
    ///
    /// # Errors
    /// Those of [`FileSink::open`], and [`LogError::Thread`].
    pub fn build(self) -> Result<Log, LogError> {
        let mut writers = Vec::new();
        match self.place {
            None => {}
            Some(Place::File(path)) => {
                writers.push(LogWriter::spawn(FileSink::open(path)?, self.queue_bytes)?);
            }
            Some(Place::Sink(sink)) => writers.push(LogWriter::spawn(sink, self.queue_bytes)?),
        }
        if self.stderr {
            writers.push(LogWriter::spawn(StderrSink::new(), self.queue_bytes)?);
        }
        let Filter { filter, ignored } = match self.directives {
            Some(directives) => from_directives(&directives, &self.default_directives),
            None => from_env(&self.default_directives),
        };
        for ignored in &ignored {
            let line = ignored.notice();
            for writer in &writers {
                writer.push(&line);
            }
        }
        let layer = LogLayer::from_parts(self.format, writers.clone());
        Ok(Log {
            layer,
            filter,
            guard: LogGuard { writers },
        })
    }
}

impl fmt::Debug for LogBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match &self.place {
            None => "none",
            Some(Place::File(_)) => "file",
            Some(Place::Sink(_)) => "sink",
        };
        f.debug_struct("LogBuilder")
            .field("place", &place)
            .field("stderr", &self.stderr)
            .field("format", &self.format)
            .field("directives", &self.directives)
            .field("default_directives", &self.default_directives)
            .field("queue_bytes", &self.queue_bytes)
            .finish()
    }
}

fn become_global(subscriber: impl Subscriber + Send + Sync) -> Result<(), LogError> {
    tracing::subscriber::set_global_default(subscriber).map_err(|_| LogError::AlreadyInstalled)
}

/// What [`LogBuilder::install_with`] puts a layer on: a registry with the log.
pub type LogRegistry = Layered<Filtered<LogLayer, EnvFilter, Registry>, Registry>;

/// The parts of a log that is not installed.
///
/// `registry().with(log.layer.with_filter(log.filter))` is what [`LogBuilder::install`] does.
#[derive(Debug)]
pub struct Log {
    /// Formats events and hands them to the log threads.
    pub layer: LogLayer,
    /// `RUST_LOG` with triscope's own events kept; usable as a layer and as a filter of one layer.
    pub filter: EnvFilter,
    /// Waits for the last lines when dropped.
    pub guard: LogGuard,
}

/// Waits, when dropped, until all lines are written, at most two seconds.
///
/// Logging goes on after that; without a guard too, lines get out promptly.
#[derive(Debug)]
#[must_use = "dropping the guard waits for the lines logged so far; keep it until the end of `main`"]
pub struct LogGuard {
    writers: Vec<LogWriter>,
}

impl LogGuard {
    /// Waits until every line logged before is written or counted as dropped.
    ///
    /// # Errors
    /// [`LogError::FlushTimeout`] if a sink did not get there in time; its lines stay queued.
    pub fn flush(&self, timeout: Duration) -> Result<(), LogError> {
        let deadline = Instant::now().checked_add(timeout);
        let late = self
            .writers
            .iter()
            .filter(|it| !it.flush_until(deadline))
            .count();
        if late == 0 {
            Ok(())
        } else {
            Err(LogError::FlushTimeout { timeout })
        }
    }

    /// Lines dropped so far, summed over the sinks.
    pub fn dropped(&self) -> u64 {
        self.writers.iter().map(LogWriter::dropped).sum()
    }
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        // Nothing is left to do about a sink that does not move.
        let _ = self.flush(DROP_TIMEOUT);
    }
}
