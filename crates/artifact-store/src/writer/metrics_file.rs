//! One worker's `metrics.jsonl` as a sink: who writes what waits, and when.
//!
//! Two locks: `appender` is held by the one who writes, and `pending` for a moment only, never over a disk's answer.
//! Where both are held, `appender` was first, or was only tried for.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError, Weak},
    time::Duration,
};

use metrics_core::{Event, EventSink, Flush, SinkError, WorkerId};

use super::{
    RecordMode, Writer,
    appender::{Appender, Outcome},
    pending::{Chunk, EventCounts, Pending, Progress, Recorded},
};
use crate::disk::is_out_of_descriptors;

/// How often a caller that writes by itself looks whether the file is still in its place. In between, at the price of a
/// system call an event, it could not go elsewhere unnoticed for longer than this either.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// The sink of one worker.
#[derive(Debug)]
pub(crate) struct MetricsFile {
    worker: WorkerId,
    writer: Arc<Writer>,
    /// Itself, for the queue.
    this: Weak<Self>,
    pending: Mutex<Pending>,
    appender: Mutex<Appender>,
}

impl MetricsFile {
    pub(crate) fn new(worker: WorkerId, path: PathBuf, writer: Arc<Writer>) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            worker,
            writer,
            this: this.clone(),
            pending: Mutex::default(),
            appender: Mutex::new(Appender::new(path)),
        })
    }

    /// Waits up to `timeout` for all that was recorded. What is not in the file by then is lost, and so is all that
    /// comes later; if all is there, a task that outlives its worker may go on recording.
    pub(crate) fn close(&self, timeout: Duration) -> (EventCounts, Option<String>) {
        let waited = self.flush(&self.worker).wait(timeout);
        let mut pending = self.pending();
        let abandoned = matches!(waited, Err(SinkError::Timeout(_)))
            .then(|| pending.abandon(&self.writer.shared.budget));
        let counts = pending.counts();
        let verdict = pending.verdict();
        pending.shrink();
        drop(pending);
        if let Some(answers) = abandoned {
            answers.give();
        }
        self.close_handle();
        let reason = match verdict {
            Err(SinkError::Lost { reason, .. }) => Some(reason),
            _ => None,
        };
        (counts, reason)
    }

    /// The counts so far.
    pub(crate) fn counts(&self) -> EventCounts {
        self.pending().counts()
    }

    pub(super) fn close_handle(&self) {
        // Busy means that somebody is writing; it will be closed another time.
        if let Some(mut appender) = self.try_appender() {
            appender.close();
        }
    }

    /// Closes the files of all workers of this writer, but for those that are being written.
    pub(crate) fn close_all_handles(&self) {
        self.writer.shared.close_all_handles();
    }

    /// Writes a chunk of what waits, and answers the barriers over it. Called by the thread only.
    pub(super) fn write_pending(&self) -> Progress {
        let mut appender = self.appender();
        let mut pending = self.pending();
        let chunk = pending.take();
        let confirm = pending.take_flushes();
        drop(pending);
        let shared = &self.writer.shared;
        let outcome = appender.append(&shared.files, &chunk, Duration::ZERO, confirm);
        self.put_back(chunk, &outcome, true)
    }

    /// Takes an event and waits until it is written or put back. Whoever has the file writes for all that wait for it.
    fn record_and_wait(&self, mut pending: MutexGuard<'_, Pending>, encode: impl Fn(&mut Vec<u8>)) {
        let shared = &self.writer.shared;
        let write = |appender: &mut Appender, chunk: Chunk| {
            let outcome = appender.append(&shared.files, &chunk, LOOK_EVERY, false);
            self.put_back(chunk, &outcome, false)
        };
        let mut progress = Progress::Idle;
        let mut appender = self.try_appender();
        if let Some(appender) = &mut appender
            && let Some(chunk) = pending.record_in_hand(&encode)
        {
            drop(pending);
            progress = write(appender, chunk);
        } else {
            let recorded = pending.record(&shared.budget, || shared.take_buffer(), encode);
            drop(pending);
            let Recorded::Waits(n) = recorded else {
                return;
            };
            let mut appender = appender.unwrap_or_else(|| self.appender());
            while !matches!(progress, Progress::Failed { .. }) {
                let mut pending = self.pending();
                if pending.has_taken(n) {
                    break;
                }
                let chunk = pending.take();
                drop(pending);
                progress = write(&mut appender, chunk);
            }
        }
        if let Progress::Failed { failures } = progress
            && self.pending().enqueue()
            && let Some(this) = self.this.upgrade()
        {
            shared.retry(this, failures);
        }
    }

    /// Notes how writing went. Called by the one who holds the `appender`.
    fn put_back(&self, chunk: Chunk, outcome: &Outcome, by_thread: bool) -> Progress {
        let shared = &self.writer.shared;
        if outcome.opened
            && let Some(this) = self.this.upgrade()
        {
            shared.note_open(&this);
        }
        if outcome.error.as_ref().is_some_and(is_out_of_descriptors) {
            shared.close_all_handles(); // The next try finds them free.
        }
        let mut pending = self.pending();
        let (progress, answers, emptied) =
            pending.put_back(&shared.budget, chunk, outcome, by_thread);
        drop(pending);
        if let Some(emptied) = emptied {
            shared.give_back(emptied);
        }
        answers.give();
        progress
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn appender(&self) -> MutexGuard<'_, Appender> {
        self.appender.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn try_appender(&self) -> Option<MutexGuard<'_, Appender>> {
        match self.appender.try_lock() {
            Ok(it) => Some(it),
            Err(TryLockError::Poisoned(it)) => Some(it.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

impl EventSink for MetricsFile {
    fn record(&self, worker: &WorkerId, event: &Event<'_>) {
        let shared = &self.writer.shared;
        let mut pending = self.pending();
        if *worker != self.worker {
            pending.refuse("recorded for another worker");
            return;
        }
        let encode = |buffer: &mut Vec<u8>| {
            event.encode(buffer);
            buffer.push(b'\n');
        };
        if shared.mode != RecordMode::Buffered {
            return self.record_and_wait(pending, encode);
        }
        let recorded = pending.record(&shared.budget, || shared.take_buffer(), encode);
        if matches!(recorded, Recorded::Waits(_))
            && pending.enqueue()
            && let Some(this) = self.this.upgrade()
        {
            drop(pending);
            shared.enqueue(this);
        }
    }

    fn flush(&self, _: &WorkerId) -> Flush {
        let (flush, is_new) = self.pending().flush();
        if let Some(this) = self.this.upgrade() {
            if is_new {
                self.writer.shared.enqueue(this);
            } else {
                self.writer.shared.hurry(&this);
            }
        }
        flush
    }
}

#[cfg(test)]
mod tests;
