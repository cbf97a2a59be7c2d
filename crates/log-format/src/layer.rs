//! [`LogLayer`]: events of a subscriber to the queues of log threads.

use std::fmt;

use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use crate::{LogFormat, LogWriter};

/// A `tracing_subscriber` layer that formats each event once and hands the line to its writers.
///
/// Spans are not printed. It filters nothing itself; add a filter as with any layer.
#[derive(Debug, Clone)]
pub struct LogLayer {
    format: LogFormat,
    writers: Vec<LogWriter>,
}

impl LogLayer {
    /// A layer that writes to `writer`.
    pub fn new(writer: LogWriter) -> Self {
        Self {
            format: LogFormat::new(),
            writers: vec![writer],
        }
    }

    /// Writes to `writer` as well; a slow writer does not delay the others.
    #[must_use]
    pub fn with_writer(mut self, writer: LogWriter) -> Self {
        self.writers.push(writer);
        self
    }

    /// See [`LogFormat::with_worker_id`].
    #[must_use]
    pub fn with_worker_id<D: fmt::Display>(
        mut self,
        hook: impl Fn() -> Option<D> + Send + Sync + 'static,
    ) -> Self {
        self.format = self.format.with_worker_id(hook);
        self
    }

    pub(crate) fn from_parts(format: LogFormat, writers: Vec<LogWriter>) -> Self {
        Self { format, writers }
    }
}

impl<S: Subscriber> Layer<S> for LogLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        self.format.with_line(event, |line| {
            for writer in &self.writers {
                writer.push(line);
            }
        });
    }
}
