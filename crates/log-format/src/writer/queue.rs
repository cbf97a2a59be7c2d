//! The bounded queue between events and the log thread.
//!
//! Lines lie end to end in one buffer, which the thread takes whole. The lock is held for a copy or a
//! swap, never for I/O. Waking a thread costs more than writing a line down, so a thread that has just
//! worked naps before it sleeps, and a burst of lines wakes nobody.

use std::mem;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long the thread rests after a batch before it looks for lines by itself.
const NAP: Duration = Duration::from_micros(250);

/// Bytes that end a nap early, so that buffers stay small.
const NAP_BYTES: usize = 128 * 1024;

/// How often an idle thread tries to say what was dropped.
const RETRY: Duration = Duration::from_secs(1);

/// Room a buffer has from the start, in bytes: ordinary bursts allocate nothing.
const FIRST_CAPACITY: usize = 64 * 1024;

/// A buffer that grew above this size is not kept, in bytes.
const KEEP_CAPACITY: usize = 256 * 1024;

#[derive(Debug)]
pub(super) struct Queue {
    capacity: usize,
    state: Mutex<State>,
    /// The thread waits here for work.
    work: Condvar,
    /// Flushes wait here.
    flushed: Condvar,
    dropped: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    lines: Vec<u8>,
    /// Bytes the thread has taken and not finished; they count against the capacity.
    in_flight: usize,
    /// Lines dropped for want of room since the last batch.
    refused: u64,
    flush_asked: u64,
    flush_done: u64,
    thread: Thread,
    closed: bool,
}

/// What the log thread does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Thread {
    #[default]
    Works,
    /// Looks for lines soon, without being told.
    Naps,
    /// Looks for lines when it is told.
    Sleeps,
}

/// What the thread has to do beside the lines.
#[derive(Debug)]
pub(super) struct Work {
    /// Lines that were refused after those of this batch.
    pub(super) refused: u64,
    /// No more lines can come.
    pub(super) closed: bool,
    flush: u64,
}

impl Queue {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            state: Mutex::new(State {
                lines: Self::new_buffer(),
                ..State::default()
            }),
            work: Condvar::new(),
            flushed: Condvar::new(),
            dropped: AtomicU64::new(0),
        }
    }

    /// A buffer as the thread needs one for its batches.
    pub(super) fn new_buffer() -> Vec<u8> {
        Vec::with_capacity(FIRST_CAPACITY)
    }

    /// Copies a line in, or counts it as dropped.
    pub(super) fn push(&self, line: &[u8]) {
        let mut state = self.lock();
        if state.lines.len() + state.in_flight + line.len() <= self.capacity {
            state.lines.extend_from_slice(line);
        } else {
            state.refused += 1;
            self.count_dropped();
        }
        if state.thread == Thread::Sleeps || state.lines.len() > NAP_BYTES {
            self.wake(state);
        }
    }

    /// Waits until the thread has finished all that was pushed before; false at the deadline.
    pub(super) fn flush(&self, deadline: Option<Instant>) -> bool {
        let mut state = self.lock();
        state.flush_asked += 1;
        let asked = state.flush_asked;
        self.wake(state);
        let mut state = self.lock();
        while state.flush_done < asked {
            let Some(deadline) = deadline else {
                state = self
                    .flushed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.flushed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        self.wake(state);
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    pub(super) fn count_dropped(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    /// Waits for work and swaps the waiting lines into `batch`.
    ///
    /// With `unsaid` losses the thread comes back after a while even if nothing happens.
    pub(super) fn next_batch(&self, batch: &mut Vec<u8>, unsaid: bool) -> Work {
        batch.clear();
        if batch.capacity() > KEEP_CAPACITY {
            *batch = Self::new_buffer();
        }
        let mut state = self.lock();
        if state.is_idle() {
            state.thread = Thread::Naps;
            state = self.rest(state, Some(NAP));
        }
        while state.is_idle() {
            state.thread = Thread::Sleeps;
            let asleep_since = unsaid.then(Instant::now);
            state = self.rest(state, unsaid.then_some(RETRY));
            if asleep_since.is_some_and(|it| it.elapsed() >= RETRY) {
                break;
            }
        }
        state.thread = Thread::Works;
        mem::swap(batch, &mut state.lines);
        state.in_flight = batch.len();
        Work {
            refused: mem::take(&mut state.refused),
            closed: state.closed,
            flush: state.flush_asked,
        }
    }

    /// Says that a batch is done.
    pub(super) fn finish(&self, work: &Work) {
        let mut state = self.lock();
        state.in_flight = 0;
        if state.flush_done != work.flush {
            state.flush_done = work.flush;
            drop(state);
            self.flushed.notify_all();
        }
    }

    /// Waits to be woken, at most for `limit`.
    fn rest<'a>(
        &'a self,
        state: MutexGuard<'a, State>,
        limit: Option<Duration>,
    ) -> MutexGuard<'a, State> {
        match limit {
            None => self
                .work
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner),
            Some(limit) => {
                let waited = self.work.wait_timeout(state, limit);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        }
    }

    /// Wakes the thread if it rests, after the lock is free: it would else run into it.
    fn wake(&self, mut state: MutexGuard<'_, State>) {
        let thread = mem::take(&mut state.thread);
        drop(state);
        if thread != Thread::Works {
            self.work.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics under the lock; if something did, the counters are still good enough.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_idle(&self) -> bool {
        self.lines.is_empty()
            && self.refused == 0
            && self.flush_done == self.flush_asked
            && !self.closed
    }
}
