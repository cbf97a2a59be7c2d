//! [`LogWriter`]: a bounded queue and the thread behind it that writes to one sink.

mod lines;
mod queue;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::LogError;
use crate::format::notice;
use crate::sink::LineSink;
use crate::writer::lines::LineWriter;
use crate::writer::queue::Queue;

/// Bytes that may wait for a slow sink before lines are dropped.
pub const DEFAULT_QUEUE_BYTES: usize = 8 * 1024 * 1024;

/// A handle to a log thread; cheap to clone. The thread ends when the last handle is gone and all
/// lines are written.
///
/// - A line never waits for the sink: it is copied into the queue, or dropped and counted when the
///   queue is full.
/// - The thread starts on a line at once when idle, within a millisecond in a burst, and makes one
///   write a line.
/// - Once the sink works again after drops, `WARN events_dropped lost=12 target=log_format` says so.
#[derive(Debug, Clone)]
pub struct LogWriter(Arc<Handle>);

impl LogWriter {
    /// Starts a log thread for `sink`; at most `queue_bytes` wait for it.
    ///
    /// # Errors
    /// [`LogError::Thread`] if the system gives no thread.
    pub fn spawn(sink: impl LineSink, queue_bytes: usize) -> Result<Self, LogError> {
        let queue = Arc::new(Queue::new(queue_bytes));
        let of_thread = Arc::clone(&queue);
        thread::Builder::new()
            .name("log-format".to_owned())
            .spawn(move || run(&of_thread, LineWriter::new(sink)))
            .map_err(|source| LogError::Thread { source })?;
        Ok(Self(Arc::new(Handle { queue })))
    }

    /// Waits until every line handed over before is written or counted as dropped.
    ///
    /// # Errors
    /// [`LogError::FlushTimeout`] if the sink did not get there in time; the lines stay queued.
    pub fn flush(&self, timeout: Duration) -> Result<(), LogError> {
        let deadline = Instant::now().checked_add(timeout);
        if self.flush_until(deadline) {
            Ok(())
        } else {
            Err(LogError::FlushTimeout { timeout })
        }
    }

    /// Lines dropped since the start: the queue was full, or the sink failed.
    pub fn dropped(&self) -> u64 {
        self.0.queue.dropped()
    }

    /// Hands over one line, which ends in its only `\n`.
    pub(crate) fn push(&self, line: &[u8]) {
        self.0.queue.push(line);
    }

    /// Answers whether the flush was done before `deadline`; `None` waits without end.
    pub(crate) fn flush_until(&self, deadline: Option<Instant>) -> bool {
        self.0.queue.flush(deadline)
    }
}

/// Closes the queue when the last [`LogWriter`] goes.
#[derive(Debug)]
struct Handle {
    queue: Arc<Queue>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.queue.close();
    }
}

/// The life of the log thread.
fn run<S: LineSink>(queue: &Queue, mut writer: LineWriter<S>) {
    let mut batch = Queue::new_buffer();
    let mut unsaid = 0; // Dropped lines that no notice has told of yet.
    loop {
        let work = queue.next_batch(&mut batch, unsaid > 0);
        writer.begin_batch();
        for line in batch.split_inclusive(|it| *it == b'\n') {
            // The notice stands where the lines are missing. While it cannot be written, no line can.
            let written = say_loss(&mut writer, &mut unsaid) && writer.write_line(line).is_ok();
            if !written {
                unsaid += 1;
                queue.count_dropped();
            }
        }
        unsaid += work.refused;
        say_loss(&mut writer, &mut unsaid);
        queue.finish(&work);
        if work.closed {
            return;
        }
    }
}

/// Writes the notice if one is due; false if the sink did not take it.
fn say_loss<S: LineSink>(writer: &mut LineWriter<S>, unsaid: &mut u64) -> bool {
    if *unsaid == 0 {
        return true;
    }
    let line = notice("events_dropped", &[("lost", &unsaid.to_string())]);
    let written = writer.write_line(&line).is_ok();
    if written {
        *unsaid = 0;
    }
    written
}
