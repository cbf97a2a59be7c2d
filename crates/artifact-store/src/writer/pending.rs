//! What waits to be written to one worker's file, and who waits for it: the steps between threads, without the threads.
//!
//! Each method is one step under the lock of [`MetricsFile`](super::MetricsFile). An event is in exactly one place: in
//! `buffer`, in hand of the one who writes, in `unwritten`, written, or dropped.

use std::io;

use metrics_core::{Flush, FlushPromise, SinkError};

use super::{
    appender::Outcome,
    budget::{Budget, Share},
};

#[derive(Debug, Default)]
pub(super) struct Pending {
    /// Whole lines that nobody has taken yet.
    buffer: Vec<u8>,
    /// Whole lines that were taken and could not be written yet; they go before `buffer`.
    unwritten: Vec<u8>,
    share: Share,
    /// On the thread's queue, waiting for a retry, or in the thread's hand.
    queued: bool,
    /// Barriers over all that was recorded before them.
    flushes: Vec<FlushPromise>,
    /// Barriers over what the thread is writing right now, outside this lock.
    flushes_in_hand: Vec<FlushPromise>,
    /// Events that came.
    recorded: u64,
    /// Of those, all that came before somebody took the buffer for the last time.
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

/// What one writes at once.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) bytes: Vec<u8>,
    pub(super) lines: u64,
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
        if self.buffer.capacity() == 0 {
            self.buffer = spare();
        }
        let before = self.buffer.len();
        encode(&mut self.buffer);
        let bytes = self.buffer.len() - before;
        if !self.share.take(budget, bytes, before) {
            self.buffer.truncate(before);
            return self.refuse("the disk is too slow");
        }
        self.recorded += 1;
        Recorded::Waits(self.recorded)
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

    /// Whether the `n`th event was taken by somebody who has put back what he could not write.
    pub(super) fn has_taken(&self, n: u64) -> bool {
        self.taken >= n
    }

    /// Takes all that waits. Only one at a time may have something in hand.
    pub(super) fn take(&mut self) -> Batch {
        let mut bytes = std::mem::take(&mut self.buffer);
        if !self.unwritten.is_empty() {
            let newer = std::mem::replace(&mut bytes, std::mem::take(&mut self.unwritten));
            bytes.extend_from_slice(&newer);
        }
        self.taken = self.recorded;
        let lines = self.recorded - self.written - self.dropped;
        Batch { bytes, lines }
    }

    /// For the thread: takes the barriers over what it has just taken. Whether there are any.
    pub(super) fn take_flushes(&mut self) -> bool {
        self.flushes_in_hand = std::mem::take(&mut self.flushes);
        !self.flushes_in_hand.is_empty()
    }

    /// Notes how the writing of `batch` went, and keeps what is left for the next try. `by_thread` answers the barriers.
    /// Gives the emptied buffer, where there is one.
    pub(super) fn put_back(
        &mut self,
        budget: &Budget,
        batch: Vec<u8>,
        outcome: &Outcome,
        by_thread: bool,
    ) -> (Progress, Answers, Option<Vec<u8>>) {
        self.written += outcome.lines;
        self.elsewhere = outcome.elsewhere;
        let left = batch.len() - outcome.bytes;
        self.share.give_back(budget, outcome.bytes, false);
        let mut batch = Some(batch);
        if self.closed {
            // All of it was dropped when the file was closed; some came through after all.
            self.dropped -= outcome.lines;
            self.share.give_back(budget, left, true);
        } else if let Some(error) = &outcome.error {
            self.failures = self.failures.saturating_add(1);
            self.last_error = Some(reason(error));
            if let Some(mut rest) = batch.take() {
                rest.drain(..outcome.bytes);
                self.unwritten = rest;
            }
            if by_thread {
                let mut flushes = std::mem::take(&mut self.flushes_in_hand);
                self.flushes.append(&mut flushes); // Their order does not matter.
            }
            if self.is_wanted() {
                let failures = self.failures;
                return (Progress::Failed { failures }, self.answer(Vec::new()), None);
            }
        } else {
            self.failures = 0;
            if self.lost() == 0 {
                self.last_error = None; // It was overcome.
            } else if self.dropped == 0 {
                self.last_error = Some("metrics.jsonl was deleted or replaced".to_owned());
            }
        }
        if let Some(buffer) = &mut batch {
            buffer.clear();
        }
        let flushes = if by_thread {
            std::mem::take(&mut self.flushes_in_hand)
        } else {
            Vec::new()
        };
        let answers = self.answer(flushes);
        let more = self.is_wanted();
        if by_thread {
            self.queued = more;
        }
        if !more {
            self.share.give_back(budget, 0, true);
        }
        let progress = if more { Progress::More } else { Progress::Idle };
        (progress, answers, batch)
    }

    /// Gives an emptied buffer a second life, if it is small and wanted here.
    pub(super) fn reuse(&mut self, buffer: Vec<u8>) -> Option<Vec<u8>> {
        const KEPT: usize = 1024;
        if self.buffer.capacity() == 0 && buffer.capacity() <= KEPT && !self.closed {
            self.buffer = buffer;
            return None;
        }
        Some(buffer)
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
        let lines = [
            std::mem::take(&mut self.buffer),
            std::mem::take(&mut self.unwritten),
        ];
        for lines in lines {
            self.share.give_back(budget, lines.len(), true);
        }
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
        if self.buffer.is_empty() {
            self.buffer = Vec::new();
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

    /// Whether somebody has to write, or to answer a barrier.
    fn is_wanted(&self) -> bool {
        !(self.buffer.is_empty() && self.unwritten.is_empty() && self.flushes.is_empty())
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
