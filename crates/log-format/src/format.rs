//! One `tracing` event as one line.
//!
//! The rules of the line stand in the crate docs. Nothing here does I/O.

mod line;
mod plan;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::fmt::{self, Write as _};
use std::sync::Arc;

use tracing::Event;

use crate::buffer::Buffer;
use crate::escape::{is_spaceless_key, push_key, push_message, push_value};
use crate::format::line::Line;
use crate::format::plan::Plan;
use crate::stamp;

/// The target of triscope's own events; only there are `end_unix_us` and `event` special.
pub const TELEMETRY_TARGET: &str = "triscope::telemetry";

/// The target of this crate's own lines, such as `events_dropped`.
pub(crate) const OWN_TARGET: &str = "log_format";

/// Buffers above this size are not kept for the next event, in bytes.
const KEEP_CAPACITY: usize = 64 * 1024;

/// Writes the worker id of the current scope and answers whether there is one.
type WorkerIdHook = dyn Fn(&mut String) -> Result<bool, fmt::Error> + Send + Sync;

/// How an event becomes a line; shared by [`LogLayer`](crate::LogLayer) and, with the feature
/// `fmt`, usable as `tracing_subscriber::fmt::layer().event_format(LogFormat::new())`.
#[derive(Clone, Default)]
pub struct LogFormat {
    worker_id: Option<Arc<WorkerIdHook>>,
}

impl LogFormat {
    /// A format that knows no scopes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks `hook` for the current worker on every foreign event that names none itself.
    ///
    /// The hook runs on the thread of the event; if it panics, the line has no `worker_id=`.
    #[must_use]
    pub fn with_worker_id<D: fmt::Display>(
        mut self,
        hook: impl Fn() -> Option<D> + Send + Sync + 'static,
    ) -> Self {
        self.worker_id = Some(Arc::new(move |out| match hook() {
            Some(worker_id) => write!(out, "{worker_id}").map(|()| true),
            None => Ok(false),
        }));
        self
    }

    /// Appends `event` to `out` as one line, with its `\n`.
    ///
    /// Allocates nothing but what `out` needs to grow, unless a value's own `Debug` does.
    pub fn write_event(&self, event: &Event<'_>, out: &mut Vec<u8>) {
        self.with_line(event, |line| out.extend_from_slice(line));
    }

    /// Formats `event` into this thread's buffer and lends it to `take`.
    pub(crate) fn with_line<R>(&self, event: &Event<'_>, take: impl FnOnce(&[u8]) -> R) -> R {
        thread_local!(static BUFFER: Cell<Buffer> = const { Cell::new(Buffer::new()) });
        // Taken, not borrowed: a `Debug` that emits an event comes here again.
        let mut buffer = BUFFER.try_with(Cell::take).unwrap_or_default();
        buffer.truncate(0);
        let metadata = event.metadata();
        let mut line = Line::begin(&mut buffer, Plan::of(metadata));
        event.record(&mut line);
        line.finish(metadata.target(), self.worker_id.as_deref());
        let res = take(buffer.as_bytes());
        if buffer.capacity() <= KEEP_CAPACITY {
            // Fails only while the thread ends; then there is nothing to keep.
            let _ = BUFFER.try_with(|it| it.set(buffer));
        }
        res
    }
}

impl fmt::Debug for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogFormat")
            .field("worker_id", &self.worker_id.is_some())
            .finish()
    }
}

/// A line this crate writes itself, in the shape of a foreign event.
pub(crate) fn notice(message: &str, fields: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Buffer::new();
    out.put(&stamp::stamp(stamp::now_seconds()));
    out.put(b" WARN ");
    push_message(&mut out, message);
    for (key, value) in fields.iter().copied().chain([("target", OWN_TARGET)]) {
        out.put(b" ");
        push_key(&mut out, key);
        out.put(b"=");
        push_value(&mut out, is_spaceless_key(key.as_bytes()), value);
    }
    out.put(b"\n");
    out.as_bytes().to_vec()
}
