//! One worker's `metrics.jsonl` as a sink: who writes what waits, and when.
//!
//! One lock, held for a moment only: whoever writes takes the [`Appender`] out and puts it back when the disk has
//! answered, so that only those who want to write as well wait for it.

use std::{
    path::PathBuf,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use metrics_core::{Event, EventSink, Flush, SinkError, WorkerId};

use super::{
    RecordMode, Writer,
    appender::{Appender, Outcome},
    pending::{Chunk, EventCounts, Pending, Progress, Recorded},
};
use crate::disk::is_out_of_descriptors;

/// How often a caller that writes by itself looks whether the file is still in its place: a look costs as much as a
/// write. The barriers look again, so that a loss is known to them in any case.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// The sink of one worker.
#[derive(Debug)]
pub(crate) struct MetricsFile {
    worker: WorkerId,
    writer: Arc<Writer>,
    /// Itself, for the queue.
    this: Weak<Self>,
    state: Mutex<State>,
    /// The appender is back.
    is_back: Condvar,
}

#[derive(Debug)]
struct State {
    pending: Pending,
    /// `None` while somebody writes.
    appender: Option<Box<Appender>>,
    /// So many wait for it.
    n_waiting: usize,
    /// Somebody needs the descriptor of the one who writes.
    close_when_back: bool,
}

impl MetricsFile {
    pub(crate) fn new(worker: WorkerId, path: PathBuf, writer: Arc<Writer>) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            worker,
            writer,
            this: this.clone(),
            state: Mutex::new(State {
                pending: Pending::default(),
                appender: Some(Box::new(Appender::new(path))),
                n_waiting: 0,
                close_when_back: false,
            }),
            is_back: Condvar::new(),
        })
    }

    /// Waits up to `timeout` for all that was recorded. What is not in the file by then is lost, and so is all that
    /// comes later; if all is there, a task that outlives its worker may go on recording.
    pub(crate) fn close(&self, timeout: Duration) -> (EventCounts, Option<String>) {
        let waited = self.flush(&self.worker).wait(timeout);
        let mut state = self.state();
        let pending = &mut state.pending;
        let abandoned = matches!(waited, Err(SinkError::Timeout(_)))
            .then(|| pending.abandon(&self.writer.shared.budget));
        let counts = pending.counts();
        let verdict = pending.verdict();
        pending.shrink();
        drop(state);
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
        self.state().pending.counts()
    }

    /// Lets go of the file's descriptor, at the latest when the write in progress is over.
    pub(super) fn close_handle(&self) {
        let mut state = self.state();
        let output = match &mut state.appender {
            Some(appender) => appender.close(),
            None => {
                state.close_when_back = true;
                None
            }
        };
        drop(state);
        drop(output); // Outside the lock.
    }

    /// Closes the files of all workers of this writer; those that are being written, when that is over.
    pub(crate) fn close_all_handles(&self) {
        self.writer.shared.close_all_handles();
    }

    /// Writes a chunk of what waits, and answers the barriers over it. Called by the thread only.
    pub(super) fn write_pending(&self) -> Progress {
        let mut state = self.state();
        let mut appender = loop {
            match state.appender.take() {
                Some(it) => break it,
                None => state = self.wait(state),
            }
        };
        let chunk = state.pending.take();
        let confirm = state.pending.take_flushes();
        drop(state);
        let files = &self.writer.shared.files;
        let outcome = appender.append(files, &chunk, Duration::ZERO, confirm);
        self.put_back(appender, chunk, &outcome, true)
    }

    /// Takes an event and waits until it is written or put back. Whoever has the appender writes for all that wait.
    fn record_and_wait<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        encode: impl Fn(&mut Vec<u8>),
    ) {
        let shared = &self.writer.shared;
        let progress = match state.appender.take() {
            Some(appender) if state.pending.is_free() => {
                let chunk = state.pending.record_in_hand(encode);
                drop(state);
                self.write_for_callers(appender, chunk)
            }
            appender => {
                state.appender = appender;
                let spare = || shared.take_buffer();
                match state.pending.record(&shared.budget, spare, encode) {
                    Recorded::Waits(n) => self.write_up_to(n, state),
                    Recorded::Dropped => return,
                }
            }
        };
        if let Progress::Failed { failures } = progress
            && self.state().pending.enqueue()
            && let Some(this) = self.this.upgrade()
        {
            shared.retry(this, failures);
        }
    }

    /// Waits until the `n`th event was taken by somebody who is done with it, or takes and writes it.
    fn write_up_to<'a>(&'a self, n: u64, mut state: MutexGuard<'a, State>) -> Progress {
        loop {
            match state.appender.take() {
                None => state = self.wait(state),
                Some(appender) if state.pending.has_taken(n) => {
                    state.appender = Some(appender);
                    return Progress::Idle;
                }
                Some(appender) => {
                    let chunk = state.pending.take();
                    drop(state);
                    let progress = self.write_for_callers(appender, chunk);
                    if matches!(progress, Progress::Failed { .. }) {
                        return progress;
                    }
                    state = self.state();
                }
            }
        }
    }

    fn write_for_callers(&self, mut appender: Box<Appender>, chunk: Chunk) -> Progress {
        let files = &self.writer.shared.files;
        let outcome = appender.append(files, &chunk, LOOK_EVERY, false);
        self.put_back(appender, chunk, &outcome, false)
    }

    /// Notes how writing went, and puts the appender back.
    fn put_back(
        &self,
        mut appender: Box<Appender>,
        chunk: Chunk,
        outcome: &Outcome,
        by_thread: bool,
    ) -> Progress {
        let shared = &self.writer.shared;
        let mut state = self.state();
        let closed = std::mem::take(&mut state.close_when_back).then(|| appender.close());
        let (progress, answers, emptied) =
            state
                .pending
                .put_back(&shared.budget, chunk, outcome, by_thread);
        state.appender = Some(appender);
        let is_awaited = state.n_waiting > 0;
        drop(state);
        if is_awaited {
            self.is_back.notify_all();
        }
        let stays_open = outcome.opened && closed.is_none();
        drop(closed);
        if stays_open && let Some(this) = self.this.upgrade() {
            shared.note_open(&this);
        }
        if outcome.error.as_ref().is_some_and(is_out_of_descriptors) {
            shared.close_all_handles(); // The next try finds them free.
        }
        if let Some(emptied) = emptied {
            shared.give_back(emptied);
        }
        answers.give();
        progress
    }

    /// Waits until the appender may be back.
    fn wait<'a>(&self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        state.n_waiting += 1;
        let mut state = self
            .is_back
            .wait(state)
            .unwrap_or_else(PoisonError::into_inner);
        state.n_waiting -= 1;
        state
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EventSink for MetricsFile {
    fn record(&self, worker: &WorkerId, event: &Event<'_>) {
        let shared = &self.writer.shared;
        let mut state = self.state();
        if *worker != self.worker {
            state.pending.refuse("recorded for another worker");
            return;
        }
        let encode = |buffer: &mut Vec<u8>| {
            event.encode(buffer);
            buffer.push(b'\n');
        };
        if shared.mode != RecordMode::Buffered {
            return self.record_and_wait(state, encode);
        }
        let spare = || shared.take_buffer();
        let recorded = state.pending.record(&shared.budget, spare, encode);
        if matches!(recorded, Recorded::Waits(_))
            && state.pending.enqueue()
            && let Some(this) = self.this.upgrade()
        {
            drop(state);
            shared.enqueue(this);
        }
    }

    fn flush(&self, _: &WorkerId) -> Flush {
        let (flush, is_new) = self.state().pending.flush();
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
