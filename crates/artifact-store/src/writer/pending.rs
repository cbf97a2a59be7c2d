//! What waits to be written to one worker's file, and who waits for it: the steps between threads, without the threads.
//!
//! Each method is one step under the lock of [`MetricsFile`](super::MetricsFile). An event is in exactly one place: it
//! waits in a chunk, is in hand of the one who writes, is written, or dropped.

use std::{collections::VecDeque, io};

use metrics_core::{Flush, FlushPromise, SinkError};

use super::{
    appender::Outcome,
    budget::{Budget, Share},
};

/// What is written at once: enough to make the system call cheap, and so little that it stays in the processor's cache.
const CHUNK_BYTES: usize = 64 << 10;

#[derive(Debug, Default)]
pub(super) struct Pending {
    /// Chunks that go before the newest, among them one that could not be written yet.
    older: VecDeque<Chunk>,
    newest: Chunk,
    share: Share,
    /// On the thread's queue, waiting for a retry, or in the thread's hand.
    queued: bool,
    /// Barriers over all that was recorded before them.
    flushes: Vec<FlushPromise>,
    /// Barriers over what the thread is writing right now, outside this lock.
    flushes_in_hand: Vec<FlushPromise>,
    /// Events that came.
    recorded: u64,
    /// Of those, all up to this number have been taken for writing.
    taken: u64,
    /// Of those, events that were written to some file.
    written: u64,
    /// Of those written, events that are not in the file at the path, as far as is known.
    elsewhere: u64,
    /// Of those recorded, events that are not written and wait no more.
    dropped: u64,
    last_error: Option<String>,
    failures: u32,
    /// Nothing is taken any more; what comes is dropped.
    closed: bool,
}

/// How many events a worker's file has taken, and how many of them are not in it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EventCounts {
    /// Events recorded, lost ones included.
    pub recorded: u64,
    /// Events that are not in the file: they could not be kept, or the file they went to was deleted or replaced.
    pub lost: u64,
}

/// What came of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Recorded {
    /// It waits, as the so-manieth event.
    Waits(u64),
    Dropped,
}

/// Whole lines.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    pub(super) bytes: Vec<u8>,
    pub(super) lines: u64,
    /// The number of the last event in it.
    last: u64,
    /// Its bytes are in the budget.
    booked: bool,
}

/// How writing left things for the thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// Nothing is left to write.
    Idle,
    /// More came meanwhile.
    More,
    /// The disk said no, for the so-manieth time in a row.
    Failed { failures: u32 },
}

/// Barriers, and their answer: given outside the lock, as an answer wakes a task, which may record.
#[derive(Debug)]
#[must_use]
pub(super) struct Answers {
    flushes: Vec<FlushPromise>,
    answer: Result<(), SinkError>,
}

impl Answers {
    pub(super) fn give(self) {
        for flush in self.flushes {
            flush.resolve(self.answer.clone());
        }
    }
}

impl Pending {
    /// Takes an event: `encode` appends its line. `spare` gives an empty buffer.
    pub(super) fn record(
        &mut self,
        budget: &Budget,
        spare: impl FnOnce() -> Vec<u8>,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> Recorded {
        if self.closed {
            return self.refuse("recorded after a worker's end that lost events");
        }
        if self.newest.bytes.len() >= CHUNK_BYTES {
            self.older.push_back(std::mem::take(&mut self.newest));
        }
        let chunk = &mut self.newest;
        if chunk.bytes.capacity() == 0 {
            chunk.bytes = spare();
        }
        let before = chunk.bytes.len();
        encode(&mut chunk.bytes);
        let bytes = chunk.bytes.len() - before;
        if !self.share.take(budget, bytes, before) {
            chunk.bytes.truncate(before);
            return self.refuse("the disk is too slow");
        }
        self.recorded += 1;
        chunk.booked = true;
        chunk.lines += 1;
        chunk.last = self.recorded;
        Recorded::Waits(self.recorded)
    }

    /// Whether an event can be written before all others, as nothing waits.
    pub(super) fn is_free(&self) -> bool {
        !self.waits() && !self.closed
    }

    /// Takes an event for one who can write it at once: into his hand, as a chunk of its own.
    pub(super) fn record_in_hand(&mut self, encode: impl FnOnce(&mut Vec<u8>)) -> Chunk {
        self.recorded += 1;
        self.taken = self.recorded;
        let mut bytes = std::mem::take(&mut self.newest.bytes);
        encode(&mut bytes);
        Chunk {
            bytes,
            lines: 1,
            last: self.recorded,
            booked: false,
        }
    }

    /// Counts an event that is not kept.
    pub(super) fn refuse(&mut self, why: &str) -> Recorded {
        self.recorded += 1;
        self.dropped += 1;
        self.last_error.get_or_insert_with(|| why.to_owned());
        Recorded::Dropped
    }

    /// Puts it on the queue, unless it is there.
    pub(super) fn enqueue(&mut self) -> bool {
        !std::mem::replace(&mut self.queued, true)
    }

    /// Whether the `n`th event was taken by somebody, who has put back what he could not write.
    pub(super) fn has_taken(&self, n: u64) -> bool {
        self.taken >= n
    }

    /// Takes the oldest chunk. Only one at a time may have something in hand.
    pub(super) fn take(&mut self) -> Chunk {
        let oldest = self.older.pop_front();
        let chunk = oldest.unwrap_or_else(|| std::mem::take(&mut self.newest));
        self.taken = self.taken.max(chunk.last);
        chunk
    }

    /// For the thread: takes the barriers, if it has just taken all that they are over. Whether there are any.
    pub(super) fn take_flushes(&mut self) -> bool {
        if self.waits() {
            return false;
        }
        self.flushes_in_hand = std::mem::take(&mut self.flushes);
        !self.flushes_in_hand.is_empty()
    }

    /// Notes how the writing of `chunk` went, and keeps what is left for the next try. `by_thread` answers the barriers.
    /// Gives the emptied buffer, unless it is of use here.
    pub(super) fn put_back(
        &mut self,
        budget: &Budget,
        mut chunk: Chunk,
        outcome: &Outcome,
        by_thread: bool,
    ) -> (Progress, Answers, Option<Vec<u8>>) {
        self.written += outcome.lines;
        if self.closed {
            self.dropped -= outcome.lines; // It came through after all.
        }
        self.elsewhere = outcome.elsewhere;
        let mut flushes = Vec::new();
        if by_thread {
            flushes.append(&mut self.flushes_in_hand);
        }
        if chunk.booked {
            self.share.give_back(budget, outcome.bytes);
        }
        if let Some(error) = &outcome.error {
            self.failures = self.failures.saturating_add(1);
            self.last_error = Some(reason(error));
            chunk.bytes.drain(..outcome.bytes);
            chunk.lines -= outcome.lines;
            self.keep(budget, std::mem::take(&mut chunk));
            self.flushes.append(&mut flushes); // Their order does not matter.
        } else {
            self.failures = 0;
            if self.lost() == 0 {
                self.last_error = None; // It was overcome.
            } else if self.dropped == 0 {
                self.last_error = Some("metrics.jsonl was deleted or replaced".to_owned());
            }
        }
        let wanted = self.waits() || !self.flushes.is_empty();
        let progress = match wanted {
            false => Progress::Idle,
            true if outcome.error.is_none() => Progress::More,
            true => Progress::Failed {
                failures: self.failures,
            },
        };
        if by_thread {
            self.queued = wanted;
        }
        if !wanted {
            self.share.give_back_ahead(budget);
        }
        let answers = self.answer(flushes);
        (progress, answers, self.reuse(chunk.bytes))
    }

    /// Puts what could not be written before all else that waits.
    fn keep(&mut self, budget: &Budget, mut rest: Chunk) {
        if self.closed {
            // It was dropped when the file was closed.
            if rest.booked {
                self.share.give_back(budget, rest.bytes.len());
            }
        } else if rest.booked || self.share.take(budget, rest.bytes.len(), 0) {
            rest.booked = true;
            if !rest.bytes.is_empty() {
                self.older.push_front(rest);
            }
        } else {
            self.dropped += rest.lines;
        }
    }

    /// Keeps a small emptied buffer for the next event; a larger one is given away.
    fn reuse(&mut self, mut buffer: Vec<u8>) -> Option<Vec<u8>> {
        const KEPT: usize = 1024;
        buffer.clear();
        if self.newest.bytes.capacity() > 0 || buffer.capacity() > KEPT || self.closed {
            return Some(buffer);
        }
        self.newest.bytes = buffer;
        None
    }

    /// A barrier over all that was recorded so far. The thread has to be told of it if the second value says so.
    pub(super) fn flush(&mut self) -> (Flush, bool) {
        if self.recorded == 0 || self.closed {
            return (Flush::ready(self.verdict()), false);
        }
        let (promise, flush) = Flush::pending();
        self.flushes.push(promise);
        (flush, self.enqueue())
    }

    /// The disk does not answer: drops what is not written. A write that hangs may still come through; until it does,
    /// its events are not in the file. Where something was dropped nothing more is taken.
    pub(super) fn abandon(&mut self, budget: &Budget) -> Answers {
        self.closed |= self.recorded > self.written + self.dropped || self.failures > 0;
        let newest = std::mem::take(&mut self.newest);
        for chunk in self.older.drain(..).chain([newest]) {
            self.share.give_back(budget, chunk.bytes.len());
        }
        self.share.give_back_ahead(budget);
        self.taken = self.recorded;
        self.dropped = self.recorded - self.written;
        if self.lost() > 0 && self.last_error.is_none() {
            self.last_error = Some("the disk did not answer in time".to_owned());
        }
        let mut flushes = std::mem::take(&mut self.flushes);
        flushes.append(&mut self.flushes_in_hand);
        self.answer(flushes)
    }

    /// Gives back the memory of a worker that is done, as far as it is.
    pub(super) fn shrink(&mut self) {
        if !self.waits() {
            self.newest = Chunk::default();
            self.older = VecDeque::new();
        }
    }

    pub(super) fn counts(&self) -> EventCounts {
        EventCounts {
            recorded: self.recorded,
            lost: self.lost(),
        }
    }

    /// Nothing, or what is lost and why.
    pub(super) fn verdict(&self) -> Result<(), SinkError> {
        match self.lost() {
            0 => Ok(()),
            lost => Err(SinkError::Lost {
                lost,
                reason: self.last_error.clone().unwrap_or_default(),
            }),
        }
    }

    /// Whether lines wait to be taken.
    fn waits(&self) -> bool {
        !(self.newest.bytes.is_empty() && self.older.is_empty())
    }

    fn lost(&self) -> u64 {
        self.dropped + self.elsewhere
    }

    fn answer(&self, flushes: Vec<FlushPromise>) -> Answers {
        let answer = if flushes.is_empty() {
            Ok(()) // To nobody.
        } else {
            self.verdict()
        };
        Answers { flushes, answer }
    }
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
