//! One worker's `metrics.jsonl`: what waits to be written, and its way to the file.

use std::{
    io,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use metrics_core::{Event, EventSink, Flush, FlushPromise, SinkError, WorkerId};

use super::{Shared, Writer, output::Output};

/// The sink of one worker.
#[derive(Debug)]
pub(crate) struct MetricsFile {
    worker: WorkerId,
    path: PathBuf,
    writer: Arc<Writer>,
    /// Itself, for the queue.
    this: Weak<Self>,
    pending: Mutex<Pending>,
    /// Only the thread uses it, but whoever opens another file may close this one.
    output: Mutex<Option<Box<dyn Output>>>,
}

#[derive(Debug, Default)]
struct Pending {
    /// Whole lines that the thread has not taken yet.
    buffer: Vec<u8>,
    /// Whole lines that the thread has taken and could not write yet; they go before `buffer`.
    unwritten: Vec<u8>,
    /// On the queue, waiting for a retry, or being written.
    queued: bool,
    /// Barriers over all that was recorded before them.
    flushes: Vec<FlushPromise>,
    /// Barriers over what the thread is writing right now, outside this lock.
    flushes_in_hand: Vec<FlushPromise>,
    /// Events that came; each is in the file, lost, or waiting.
    recorded: u64,
    /// Of those, events that are in the file.
    stored: u64,
    /// Of those, events that are not in the file and no longer wait.
    lost: u64,
    last_error: Option<String>,
    failures: u32,
    /// Nothing is taken any more; what comes is lost.
    closed: bool,
}

/// How many events a worker's file has taken, and how many of them are not in it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EventCounts {
    /// Events recorded, lost ones included.
    pub recorded: u64,
    /// Events that could not be kept.
    pub lost: u64,
}

pub(super) enum Progress {
    /// Nothing is left to write.
    Idle,
    /// More came meanwhile.
    More,
    /// The disk said no, for the so-manieth time in a row.
    Failed { failures: u32 },
}

impl MetricsFile {
    pub(crate) fn new(worker: WorkerId, path: PathBuf, writer: Arc<Writer>) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            worker,
            path,
            writer,
            this: this.clone(),
            pending: Mutex::default(),
            output: Mutex::default(),
        })
    }

    /// Waits up to `timeout` for all that was recorded. What is not in the file by then is lost, and so is all that
    /// comes later; if all is there, a task that outlives its worker may go on recording.
    pub(crate) fn close(&self, timeout: Duration) -> (EventCounts, Option<String>) {
        let waited = self.flush(&self.worker).wait(timeout);
        let mut pending = self.pending();
        let abandoned = if matches!(waited, Err(SinkError::Timeout(_))) && pending.queued {
            self.abandon(&mut pending)
        } else {
            Vec::new()
        };
        let counts = pending.counts();
        let answer = pending.flush_answer();
        drop(pending);
        // Outside the lock, as an answer wakes a task, which may record.
        resolve(abandoned, &answer);
        self.close_handle();
        let reason = match answer {
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
        // Busy means that the thread is writing; it will be closed another time.
        if let Ok(mut output) = self.output.try_lock() {
            *output = None;
        }
    }

    /// Writes what waits. Called by the thread only.
    pub(super) fn write_pending(&self, shared: &Shared) -> Progress {
        let Some(mut batch) = self.take(shared) else {
            return Progress::Idle;
        };
        let (written, error) = self.write_batch(&batch, shared);
        shared.budget.give_back(written);
        let stored = count_lines(&batch[..written]);
        batch.drain(..written);
        self.put_back(shared, batch, stored, error)
    }

    /// Takes all that waits; the barriers over it are in hand from now on.
    fn take(&self, shared: &Shared) -> Option<Vec<u8>> {
        let mut pending = self.pending();
        let buffer = std::mem::take(&mut pending.buffer);
        let batch = if pending.unwritten.is_empty() {
            buffer
        } else {
            let mut batch = std::mem::take(&mut pending.unwritten);
            batch.extend_from_slice(&buffer);
            shared.give_back(buffer);
            batch
        };
        let flushes = std::mem::take(&mut pending.flushes);
        if batch.is_empty() {
            pending.queued = false;
            let answer = pending.flush_answer();
            drop(pending);
            resolve(flushes, &answer);
            return None;
        }
        pending.flushes_in_hand = flushes;
        Some(batch)
    }

    /// Writes as much of `batch` as can be written: whole lines only. Gives their bytes and why it stopped.
    fn write_batch(&self, batch: &[u8], shared: &Shared) -> (usize, Option<io::Error>) {
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        if output.as_ref().is_some_and(|it| !it.is_at(&self.path)) {
            *output = None;
        }
        let mut opened = false;
        if output.is_none() {
            match shared.disk.open(&self.path) {
                Ok(file) => *output = Some(file),
                Err(error) => return (0, Some(error)),
            }
            opened = true;
        }
        let (mut written, mut error) = (0, None);
        while written < batch.len()
            && let Some(file) = output.as_mut()
        {
            match file.write(&batch[written..]) {
                Ok(0) => error = Some(io::ErrorKind::WriteZero.into()),
                Ok(n) => written += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => error = Some(e),
            }
            if error.is_none() && written == batch.len() && file.is_deleted() {
                // A deleted file takes writes without a word; all of the batch goes into the next one.
                error = Some(io::ErrorKind::NotFound.into());
                written = 0;
                *output = None;
                break;
            }
            if error.is_some() {
                // The half line must not stay: the next line would be glued to it.
                let whole = memchr::memrchr(b'\n', &batch[..written]).map_or(0, |it| it + 1);
                let half = (written - whole) as u64;
                if half > 0 {
                    // Where this fails, opening the file again repairs it.
                    let _ = file.drop_tail(half);
                }
                written = whole;
                *output = None;
                break;
            }
        }
        drop(output);
        if opened
            && error.is_none()
            && let Some(this) = self.this.upgrade()
        {
            shared.note_open(&this);
        }
        (written, error)
    }

    /// Notes how a write went: answers the barriers, or keeps what is left for the next try.
    fn put_back(
        &self,
        shared: &Shared,
        rest: Vec<u8>,
        stored: u64,
        error: Option<io::Error>,
    ) -> Progress {
        let mut pending = self.pending();
        let flushes = std::mem::take(&mut pending.flushes_in_hand);
        pending.stored += stored;
        match error {
            Some(error) if !pending.closed => {
                pending.failures = pending.failures.saturating_add(1);
                pending.last_error = Some(reason(&error));
                pending.unwritten = rest;
                // Barriers taken earlier stand before those that came meanwhile; their order does not matter.
                pending.flushes.extend(flushes);
                return Progress::Failed {
                    failures: pending.failures,
                };
            }
            Some(_) => {}
            None => pending.failures = 0,
        }
        if pending.closed {
            // All of the batch was counted as lost when the file was closed; some of it came through after all.
            pending.lost -= stored;
            shared.budget.give_back(rest.len());
        } else if pending.lost == 0 {
            pending.last_error = None; // It was overcome.
        }
        let answer = pending.flush_answer();
        let more = !pending.buffer.is_empty() || !pending.flushes.is_empty();
        pending.queued = more;
        drop(pending);
        shared.give_back(rest);
        resolve(flushes, &answer);
        if more { Progress::More } else { Progress::Idle }
    }

    /// Counts as lost what is not in the file yet, and takes nothing more. Gives the barriers that this answers.
    fn abandon(&self, pending: &mut Pending) -> Vec<FlushPromise> {
        pending.closed = true;
        for lines in [
            std::mem::take(&mut pending.buffer),
            std::mem::take(&mut pending.unwritten),
        ] {
            self.writer.shared.budget.give_back(lines.len());
        }
        // A write that hangs may still come through; until it does, its events are not in the file.
        pending.lost = pending.recorded - pending.stored;
        if pending.lost > 0 && pending.last_error.is_none() {
            pending.last_error = Some("the disk did not answer in time".to_owned());
        }
        let mut flushes = std::mem::take(&mut pending.flushes);
        flushes.append(&mut pending.flushes_in_hand);
        flushes
    }

    fn enqueue(&self, pending: &mut Pending) -> Option<Arc<Self>> {
        if pending.queued {
            return None;
        }
        pending.queued = true;
        self.this.upgrade()
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EventSink for MetricsFile {
    fn record(&self, worker: &WorkerId, event: &Event<'_>) {
        let mut pending = self.pending();
        pending.recorded += 1;
        if pending.closed || *worker != self.worker {
            pending.lost += 1;
            let why = if pending.closed {
                "recorded after a worker's end that lost events"
            } else {
                "recorded for another worker"
            };
            pending.last_error.get_or_insert_with(|| why.to_owned());
            return;
        }
        if pending.buffer.capacity() == 0 {
            pending.buffer = self.writer.shared.take_buffer();
        }
        let before = pending.buffer.len();
        event.encode(&mut pending.buffer);
        pending.buffer.push(b'\n');
        let bytes = pending.buffer.len() - before;
        if !self.writer.shared.budget.take(bytes) {
            pending.buffer.truncate(before);
            pending.lost += 1;
            pending
                .last_error
                .get_or_insert_with(|| "the disk is too slow".to_owned());
            return;
        }
        if let Some(this) = self.enqueue(&mut pending) {
            drop(pending);
            self.writer.enqueue(this);
        }
    }

    fn flush(&self, _: &WorkerId) -> Flush {
        let mut pending = self.pending();
        if !pending.queued || pending.closed {
            return Flush::ready(pending.flush_answer());
        }
        let (promise, flush) = Flush::pending();
        pending.flushes.push(promise);
        flush
    }
}

impl Pending {
    fn counts(&self) -> EventCounts {
        EventCounts {
            recorded: self.recorded,
            lost: self.lost,
        }
    }

    fn flush_answer(&self) -> Result<(), SinkError> {
        match self.lost {
            0 => Ok(()),
            lost => Err(SinkError::Lost {
                lost,
                reason: self.last_error.clone().unwrap_or_default(),
            }),
        }
    }
}

fn resolve(flushes: Vec<FlushPromise>, answer: &Result<(), SinkError>) {
    for flush in flushes {
        flush.resolve(answer.clone());
    }
}

fn count_lines(lines: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', lines).count() as u64
}

/// What went wrong, as a supervisor reads it.
fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "disk full".to_owned(),
        io::ErrorKind::FileTooLarge => "file size limit reached".to_owned(),
        io::ErrorKind::NotFound => "the worker's directory is gone".to_owned(),
        io::ErrorKind::PermissionDenied => "the worker's directory cannot be written".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests;
